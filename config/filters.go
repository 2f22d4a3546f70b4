package config

import (
	"fmt"
	"maps"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Filters are the policies of a route that change a request or a response on
// its way, answer it, or bound it.
type Filters struct {
	// RequestHeaders and ResponseHeaders change headers; nil leaves them.
	RequestHeaders, ResponseHeaders *HeaderModifier
	// Redirect answers every request; nil for none. The route then has no
	// backends.
	Redirect *Redirect
	// Rewrite changes what the backend sees; nil leaves it, but for the Host: a
	// backend with a name sees that name.
	Rewrite *Rewrite
	// Mirror receives copies of requests; nil for none.
	Mirror *Mirror
	// Timeout bounds the time until the response is complete; 0 for no limit.
	// Default 0.
	Timeout time.Duration
	// BackendTimeout bounds the time until the headers of the response, for each
	// attempt; 0 for no limit. Default 0.
	BackendTimeout time.Duration
	// Retry sends failed requests again; nil for never.
	Retry *Retry
	// Delay is how long each request waits. Default 0. DelayPath is its place.
	Delay     time.Duration
	DelayPath string
	// MaxRequestBody holds each request's body until it is complete, and refuses
	// one with more bytes; 0 holds nothing. Default 0, or 2 MiB with "buffer".
	MaxRequestBody uint32
}

// HeaderModifier changes headers: first it adds, then it sets, then it removes.
type HeaderModifier struct {
	// Add and Set are sorted by name. Values are literal.
	Add, Set []Header
	// Remove are names, in file order.
	Remove []string
}

// Header is one line of a header.
type Header struct{ Name, Value string }

// Redirect is the answer that sends a client to another URL.
type Redirect struct {
	// Path is the place in the file.
	Path string
	// Scheme is that of the new URL; empty for the request's.
	Scheme string
	// Authority and NewPath are the other parts of it. The query is kept.
	Authority Authority
	NewPath   PathRewrite
	// Status is 200 to 599. Default 302.
	Status uint16
}

// Rewrite is what the backend sees in place of the request's.
type Rewrite struct {
	// Path is the place in the file.
	Path string
	// Authority is the Host.
	Authority Authority
	// NewPath is the path. The query is kept.
	NewPath PathRewrite
}

// Authority is a host with a port in place of that of the request.
type Authority struct {
	Kind AuthorityKind
	// Value is the host of AuthorityFull and AuthorityHost.
	Value string
	// Port is that of AuthorityPort.
	Port uint16
}

// AuthorityKind tells what an Authority replaces.
type AuthorityKind int

const (
	// AuthorityAuto is the name of the backend, without a port, if it has a
	// name; in a redirect that of the request.
	AuthorityAuto AuthorityKind = iota
	// AuthorityNone leaves it as it is.
	AuthorityNone
	// AuthorityFull is Value as it stands, with a port or without.
	AuthorityFull
	// AuthorityHost is Value. A redirect without a scheme keeps the request's
	// port.
	AuthorityHost
	// AuthorityPort keeps the host. The default port of the scheme is left out.
	AuthorityPort
)

// PathRewrite is a path in place of that of the request.
type PathRewrite struct {
	Kind PathRewriteKind
	// Value begins with /.
	Value string
}

// PathRewriteKind tells what a PathRewrite replaces.
type PathRewriteKind int

// RewriteNothing leaves the path, RewriteFull replaces all of it, and
// RewritePrefix what the route's match, a PathPrefix, has matched.
const (
	RewriteNothing PathRewriteKind = iota
	RewriteFull
	RewritePrefix
)

// Mirror receives copies of requests.
type Mirror struct {
	Backend *Backend
	// Share is the part of the requests that is copied, more than 0, at most 1.
	Share float64
}

// Retry is when and how often a request is sent again.
type Retry struct {
	// Attempts is the number of retries, 1 to 255. Default 1.
	Attempts uint32
	// Backoff is the pause before a retry. Default 0.
	Backoff time.Duration
	// Codes are the statuses that lead to a retry, sorted.
	Codes []uint32
}

// defaultMaxRequestBody is agentgateway's for "buffer": 2 MiB.
const defaultMaxRequestBody = 2 << 20

// filters reads those of a route, whose matches and backends are known.
func (r *resolver) filters(rt *Route, ls levels) {
	if p, f := pick(ls, "requestHeaderModifier", func(p *filePolicies) *fileHeaderModifier { return p.RequestHeaderModifier }); f != nil {
		rt.RequestHeaders = r.requestHeaders(p, f)
	}
	if p, f := pick(ls, "responseHeaderModifier", func(p *filePolicies) *fileHeaderModifier { return p.ResponseHeaderModifier }); f != nil {
		rt.ResponseHeaders = r.headerModifier(p, f)
	}
	if p, f := pick(ls, "timeout", func(p *filePolicies) *fileTimeout { return p.Timeout }); f != nil {
		rt.Timeout, rt.BackendTimeout = time.Duration(f.RequestTimeout), time.Duration(f.BackendRequestTimeout)
		if rt.Timeout == 0 && rt.BackendTimeout == 0 {
			r.missingf(p, "expected requestTimeout or backendRequestTimeout")
		}
	}
	if p, f := pick(ls, "retry", func(p *filePolicies) *fileRetry { return p.Retry }); f != nil {
		rt.Retry = r.retry(p, f)
	}
	if p, f := pick(ls, "delay", func(p *filePolicies) *fileDelay { return p.Delay }); f != nil {
		rt.Delay, rt.DelayPath = r.delay(p, f), p
	}
	if p, f := pick(ls, "buffer", func(p *filePolicies) *fileBuffer { return p.Buffer }); f != nil {
		rt.MaxRequestBody = r.buffer(p, f)
	}
	if p, f := pick(ls, "requestMirror", func(p *filePolicies) *fileMirror { return p.RequestMirror }); f != nil {
		rt.Mirror = r.mirror(p, f)
	}
	if p, f := pick(ls, "urlRewrite", func(p *filePolicies) *fileRewrite { return p.URLRewrite }); f != nil {
		rt.Rewrite = r.rewrite(p, f, rt)
	}
	if p, f := pick(ls, "requestRedirect", func(p *filePolicies) *fileRedirect { return p.RequestRedirect }); f != nil {
		rt.Redirect = r.redirect(p, f, rt)
	}
}

// requestHeaders is headerModifier for requests, where some headers would be
// orders to Envoy: timeouts, retries.
func (r *resolver) requestHeaders(path string, f *fileHeaderModifier) *HeaderModifier {
	for key, values := range map[string]map[string]string{"add": f.Add, "set": f.Set} {
		for name := range values {
			if strings.HasPrefix(strings.ToLower(name), "x-envoy-") {
				r.errorf(path+"."+key+"."+name, Unsupported, "Envoy would obey this header itself; choose a name that does not begin with x-envoy-")
			}
		}
	}
	return r.headerModifier(path, f)
}

func (r *resolver) headerModifier(path string, f *fileHeaderModifier) *HeaderModifier {
	m := &HeaderModifier{Add: r.headers(path+".add", f.Add), Set: r.headers(path+".set", f.Set)}
	for i, name := range f.Remove {
		r.headerName(fmt.Sprintf("%s.remove[%d]", path, i), name)
		m.Remove = append(m.Remove, name)
	}
	return m
}

// backendHeaders reads those of a backend: of its entry, or else of its provider.
func (r *resolver) backendHeaders(places []backendPlace, b *Backend) {
	if path, m := pickPlace(places, "requestHeaderModifier", func(p *fileBackendPolicies) *fileHeaderModifier { return p.RequestHeaderModifier }); m != nil {
		b.RequestHeaders = r.requestHeaders(path, m)
	}
	if path, m := pickPlace(places, "responseHeaderModifier", func(p *fileBackendPolicies) *fileHeaderModifier { return p.ResponseHeaderModifier }); m != nil {
		b.ResponseHeaders = r.headerModifier(path, m)
	}
}

// framing are the headers that tell where a body ends. Envoy believes them.
var framing = []string{"content-length", "transfer-encoding"}

func (r *resolver) headers(path string, values map[string]string) (list []Header) {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		p, value := path+"."+name, values[name]
		r.headerName(p, name)
		if slices.Contains(framing, strings.ToLower(name)) {
			r.errorf(p, Unsupported, "tells where the body ends; the gateway sets it itself")
		}
		if strings.ContainsFunc(value, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) {
			r.errorf(p, Invalid, "not a header value; expected text without control characters")
		}
		if len(value) > maxHeaderValue {
			r.errorf(p, Unsupported, "a value of %d bytes is too long for Envoy; at most %d", len(value), maxHeaderValue)
		}
		list = append(list, Header{name, value})
	}
	return list
}

