package extprocsvc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/extprocsvc/inflate"
)

// A refusal ends a request with an answer of our own.
type refusal struct {
	status uint32
	// kind and code are the error's type and code, and message is for people.
	// Nothing in them comes from the request, except for a Rejection's detail.
	kind, code, message string
	// details goes into Envoy's access log (%RESPONSE_CODE_DETAILS%).
	details string
	verdict Verdict
	// policy tells that the body has a rejection's form.
	policy bool
	// content is the whole body, for answers that are no errors or that have a
	// form of their own, and headers are theirs; nil for those of JSON.
	content []byte
	headers []config.Header
}

// invalid returns a refusal for a request that we cannot accept.
func invalid(status uint32, code, format string, args ...any) *refusal {
	return &refusal{
		status: status, kind: "invalid_request_error", code: code, message: fmt.Sprintf(format, args...),
		details: "attache_refused{" + code + "}", verdict: Refused,
	}
}

// broken returns a refusal for a request that could be right, but that we
// cannot serve.
func broken(status uint32, code, message string) *refusal {
	return &refusal{
		status: status, kind: "server_error", code: code, message: message,
		details: "attache_failed{" + code + "}", verdict: Failed,
	}
}

// What is always the same.
var (
	needsBody = invalid(400, "missing_body", "this route needs a request with a JSON body")

	notJSON    = invalid(415, "unsupported_media_type", "this route accepts bodies of content-type application/json in UTF-8 only")
	compressed = invalid(415, "unsupported_content_encoding", "this route accepts the content-encodings gzip, deflate, br and zstd only")
	corrupt    = invalid(400, "invalid_content_encoding", "the request body is not what its content-encoding says")
	chatOnly   = invalid(415, "unsupported_api", "a processor of this route understands chat completions only")
	largeHead  = invalid(431, "headers_too_large", "the headers of the request are larger than %d bytes", maxHead)
	upgrade    = invalid(415, "unsupported_upgrade", "this route does not accept upgrades")
	grpcCall   = invalid(415, "unsupported_media_type", "this route does not accept gRPC")

	overBudget = broken(503, "overloaded", "too many request bodies are being held; try again later")

	unauthenticated = fault(401, "authentication_error", "invalid_token", "this route needs a valid bearer token")
	noProfile       = fault(404, "invalid_request_error", "no_profile", "no profile of this route is for this request")
	modelNotFound   = fault(404, "invalid_request_error", "model_not_found", "the model does not exist or is not available here")
	modelNotAllowed = fault(400, "invalid_request_error", "model_not_allowed", "requests must not name a model here")
	// modelNotSpecified has agentgateway's words.
	modelNotSpecified = fault(400, "invalid_request_error", "model_not_specified", "model not specified")

	noService = broken(503, "no_service", "no service of this route is for this request")

	unreadableResponse = once(broken(502, "unreadable_response", "the gateway cannot read the model's response"))
	largeResponse      = once(broken(502, "response_too_large", "the model's response is too large"))
	lateResponse       = once(broken(504, "response_timeout", "the model's response is checked as a whole, and takes too long"))
)

// once is a refusal that tells clients not to try again: the model has worked, and
// would for the same end. OpenAI's and Anthropic's SDKs try 5xx again unless this
// header says no.
func once(r *refusal) *refusal {
	r.headers = append(slices.Clip(jsonHeaders), config.Header{Name: "x-should-retry", Value: "false"})
	return r
}

// fault is a refusal whose message needs no formatting.
func fault(status uint32, kind, code, message string) *refusal {
	r := invalid(status, code, "%s", message)
	r.kind = kind
	return r
}

func tooLarge(limit int64) *refusal {
	return invalid(413, "body_too_large", "the request body is larger than %d bytes", limit)
}

// unheld is the refusal of a request whose body could not be held.
func (s *stream) unheld(err error) *refusal {
	switch {
	case errors.Is(err, errTooLarge):
		return tooLarge(s.server.maxBody.Load())
	case errors.Is(err, errOverBudget):
		return overBudget
	}
	return corrupt
}

// unheldResponse is the same for its answer.
func unheldResponse(err error) *refusal {
	switch {
	case errors.Is(err, errTooLarge), errors.Is(err, inflate.ErrTooLarge):
		return largeResponse
	case errors.Is(err, errOverBudget):
		return overBudget
	}
	return unreadableResponse
}

func badJSON(err error) *refusal {
	return invalid(400, "invalid_json", "the request body cannot be accepted: %v", err)
}

func badMessages(err error) *refusal {
	return invalid(400, "invalid_messages", "the request body cannot be accepted: %v", err)
}

func stepFailed(p *profile, stage, step string, err error) *refusal {
	r := broken(500, "processor_failed", "a processor of the gateway failed")
	var known *StepError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		r = broken(504, "processor_timeout", "a processor of the gateway took too long")
	case errors.As(err, &known) && known.Status >= 500 && known.Status <= 599:
		r.status = known.Status
	}
	r.message += ": " + step
	r.details = "attache_failed{" + place(p, stage, step) + "}"
	return r
}

func rejected(p *profile, stage, step string, why *Rejection) *refusal {
	as, ok := rejectionStatus[why.Code]
	if !ok {
		as = rejectionStatus[PolicyViolation]
	}
	r := &refusal{
		status: as.status, kind: as.kind, code: why.Code, message: why.Detail,
		details: "attache_rejected{" + place(p, stage, step) + "}", verdict: Rejected, policy: true,
	}
	if a := why.Answer; a != nil {
		r.status, r.content, r.headers = a.Status, append([]byte{}, a.Body...), append([]config.Header{}, a.Headers...)
	}
	return r
}

// place is profile/stage/step in a form that Envoy's access log keeps.
func place(p *profile, stage, step string) string {
	return p.name + "/" + escape(stage) + "/" + escape(step)
}

// jsonHeaders are those of answers in JSON.
var jsonHeaders = []config.Header{{Name: "content-type", Value: "application/json"}}

// reply is the refusal as a message to Envoy, in the client's dialect.
func (r *refusal) reply(d *errorDialect, id string) *extprocv3.ProcessingResponse {
	body := r.content
	if body == nil {
		body = d.encode(r, 0)
	}
	headers := r.headers
	if headers == nil {
		headers = jsonHeaders
	}
	var set []*corev3.HeaderValueOption
	seen := map[string]bool{}
	for _, h := range headers {
		o := setHeader(strings.ToLower(h.Name), []byte(h.Value))
		if seen[o.GetHeader().GetKey()] {
			addHeader(o)
		}
		seen[o.GetHeader().GetKey()] = true
		set = append(set, o)
	}
	set = append(set, setHeader(IDHeader, []byte(id)))
	return &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_ImmediateResponse{
		ImmediateResponse: &extprocv3.ImmediateResponse{
			Status:  &typev3.HttpStatus{Code: typev3.StatusCode(r.status)},
			Headers: &extprocv3.HeaderMutation{SetHeaders: set},
			Body:    body,
			Details: strings.ReplaceAll(r.details, " ", "_"),
		},
	}}
}
