package extprocsvc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
)

// A refusal ends a request with an answer of our own, in OpenAI's error shape.
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
	compressed = invalid(415, "unsupported_content_encoding", "this route accepts bodies without content-encoding only")
	upgrade    = invalid(415, "unsupported_upgrade", "this route does not accept upgrades")
	grpcCall   = invalid(415, "unsupported_media_type", "this route does not accept gRPC")

	overBudget = broken(503, "overloaded", "too many request bodies are being held; try again later")
	unreadable = broken(500, "misconfigured", "the gateway cannot read this request's body")
)

func tooLarge(limit int64) *refusal {
	return invalid(413, "body_too_large", "the request body is larger than %d bytes", limit)
}

func badJSON(err error) *refusal {
	return invalid(400, "invalid_json", "the request body cannot be accepted: %v", err)
}

func badMessages(err error) *refusal {
	return invalid(400, "invalid_messages", "the request body cannot be accepted: %v", err)
}

func stepFailed(c *Chain, stage, step string, late bool) *refusal {
	r := broken(500, "processor_failed", "a processor of the gateway failed")
	if late {
		r = broken(504, "processor_timeout", "a processor of the gateway took too long")
	}
	r.details = "attache_failed{" + place(c, stage, step) + "}"
	return r
}

func rejected(c *Chain, stage, step string, why *Rejection) *refusal {
	as, ok := rejectionStatus[why.Code]
	if !ok {
		as = rejectionStatus[PolicyViolation]
	}
	return &refusal{
		status: as.status, kind: as.kind, code: why.Code, message: why.Detail,
		details: "attache_rejected{" + place(c, stage, step) + "}", verdict: Rejected, policy: true,
	}
}

// place is profile/stage/step in a form that Envoy's access log keeps.
func place(c *Chain, stage, step string) string {
	return c.profile + "/" + escape(stage) + "/" + escape(step)
}

// openAI is the error body of OpenAI's API.
type openAI struct {
	Error struct {
		Message string  `json:"message"`
		Type    string  `json:"type"`
		Param   *string `json:"param"`
		Code    string  `json:"code"`
	} `json:"error"`
}

// rejection is the same for a rejection by a processor. The outer message is
// where clients of F5 AI Gateway look for it.
type rejection struct {
	Error struct {
		Message string `json:"message"`
		Type    string `json:"type"`
		Code    string `json:"code"`
	} `json:"error"`
	Message string `json:"message"`
}

func (r *refusal) body() []byte {
	var body any
	if r.policy {
		var b rejection
		b.Error.Message, b.Error.Type, b.Error.Code, b.Message = r.message, r.kind, r.code, r.message
		body = b
	} else {
		var b openAI
		b.Error.Message, b.Error.Type, b.Error.Code = r.message, r.kind, r.code
		body = b
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(body); err != nil {
		panic(err) // strings can always be encoded
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

// reply is the refusal as a message to Envoy.
func (r *refusal) reply() *extprocv3.ProcessingResponse {
	return &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_ImmediateResponse{
		ImmediateResponse: &extprocv3.ImmediateResponse{
			Status: &typev3.HttpStatus{Code: typev3.StatusCode(r.status)},
			Headers: &extprocv3.HeaderMutation{SetHeaders: []*corev3.HeaderValueOption{
				setHeader("content-type", []byte("application/json")),
			}},
			Body:    r.body(),
			Details: strings.ReplaceAll(r.details, " ", "_"),
		},
	}}
}