// maxHeaderValue is Envoy's bound on the text of a header in its configuration.
const maxHeaderValue = 16384

func (r *resolver) headerName(path, name string) {
	switch {
	case strings.EqualFold(name, "host"):
		r.errorf(path, Unsupported, "Envoy does not let Host be changed here; write urlRewrite.authority")
	case !tokenPattern.MatchString(name):
		r.errorf(path, Invalid, "not a header name; expected a token")
	}
}

func (r *resolver) retry(path string, f *fileRetry) *Retry {
	retry := &Retry{Attempts: 1, Backoff: time.Duration(f.Backoff)}
	if f.Attempts != nil {
		if retry.Attempts = uint32(*f.Attempts); retry.Attempts < 1 || retry.Attempts > 255 {
			r.errorf(path+".attempts", Invalid, "expected 1 to 255")
		}
	}
	for i, code := range f.Codes {
		if code < 100 || code > 599 {
			r.errorf(fmt.Sprintf("%s.codes[%d]", path, i), Invalid, "expected a status from 100 to 599")
		}
		retry.Codes = append(retry.Codes, uint32(code))
	}
	slices.Sort(retry.Codes)
	retry.Codes = slices.Compact(retry.Codes)
	return retry
}

// delay reads a constant; agentgateway has expressions too. No delay is no
// time, or less.
func (r *resolver) delay(path string, f *fileDelay) time.Duration {
	d, err := time.ParseDuration(f.Duration)
	switch {
	case err == nil || f.Conditional != nil:
	case f.Duration == "":
		r.missingf(path+".duration", "expected a duration such as 500ms")
	default:
		r.errorf(path+".duration", Unsupported, "expressions are not supported here; expected a duration such as 500ms")
	}
	return max(d, 0)
}

