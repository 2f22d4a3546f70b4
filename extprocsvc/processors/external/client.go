package external

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"weak"
)

// Bounds of the connections to one endpoint. Calls beyond maxConns wait for
// their turn as long as their step may take.
const (
	maxConns     = 128
	maxIdleConns = 64
	idleTimeout  = 90 * time.Second
	dialTimeout  = 5 * time.Second
	// maxReplyHeaders is in bytes.
	maxReplyHeaders = 64 << 10
)

// A client holds the connections to one endpoint.
type client struct {
	// kept keeps connections alive; fresh never does, for the second attempt
	// of a call whose kept connection turned out to be dead.
	kept, fresh *http.Transport
}

// clientKey is what may share connections.
type clientKey struct {
	endpoint string
	material material
}

// A clientTable holds the clients in use, across edits of the configuration.
// The processors own them: the table forgets those that no processor has.
type clientTable struct {
	mu sync.Mutex
	m  map[clientKey]weak.Pointer[client]
}

var clients = clientTable{m: map[clientKey]weak.Pointer[client]{}}

// get returns the one client of an endpoint.
func (t *clientTable) get(endpoint string, m material) (*client, error) {
	key := clientKey{endpoint, m}
	t.mu.Lock()
	defer t.mu.Unlock()
	if c := t.m[key].Value(); c != nil {
		return c, nil
	}
	conf, err := m.config()
	if err != nil {
		return nil, err
	}
	c := &client{kept: transport(conf), fresh: transport(conf)}
	c.fresh.DisableKeepAlives = true
	ref := weak.Make(c)
	t.m[key] = ref
	kept := c.kept
	runtime.AddCleanup(c, func(key clientKey) {
		kept.CloseIdleConnections()
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.m[key] == ref {
			delete(t.m, key)
		}
	}, key)
	return c, nil
}

// transport speaks HTTP/1.1 straight to the endpoint: no proxy of the
// environment, no compression, and, being no http.Client, no redirects and no
// cookies.
func transport(conf *tls.Config) *http.Transport {
	t := &http.Transport{
		DialContext:            (&net.Dialer{Timeout: dialTimeout}).DialContext,
		TLSClientConfig:        conf,
		TLSHandshakeTimeout:    dialTimeout,
		DisableCompression:     true,
		MaxIdleConns:           maxIdleConns,
		MaxIdleConnsPerHost:    maxIdleConns,
		MaxConnsPerHost:        maxConns,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxReplyHeaders,
		WriteBufferSize:        32 << 10,
		ReadBufferSize:         16 << 10,
		Protocols:              new(http.Protocols),
	}
	t.Protocols.SetHTTP1(true)
	return t
}

// do sends a request. A processor may close a kept connection just when a call
// begins; such a call is made once more, on a new connection, as long as
// nothing of a reply came. Processors look at content and change nothing, so
// one that has seen a call twice has done no harm.
func (c *client) do(ctx context.Context, make func(context.Context) *http.Request) (*http.Response, error) {
	var reused, answered atomic.Bool
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn:              func(i httptrace.GotConnInfo) { reused.Store(i.Reused) },
		GotFirstResponseByte: func() { answered.Store(true) },
	})
	resp, err := c.kept.RoundTrip(make(traced))
	if err == nil || !reused.Load() || answered.Load() || ctx.Err() != nil {
		return resp, err
	}
	return c.fresh.RoundTrip(make(ctx))
}

// reason describes a failed exchange without anything that the other side
// said, which net/http likes to quote.
func reason(err error) string {
	var (
		op       *net.OpError
		verify   *tls.CertificateVerificationError
		host     x509.HostnameError
		unknown  x509.UnknownAuthorityError
		expired  x509.CertificateInvalidError
		notTLS   tls.RecordHeaderError
		tooLarge limitError
	)
	switch {
	case errors.As(err, &verify), errors.As(err, &host), errors.As(err, &unknown), errors.As(err, &expired):
		return "has a certificate that is not trusted"
	case errors.As(err, &notTLS):
		return "does not speak TLS"
	case errors.As(err, &op) && op.Op == "dial":
		return "is unreachable: " + op.Error()
	case errors.As(err, &op) && (op.Op == "remote error" || op.Op == "local error"):
		return "refuses the TLS connection: " + op.Error()
	case errors.As(err, &tooLarge):
		return tooLarge.Error()
	}
	return "broke the connection, or does not speak HTTP"
}
