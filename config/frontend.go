package config

import (
	"math"
	"slices"
	"time"
)

// Frontend are settings for the connections of clients, from frontendPolicies.
// What is zero is left to the translator.
type Frontend struct {
	// MaxBody is the longest body that is held, in bytes.
	MaxBody uint32
	// MaxHeaders bounds the number of headers of a request, MaxHeaderKiB their
	// size in KiB.
	MaxHeaders, MaxHeaderKiB uint32
	// IdleTimeout closes connections without requests.
	IdleTimeout time.Duration
	// MaxConnectionDuration is the age at which a connection is closed.
	MaxConnectionDuration time.Duration
	// StreamWindow and ConnectionWindow are HTTP/2's, in bytes.
	StreamWindow, ConnectionWindow uint32
	// PingInterval is the time between two pings over HTTP/2; 0 for none.
	// PingTimeout, the wait for the answer, is set if it is.
	PingInterval, PingTimeout time.Duration
	// Keepalive are the probes on idle connections; nil for none.
	Keepalive *Keepalive
	// HandshakeTimeout bounds TLS handshakes.
	HandshakeTimeout time.Duration
	// ProxyProtocol is what is accepted on ports with a PROXY protocol header.
	ProxyProtocol ProxyProtocol
}

// ProxyProtocol are the headers that are accepted. The zero value is version 2,
// which must be there.
type ProxyProtocol struct {
	// Version1 takes headers of version 1, NotVersion2 none of version 2.
	Version1, NotVersion2 bool
	// Optional takes connections without a header.
	Optional bool
}

// Upstream are settings for the connections to all backends, from
// config.backend. What is zero is left to the translator.
type Upstream struct {
	// ConnectTimeout bounds the time for connecting.
	ConnectTimeout time.Duration
	// IdleTimeout closes connections without requests.
	IdleTimeout time.Duration
	// Keepalive are the probes on idle connections; nil for the translator's, or
	// none if NoKeepalive.
	Keepalive   *Keepalive
	NoKeepalive bool
}

// Keepalive are TCP's probes on idle connections.
type Keepalive struct {
	// Time is how long a connection is idle before the first probe, Interval the
	// time between two, both in whole seconds.
	Time, Interval time.Duration
	// Probes is the number of lost probes that end the connection.
	Probes uint32
}

const (
	// maxHeldBody bounds what can be asked for: every body that is held is in
	// memory, perhaps twice.
	maxHeldBody = 1 << 30
	// defaultPingTimeout is hyper's.
	defaultPingTimeout = 20 * time.Second
	// defaultProbeTime and defaultProbes are agentgateway's.
	defaultProbeTime = 3 * time.Minute
	defaultProbes    = 9
	// maxProbes and maxProbeTime are Linux's.
	maxProbes    = 127
	maxProbeTime = 32767 * time.Second
)

// connections reads what concerns all of them.
func (r *resolver) connections(f *file) {
	c := f.Config
	if c == nil {
		c = &fileConfig{}
	}
	r.frontend(f.FrontendPolicies, c.Listener)
	r.upstream("config.backend", c.Backend)
	proxied := func(b fileBind) bool { return b.TunnelProtocol == "proxy" }
	if p := f.FrontendPolicies; p != nil && p.ProxyProtocol != nil && !slices.ContainsFunc(f.Binds, proxied) {
		r.warnf("frontendPolicies.proxyProtocol", Unreachable, "no port has tunnelProtocol: proxy, so nothing begins with this header")
	}
}

func (r *resolver) frontend(f *fileFrontendPolicies, earlier *fileProcessListener) {
	if f == nil {
		f = &fileFrontendPolicies{}
	}
	if f.HTTP != nil {
		r.frontendHTTP("frontendPolicies.http", f.HTTP)
	}
	if f.TCP != nil {
		r.cfg.Frontend.Keepalive = r.keepalive("frontendPolicies.tcp.keepalives", &f.TCP.Keepalives)
	}
	if f.TLS != nil {
		r.cfg.Frontend.HandshakeTimeout = r.atLeastMillisecond("frontendPolicies.tls.handshakeTimeout", f.TLS.HandshakeTimeout)
	}
	if p := f.ProxyProtocol; p != nil {
		r.cfg.Frontend.ProxyProtocol = ProxyProtocol{
			Version1:    p.Version == "v1" || p.Version == "all",
			NotVersion2: p.Version == "v1",
			Optional:    p.Mode == "optional",
		}
	}
	if earlier != nil {
		r.earlierFrontend("config.listener", f, earlier)
	}
}

func (r *resolver) earlierFrontend(path string, f *fileFrontendPolicies, earlier *fileProcessListener) {
	const same = "the same as %s; write only that"
	switch {
	case f.HTTP != nil:
		r.errorf(path, Conflict, same, r.cfg.Where("frontendPolicies.http"))
	case f.TLS != nil && earlier.TLSHandshakeTimeout > 0:
		r.errorf(path+".tlsHandshakeTimeout", Conflict, same, r.cfg.Where("frontendPolicies.tls"))
	default:
		r.warnf(path, Deprecated, "a deprecated spelling; write frontendPolicies.http, and frontendPolicies.tls.handshakeTimeout")
		r.httpLimits(path, &earlier.Limits)
		if earlier.TLSHandshakeTimeout > 0 {
			r.cfg.Frontend.HandshakeTimeout = r.atLeastMillisecond(path+".tlsHandshakeTimeout", earlier.TLSHandshakeTimeout)
		}
	}
}

