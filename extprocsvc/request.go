package extprocsvc

import (
	"context"

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
	// Prompt is the body as the steps before have left it. It is nil for a
	// request without a body and for kinds that do not read it; otherwise its
	// messages are readable.
	Prompt *llm.Doc
	// Tags are the tags gathered so far, "key:value" in lower case.
	Tags []string
}

// Result is what a processor says about a request. It either rejects or
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