func (r *resolver) buffer(path string, f *fileBuffer) uint32 {
	switch {
	case f.Request == nil:
		r.missingf(path, "expected request")
	case f.Request.MaxBytes == nil:
		return defaultMaxRequestBody
	case *f.Request.MaxBytes == 0:
		r.errorf(path+".request.maxBytes", Unsupported, "expected at least 1")
	default:
		return *f.Request.MaxBytes
	}
	return 0
}

func (r *resolver) mirror(path string, f *fileMirror) *Mirror {
	m := &Mirror{Backend: r.copies(path+".backend", &f.Backend), Share: f.Percentage}
	if f.Percentage < 0 || f.Percentage > 1 {
		r.errorf(path+".percentage", Invalid, "expected a share from 0.0 to 1.0, such as 0.1 for every tenth request")
	}
	if f.Percentage == 0 {
		return nil
	}
	return m
}

// copies is where the copies of requests go.
func (r *resolver) copies(path string, f *fileMirrorBackend) *Backend {
	if f.Host == "" && f.Service == nil && f.Backend == "" {
		r.missingf(path, "expected one of host, service, backend")
	}
	if f.Service == nil && f.Backend == "" {
		b := &Backend{Path: path, Weight: 1}
		if f.Host != "" {
			r.targetOrURL(path+".host", f.Host, b)
		}
		return b
	}
	b := r.backend(path, path, &fileBackend{Host: f.Host, Service: f.Service, Backend: f.Backend}, nil)
	if b.AI != nil || b.Dynamic {
		r.errorf(path+".backend", Unsupported, "copies go to a host or a service; this backend is of another kind")
	}
	return b
}

// targetOrURL reads an address or http://host[:port], https://host[:port].
func (r *resolver) targetOrURL(path, s string, into *Backend) {
	scheme, _, isURL := strings.Cut(s, "://")
	if !isURL {
		r.target(path, s, &into.Target)
		return
	}
	port, known := map[string]string{"http": "80", "https": "443"}[scheme]
	u, err := url.Parse(s)
	if !known || err != nil || u.Host == "" || s != scheme+"://"+u.Host {
		r.errorf(path, Invalid, "not a URL of a host; expected http:// or https://, a host and perhaps a port")
		return
	}
	if u.Port() != "" {
		port = u.Port()
	}
	r.target(path, net.JoinHostPort(u.Hostname(), port), &into.Target)
	if scheme == "https" {
		into.TLS = &TLS{}
	}
}

func (r *resolver) rewrite(path string, f *fileRewrite, rt *Route) *Rewrite {
	if f.Authority == nil && f.Path == nil {
		r.missingf(path, "expected authority or path")
	}
	w := &Rewrite{
		Path:      path,
		Authority: r.authority(path+".authority", f.Authority),
		NewPath:   r.pathRewrite(path+".path", f.Path, rt),
	}
	if i := slices.IndexFunc(rt.Backends, (*Backend).AtProvider); i >= 0 && w.Authority.Kind != AuthorityAuto {
		r.warnf(path+".authority", Unreachable, "has no effect on the ai backend %s, which is asked by its provider's name", r.cfg.Where(rt.Backends[i].Path))
	}
	keepsPath := func(a API) bool { return a.Rewrite == RegexRewrite{} }
	ownPath := func(b *Backend) bool { return b.AI != nil && !slices.ContainsFunc(b.AI.APIs, keepsPath) }
	if i := slices.IndexFunc(rt.Backends, ownPath); i >= 0 && w.NewPath.Kind != RewriteNothing {
		r.warnf(path+".path", Unreachable, "has no effect on the ai backend %s, which has a path of its own", r.cfg.Where(rt.Backends[i].Path))
	}
	return w
}

