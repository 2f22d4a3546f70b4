package config

import (
	"cmp"
	"strings"
)

// Processing is what an ext_proc server is shown, and what it may ask for.
type Processing struct {
	Request, Response Shown
	// AllowOverride lets the server change the modes for a request. Default
	// false.
	AllowOverride bool
	// RequestAttributes and ResponseAttributes go with the first message of
	// their direction, by name.
	RequestAttributes, ResponseAttributes map[string]Expression
	// Metadata goes with every message, by namespace and key; values are
	// literals.
	Metadata map[string]map[string]Expression
	// InitialMetadata is gRPC metadata of the stream.
	InitialMetadata map[string]string
}

// Shown is what a server is shown of one direction. The zero value is
// agentgateway's default.
type Shown struct {
	Body BodyMode
	// SkipHeaders and SkipTrailers keep them from the server.
	SkipHeaders, SkipTrailers bool
}

// BodyMode is how a body gets to an ext_proc server.
type BodyMode int

// BodyFullDuplex sends a body as it comes, and the server sends it on;
// BodyBuffered sends it in one piece, BodyPartial its beginning in one piece,
// BodyNone not at all.
const (
	BodyFullDuplex BodyMode = iota
	BodyBuffered
	BodyPartial
	BodyNone
)

// bodyModes are agentgateway's words.
var bodyModes = map[string]BodyMode{
	"fullDuplexStreamed": BodyFullDuplex,
	"buffered":           BodyBuffered,
	"bufferedPartial":    BodyPartial,
	"none":               BodyNone,
}

// grpcMetadata is the namespace of metadataContext that becomes gRPC metadata.
const grpcMetadata = "agentgateway.dev.grpc_initial_metadata"

var noOptions fileProcessingOptions

// processing is what the server of an extProc at path is shown.
func (r *resolver) processing(path string, f *fileExternal) Processing {
	o := cmp.Or(f.ProcessingOptions, &noOptions)
	p := Processing{
		Request:            Shown{bodyModes[o.RequestBodyMode], o.RequestHeaderMode == "skip", o.RequestTrailerMode == "skip"},
		Response:           Shown{bodyModes[o.ResponseBodyMode], o.ResponseHeaderMode == "skip", o.ResponseTrailerMode == "skip"},
		AllowOverride:      o.AllowModeOverride,
		RequestAttributes:  r.attributes(path, "requestAttributes", f.RequestAttributes, false),
		ResponseAttributes: r.attributes(path, "responseAttributes", f.ResponseAttributes, true),
	}
	r.metadataContext(path, f.MetadataContext, &p)
	if f.FailureMode == "failOpen" && o.RequestBodyMode == "" {
		p.Request.Body = BodyBuffered // Envoy cannot fail open while a body streams
	}
	const options = ".processingOptions"
	duplex := p.Request.Body == BodyFullDuplex || p.Response.Body == BodyFullDuplex
	for _, d := range []struct {
		key   string
		shown *Shown
	}{{"requestTrailerMode", &p.Request}, {"responseTrailerMode", &p.Response}} {
		if duplex && d.shown.SkipTrailers {
			d.shown.SkipTrailers = false
			r.warnf(path+options+"."+d.key, Unreachable, "without effect: trailers are sent where a body is fullDuplexStreamed")
		}
	}
	nothing := Shown{BodyNone, true, true}
	if p.Request == nothing && p.Response == nothing {
		r.warnf(path+options, Unreachable, "the server is never asked: nothing of requests or responses is sent")
	}
	if p.AllowOverride {
		r.errorf(path+options+".allowModeOverride", Unsupported, "valid agentgateway key, not supported yet: when a server asks for a body to be streamed, Envoy keeps the content-length of the body as it was; choose the modes here")
	}
	return p
}

// attributes reads what goes with the first message of a direction, from a key of
// the extProc at path.
func (r *resolver) attributes(path, key string, of map[string]string, response bool) map[string]Expression {
	if len(of) == 0 {
		return nil
	}
	out := make(map[string]Expression, len(of))
	for _, name := range words(of) {
		place := path + "." + key + "." + name
		e, ok := r.expression(place, of[name])
		_, float := e.Literal.(float64)
		switch fromRequest := strings.HasPrefix(e.Variable, "request."); {
		case !ok:
		case float:
			r.errorf(place, Unsupported, "Envoy sends a fraction as text; not supported yet: write a string or a whole number")
		case !response && strings.HasPrefix(e.Variable, "response."):
			r.errorf(place, Invalid, "there is no response yet; responseAttributes may use %s", e.Variable)
		case response && fromRequest && e.Variable != "request.method" && e.Variable != "request.scheme":
			r.errorf(place, Unsupported, "when the response comes, Envoy knows the request only as the backend got it; not supported yet: use requestAttributes")
		}
		out[name] = e
	}
	return out
}

// metadataContext reads the metadata of every message of the extProc at path.
func (r *resolver) metadataContext(path string, of map[string]map[string]string, p *Processing) {
	for _, namespace := range words(of) {
		place := path + ".metadataContext." + namespace
		if namespace == "attache" || strings.HasPrefix(namespace, "envoy.") {
			r.errorf(place, Unsupported, "this namespace is for what Envoy's filters find out; use another")
		}
		literals := map[string]Expression{}
		for _, key := range words(of[namespace]) {
			e, ok := r.expression(place+"."+key, of[namespace][key])
			if ok && e.Variable != "" {
				r.errorf(place+"."+key, Unsupported, "an expression that Envoy cannot evaluate; not supported yet: only literals are")
			}
			literals[key] = e
		}
		if namespace != grpcMetadata {
			if p.Metadata == nil {
				p.Metadata = map[string]map[string]Expression{}
			}
			p.Metadata[namespace] = literals
			continue
		}
		p.InitialMetadata = map[string]string{}
		for _, key := range words(literals) {
			value, ok := literals[key].Literal.(string)
			if lower := strings.ToLower(key); !grpcKey(lower) {
				r.errorf(place+"."+key, Invalid, "not a name of gRPC metadata; expected letters, digits, - _ and ., and neither grpc- before nor -bin behind")
			} else if !ok && literals[key].Literal != nil || strings.ContainsFunc(value, func(c rune) bool { return c < ' ' || c > '~' }) {
				r.errorf(place+"."+key, Invalid, "not a value of gRPC metadata; expected a string of printable ASCII")
			} else {
				p.InitialMetadata[lower] = value
			}
		}
	}
}

// grpcKey tells whether gRPC metadata can have this name. Names with -bin
// carry bytes in another form, those with grpc- and x-attache- are taken.
func grpcKey(name string) bool {
	return name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == "" &&
		!strings.HasPrefix(name, "grpc-") && !strings.HasSuffix(name, "-bin")
}
