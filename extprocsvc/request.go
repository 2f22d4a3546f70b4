package extprocsvc

import (
	"context"

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/extprocsvc/llm"
)

// RequestProcessor works on requests, before they are sent to the model.
type RequestProcessor interface {
	// ProcessRequest looks at a request and says what to do with it. It is
	// called for many requests at the same time. It must not change r nor keep
	// any part of it, and must return soon after ctx ends. An error means that
	// it could not do its work; its text must hold nothing of the prompt, since
	// it is logged.
	ProcessRequest(ctx context.Context, r *Request) (Result, error)
}

// Request is what a processor sees.
type Request struct {
	// Prompt is the body as the steps before have left it, of whichever API;
	// see [llm.Doc.Dialect]. It is nil for a request without a body and for kinds
	// that do not read it; otherwise its messages are readable.
	Prompt *llm.Doc
	// Tags are the tags gathered so far, "key:value" in lower case.
	Tags []string
	// Call identifies the request.
	Call Call
}

// Call is what identifies a request towards others.
type Call struct {
	// ID is the client's x-request-id, else the trace id of traceparent, else
	// a new UUIDv7.
	ID string
	// TraceParent and TraceState are the headers of W3C Trace Context; empty
	// without.
	TraceParent, TraceState string

	head *head // for what is computed from headers
}

// ResponseProcessor works on the model's responses.
type ResponseProcessor interface {
	// ProcessResponse is to responses what ProcessRequest is to requests.
	ProcessResponse(ctx context.Context, r *Response) (Result, error)
}

// Response is what a processor sees of a response.
type Response struct {
	// Completion is the model's answer as the steps before have left it, and is
	// readable.
	Completion *llm.Doc
	// Prompt is the request as the model got it, or nil if it had no body.
	Prompt *llm.Doc
	// Tags are the tags gathered so far, those of the request included.
	Tags []string
	Call Call
}

// StepError is an error of a processor that knows what the client is to be
// told. Others are 500, or 504 if they are context.DeadlineExceeded.
type StepError struct {
	// Status is the HTTP status, 500 or above.
	Status uint32
	// Msg is logged. It holds nothing of the request.
	Msg string
	// Final tells that the cause is what came, not the state of the processor:
	// the step fails whatever its failure mode.
	Final bool
}

func (e *StepError) Error() string { return e.Msg }

// Result is what a processor says about a request or a response. It either rejects or
// modifies, never both. The zero Result lets the request pass as it is.
type Result struct {
	// Tags are added to those of the request, in lower case. Each is
	// "key:value".
	Tags []string
	// Edits change the prompt. Without a prompt they change nothing.
	Edits []llm.Edit
	// Rejection ends the request.
	Rejection *Rejection
}

// Rejection refuses a request for what it says.
type Rejection struct {
	// Code is one of F5's, such as [PolicyViolation]. It decides the status.
	Code string
	// Detail is shown to the client.
	Detail string
	// Answer is what the client gets in place of an error of its API; nil for
	// that. A streamed answer that has begun ends with the error all the same.
	Answer *Answer
}

// Answer is a whole answer to the client.
type Answer struct {
	// Status is 200 to 599.
	Status  uint32
	Body    []byte
	Headers []config.Header
}

// PolicyViolation is the code of a rejection by policy: status 422.
const PolicyViolation = "AIGW_POLICY_VIOLATION"

// rejectionStatus holds the statuses of F5's rejection codes. Only the policy
// violation's is attested; the others are what clients' retry logic expects.
// Codes that are not listed give 422.
var rejectionStatus = map[string]struct {
	status uint32
	kind   string
}{
	PolicyViolation:              {422, "policy_violation"},
	"AIGW_AUTHENTICATION":        {401, "authentication_error"},
	"AIGW_AUTHORIZATION":         {403, "permission_error"},
	"AIGW_RATE_LIMIT":            {429, "rate_limit_error"},
	"AIGW_RESOURCE_AVAILABILITY": {503, "server_error"},
	"AIGW_TIMEOUT":               {504, "server_error"},
	"AIGW_VALIDATION":            {400, "invalid_request_error"},
}