var schemePattern = regexp.MustCompile(`^[a-z][a-z0-9+.-]*$`)

func (r *resolver) redirect(path string, f *fileRedirect, rt *Route) *Redirect {
	d := &Redirect{
		Path:      path,
		Scheme:    strings.ToLower(f.Scheme),
		Authority: r.authority(path+".authority", f.Authority),
		NewPath:   r.pathRewrite(path+".path", f.Path, rt),
		Status:    302,
	}
	if d.Scheme != "" && !schemePattern.MatchString(d.Scheme) {
		r.errorf(path+".scheme", Invalid, "not a scheme; expected http or https")
	}
	if f.Status != nil {
		if d.Status = *f.Status; d.Status < 200 || d.Status > 599 {
			r.errorf(path+".status", Unsupported, "expected a status from 200 to 599")
		}
	}
	if rt.Rewrite != nil {
		r.errorf(path, Unsupported, "urlRewrite beside a redirect is not supported; write the new URL here")
	}
	if len(rt.Backends) > 0 {
		r.warnf(rt.Backends[0].Path, Unreachable, "gets no requests: the route answers with a redirect, see %s", r.cfg.Where(path))
		rt.Backends = nil
	}
	return d
}

// authorityPattern is a host with or without a port, hostOnlyPattern one
// without.
var (
	authorityPattern = regexp.MustCompile(`^([0-9A-Za-z._~-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$`)
	hostOnlyPattern  = regexp.MustCompile(`^([0-9A-Za-z._~-]+|\[[0-9A-Fa-f:.]+\])$`)
)

func (r *resolver) authority(path string, f *fileAuthority) Authority {
	if f == nil {
		return Authority{}
	}
	var found []Authority
	switch f.word {
	case "auto":
		found = append(found, Authority{Kind: AuthorityAuto})
	case "none":
		found = append(found, Authority{Kind: AuthorityNone})
	}
	if f.Full != nil {
		found = append(found, Authority{Kind: AuthorityFull, Value: *f.Full})
		if !authorityPattern.MatchString(*f.Full) {
			r.errorf(path+".full", Invalid, "not a host; expected a host, perhaps with a port")
		}
	}
	if f.Host != nil {
		found = append(found, Authority{Kind: AuthorityHost, Value: *f.Host})
		if !hostOnlyPattern.MatchString(*f.Host) {
			r.errorf(path+".host", Invalid, "not a host; expected a host without a port, or full in place of host")
		}
	}
	if f.Port != nil {
		found = append(found, Authority{Kind: AuthorityPort, Port: *f.Port})
		if *f.Port == 0 {
			r.errorf(path+".port", Invalid, "expected a port from 1 to 65535")
		}
	}
	if len(found) != 1 {
		r.missingf(path, "expected auto, none, or exactly one of full, host, port")
		return Authority{}
	}
	return found[0]
}

func (r *resolver) pathRewrite(path string, f *filePathRewrite, rt *Route) PathRewrite {
	switch {
	case f == nil:
		return PathRewrite{}
	case f.Full != nil && f.Prefix == nil:
		r.newPath(path+".full", *f.Full)
		return PathRewrite{RewriteFull, *f.Full}
	case f.Prefix != nil && f.Full == nil:
		value := *f.Prefix
		if value == "" {
			value = "/"
		}
		r.newPath(path+".prefix", value)
		for i, m := range rt.Matches {
			if m.Path.Kind != PathPrefix {
				r.errorf(path+".prefix", Invalid, "matches[%d] of the route has no prefix; expected pathPrefix there, or full here", i)
			}
		}
		return PathRewrite{RewritePrefix, value}
	}
	r.missingf(path, "expected exactly one of full, prefix")
	return PathRewrite{}
}

// newPath checks a path that goes to a backend, or into a URL.
func (r *resolver) newPath(path, value string) {
	odd := func(c rune) bool { return c <= ' ' || c > '~' || strings.ContainsRune(`?#\"<>`, c) }
	if !strings.HasPrefix(value, "/") || strings.ContainsFunc(value, odd) {
		r.errorf(path, Invalid, "expected a path that begins with / and has no query; write other characters as %%XX")
	}
}