func (r *resolver) frontendHTTP(path string, f *fileFrontendHTTP) {
	r.httpLimits(path, &f.Limits)
	into := &r.cfg.Frontend
	into.MaxConnectionDuration = r.atLeastMillisecond(path+".maxConnectionDuration", f.MaxConnectionDuration)
	if n := f.HTTP2MaxHeaderSize; n != nil {
		if into.MaxHeaderKiB = *n / 1024; *n == 0 || *n%1024 != 0 || into.MaxHeaderKiB > 8192 {
			r.errorf(path+".http2MaxHeaderSize", Unsupported, "Envoy counts in KiB; expected a multiple of 1024, at most 8388608")
		}
	}
}

func (r *resolver) httpLimits(path string, f *fileHTTPLimits) {
	into := &r.cfg.Frontend
	if n := f.MaxBufferSize; n != nil {
		if *n == 0 || *n > maxHeldBody {
			r.errorf(path+".maxBufferSize", Unsupported, "expected 1 to %d bytes", maxHeldBody)
		}
		into.MaxBody = uint32(min(*n, maxHeldBody))
	}
	if n := f.HTTP1MaxHeaders; n != nil {
		if into.MaxHeaders = *n; *n == 0 {
			r.errorf(path+".http1MaxHeaders", Invalid, "expected at least 1")
		}
	}
	for _, w := range []struct {
		key   string
		given *uint32
		into  *uint32
	}{
		{"http2WindowSize", f.HTTP2WindowSize, &into.StreamWindow},
		{"http2ConnectionWindowSize", f.HTTP2ConnectionWindowSize, &into.ConnectionWindow},
	} {
		if w.given == nil {
			continue
		}
		if *w.into = *w.given; *w.given < math.MaxUint16 || *w.given > math.MaxInt32 {
			r.errorf(path+"."+w.key, Unsupported, "Envoy has no such window; expected 65535 to 2147483647 bytes")
		}
	}
	into.IdleTimeout = r.atLeastMillisecond(path+".http1IdleTimeout", f.HTTP1IdleTimeout)
	into.PingInterval = r.atLeastMillisecond(path+".http2KeepaliveInterval", f.HTTP2KeepaliveInterval)
	into.PingTimeout = r.atLeastMillisecond(path+".http2KeepaliveTimeout", f.HTTP2KeepaliveTimeout)
	switch {
	case into.PingInterval == 0 && into.PingTimeout > 0:
		r.warnf(path+".http2KeepaliveTimeout", Unreachable, "without http2KeepaliveInterval no pings are sent")
		into.PingTimeout = 0
	case into.PingInterval > 0 && into.PingTimeout == 0:
		into.PingTimeout = defaultPingTimeout
	}
}

// atLeastMillisecond is a duration that Envoy, which counts in milliseconds, does
// not take for none.
func (r *resolver) atLeastMillisecond(path string, f fileDuration) time.Duration {
	if f > 0 && time.Duration(f) < time.Millisecond {
		r.errorf(path, Unsupported, "Envoy counts in milliseconds; expected at least 1ms")
	}
	return time.Duration(f)
}

func (r *resolver) upstream(path string, f *fileProcessBackend) {
	if f == nil {
		return
	}
	r.cfg.Upstream.ConnectTimeout = r.atLeastMillisecond(path+".connectTimeout", f.ConnectTimeout)
	r.cfg.Upstream.IdleTimeout = r.atLeastMillisecond(path+".poolIdleTimeout", f.PoolIdleTimeout)
	if f.Keepalives != nil {
		r.cfg.Upstream.Keepalive = r.keepalive(path+".keepalives", f.Keepalives)
		r.cfg.Upstream.NoKeepalive = r.cfg.Upstream.Keepalive == nil
	}
}

func (r *resolver) keepalive(path string, f *fileKeepalives) *Keepalive {
	k := &Keepalive{Time: defaultProbeTime, Interval: defaultProbeTime, Probes: defaultProbes}
	for _, d := range []struct {
		key   string
		given fileDuration
		into  *time.Duration
	}{{"time", f.Time, &k.Time}, {"interval", f.Interval, &k.Interval}} {
		if d.given == 0 {
			continue
		}
		if *d.into = time.Duration(d.given); *d.into%time.Second != 0 || *d.into > maxProbeTime {
			r.errorf(path+"."+d.key, Unsupported, "the kernel counts in seconds; expected 1s to %v, in whole seconds", maxProbeTime)
		}
	}
	if f.Retries != nil {
		if k.Probes = *f.Retries; k.Probes == 0 || k.Probes > maxProbes {
			r.errorf(path+".retries", Unsupported, "the kernel has no such number; expected 1 to %d", maxProbes)
		}
	}
	if f.Enabled != nil && !*f.Enabled {
		return nil
	}
	return k
}
