package translator

import (
	"cmp"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/attache-dev/attache/config"
)

// redirect answers with the new URL in the header location. Envoy's own
// redirects always drop the port of the request and know five statuses;
// agentgateway's keep it where the authority says so. So the header is a format.
func redirect(e *routev3.Route, d *config.Redirect, m *config.Match) {
	e.Action = &routev3.Route_DirectResponse{DirectResponse: &routev3.DirectResponseAction{Status: uint32(d.Status)}}
	e.ResponseHeadersToAdd = []*corev3.HeaderValueOption{{
		Header: &corev3.HeaderValue{
			Key:   "location",
			Value: cmp.Or(literal(d.Scheme), "%REQ(:SCHEME)%") + "://" + redirectAuthority(d) + redirectPath(d.NewPath, m),
		},
		AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
	}}
}

func redirectAuthority(d *config.Redirect) string {
	switch a := d.Authority; a.Kind {
	case config.AuthorityFull:
		return a.Value
	case config.AuthorityHost:
		if d.Scheme == "http" || d.Scheme == "https" {
			return a.Value
		}
		return a.Value + requestPort
	case config.AuthorityPort:
		return hostWithPort(d.Scheme, a.Port)
	}
	return "%REQ(:AUTHORITY)%"
}

// requestPort is the format of the request's port with its colon, empty for the
// default port of the scheme.
var requestPort = `%CEL(re.extract(request.host, request.scheme == "https" ? ` +
	celString(`^`+hostPattern+`(?::443|(:[0-9]+))?$`) + " : " + celString(`^`+hostPattern+`(?::80|(:[0-9]+))?$`) +
	", " + celString(`\1`) + "))%"

// redirectPath is the format of the new path with the request's query.
func redirectPath(p config.PathRewrite, m *config.Match) string {
	switch p.Kind {
	case config.RewriteFull:
		return literal(p.Value) + celExtract("request.path", `^[^?]*(.*)$`, `\1`)
	case config.RewritePrefix:
		pattern, text := replacePrefix(m.Path.Value, p.Value)
		return celExtract("request.path", pattern, text)
	}
	return "%REQ(:PATH)%"
}
