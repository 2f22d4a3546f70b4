package config

// The types of this file look at prompts and answers.

// filePromptGuard guards what goes to a model and what comes from it. It never
// fails open, whatever the route's extProc says.
type filePromptGuard struct {
	// Streaming guards streamed answers as well.
	// Default: Disabled, with a warning: answers that stream are not looked at.
	// Differs: Enabled masks streams too, without a window: text is held only
	// while it may be part of a match. With a webhook the whole answer is held.
	Streaming string `yaml:"streaming" enum:"Disabled Enabled"`
	// Unreadable is ours: what happens to requests and answers that no guard can
	// read, such as other content types, unknown encodings and upgrades: refuse answers
	// 415, 413, 400 or 502, pass lets them pass unguarded.
	// Default: refuse.
	Unreadable string `yaml:"unreadable" enum:"refuse pass"`
	// Request are the guards for requests, in order: the first that rejects
	// ends them.
	Request fileGuards[fileRequestGuard, fileRequestGuards] `yaml:"request"`
	// Response are the guards for answers.
	Response fileGuards[fileResponseGuard, fileResponseGuards] `yaml:"response"`
}

// fileGuards is a list of guards of one kind each. Releases up to 0.10 had one
// mapping that could have several kinds.
type fileGuards[One, Several any] struct {
	list  []One
	early *Several
}

func (g *fileGuards[One, Several]) decodeNode(d *decoder, n *node) {
	switch {
	case n.isNull():
	case n.kind == mappingNode:
		g.early = new(Several)
		d.decode(n, g.early)
	default:
		d.decode(n, &g.list)
	}
}

func (fileGuards[One, Several]) forms() []form {
	return []form{{like: []One{}}, {like: *new(Several), name: "one mapping, up to v0.10"}}
}

type fileRequestGuard struct {
	_ struct{} `oneOf:"regex webhook openAIModeration bedrockGuardrails googleModelArmor azureContentSafety"`

	Guards fileRequestGuards `yaml:",inline"`
}

type fileResponseGuard struct {
	_ struct{} `oneOf:"regex webhook bedrockGuardrails googleModelArmor azureContentSafety"`

	Guards fileResponseGuards `yaml:",inline"`
}

// fileRequestGuards are the kinds of guards for requests.
type fileRequestGuards struct {
	Both fileResponseGuards `yaml:",inline"`

	// OpenAIModeration asks OpenAI.
	OpenAIModeration *fileModerationGuard `yaml:"openAIModeration,notyet" old:"openaiModeration"`
	// Scope lists the parts of a request that are looked at. toolInput is what
	// tools are called with, toolOutput what they answer.
	// Default: systemPrompt and messages.
	// Differs: descriptions of tools belong to systemPrompt, and names and texts
	// of other kinds to messages.
	Scope []string `yaml:"scope" enum:"systemPrompt messages toolOutput toolInput"`
}

// fileResponseGuards are the kinds of guards for answers.
type fileResponseGuards struct {
	// Regex looks for patterns.
	// Envoy: our ext_proc service.
	Regex *fileRegexGuard `yaml:"regex"`
	// Webhook asks a service of your own: POST /request with the messages, or
	// /response with the choices, within 10 seconds.
	// Envoy: our ext_proc service.
	// Differs: a service that replaces messages must give as many of them as it
	// got, in the same order.
	Webhook *fileWebhookGuard `yaml:"webhook"`
	// BedrockGuardrails asks Amazon.
	BedrockGuardrails *fileBedrockGuard `yaml:"bedrockGuardrails,notyet"`
	// GoogleModelArmor asks Google.
	GoogleModelArmor *fileModelArmorGuard `yaml:"googleModelArmor,notyet"`
	// AzureContentSafety asks Microsoft.
	AzureContentSafety *fileContentSafetyGuard `yaml:"azureContentSafety,notyet"`
	// Rejection is what the client gets when the guard rejects.
	Rejection *fileRejection `yaml:"rejection"`
}

type fileRejection struct {
	// Body is the body of the answer.
	// Default: The request was rejected due to inappropriate content.
	Body *fileBytes `yaml:"body"`
	// Status is the status of the answer.
	// Default: 403.
	Status *uint16 `yaml:"status"`
	// Headers edit the headers of the answer.
	Headers *fileHeaderModifier `yaml:"headers"`
}

type fileRegexGuard struct {
	// Action is what happens to a match: mask or reject. Releases up to 0.10
	// wrote {reject: {response: …}} for the latter.
	// Default: mask.
	Action *stringOr[fileRegexReject] `yaml:"action" enum:"mask reject" enumNotYet:"audit"`
	// Rules are the patterns.
	Rules []fileRegexRule `yaml:"rules,required"`
}

// fileRegexReject is how releases up to 0.10 wrote reject, with its rejection.
type fileRegexReject struct {
	// Reject rejects what matches.
	Reject fileRegexResponse `yaml:"reject,required"`
}

type fileRegexResponse struct {
	// Response is what the client gets.
	Response *fileRejection `yaml:"response"`
}

type fileRegexRule struct {
	_ struct{} `oneOf:"builtin pattern"`

	// Builtin is one of the patterns that are known by name: the matchers of
	// data-security.
	// Differs: checksums and ranges are verified.
	Builtin string `yaml:"builtin" enum:"ssn creditCard phoneNumber email caSin"`
	// Pattern is a regular expression in RE2 syntax. With streaming: Enabled, its
	// matches must have a bound, as of a{1,40}, or maxMatch.
	Pattern string `yaml:"pattern"`
	// MaxMatch is ours: how many bytes of a streamed answer may be held for a
	// match of the pattern, at least 4. What grows longer is masked whether it
	// becomes a match or not.
	MaxMatch int `yaml:"maxMatch"`
	// Name was the name of a pattern in releases up to 0.10.
	Name string `yaml:"name"`
}

type fileWebhookGuard struct {
	// MessageFormat tells whether the service gets messages in the provider's own
	// form.
	MessageFormat string `yaml:"messageFormat,notyet"`
	// Path is that of the request to the service.
	Path string `yaml:"path,notyet"`
	// MinSizeBytes lets shorter messages pass.
	MinSizeBytes *uint64 `yaml:"minSizeBytes,notyet"`

	// Target is the service. Releases up to 0.10 had host:port. The workloads of an
	// entry of the section services are asked in turn.
	Target stringOr[fileDestination] `yaml:"target,required"`
	// Headers are computed from the client's request and sent along.
	// Differs: an expression must be a string literal, or one of request.method,
	// request.host, request.scheme, request.path, request.pathAndQuery and
	// request.headers["name"].
	Headers map[string]fileCEL `yaml:"headers"`
	// ForwardHeaderMatches choose headers of the client's request to send along.
	ForwardHeaderMatches []fileValueMatch `yaml:"forwardHeaderMatches"`
	// FailureMode is what happens when the service fails: failClosed rejects,
	// failOpen lets pass.
	// Default: failClosed.
	FailureMode string `yaml:"failureMode" enum:"failClosed failOpen"`
}

type fileModerationGuard struct {
	// Model is the model that judges.
	// Default: omni-moderation-latest.
	Model string `yaml:"model"`
	// Policies say how OpenAI is spoken to.
	Policies *fileServerPolicies `yaml:"policies"`
	// Auth is how releases up to 0.10 wrote policies.backendAuth.
	Auth *fileBackendAuth `yaml:"auth"`
}

type fileBedrockGuard struct {
	// GuardrailIdentifier names the guardrail.
	GuardrailIdentifier string `yaml:"guardrailIdentifier,required"`
	// GuardrailVersion is its version.
	GuardrailVersion string `yaml:"guardrailVersion,required"`
	// Region is the region that it is in.
	Region string `yaml:"region,required"`
	// Policies say how Amazon is spoken to.
	Policies *fileServerPolicies `yaml:"policies"`
}

type fileModelArmorGuard struct {
	// TemplateID names the template.
	TemplateID string `yaml:"templateId,required"`
	// ProjectID names the project.
	ProjectID string `yaml:"projectId,required"`
	// Location is where the template is.
	// Default: us-central1.
	Location string `yaml:"location"`
	// Policies say how Google is spoken to.
	Policies *fileServerPolicies `yaml:"policies"`
}

type fileContentSafetyGuard struct {
	// Endpoint is the host of the service.
	Endpoint string `yaml:"endpoint,required"`
	// AnalyzeText looks for harm and for listed terms.
	AnalyzeText *fileAnalyzeText `yaml:"analyzeText"`
	// DetectJailbreak looks for attacks on the model, in requests.
	DetectJailbreak *fileDetectJailbreak `yaml:"detectJailbreak"`
	// Policies say how Microsoft is spoken to.
	Policies *fileServerPolicies `yaml:"policies"`
}

type fileAnalyzeText struct {
	// SeverityThreshold, 0 to 6, is where rejecting begins.
	// Default: 2.
	SeverityThreshold *int `yaml:"severityThreshold"`
	// APIVersion is the version of the API.
	// Default: 2024-09-01.
	APIVersion string `yaml:"apiVersion"`
	// BlocklistNames are lists of terms.
	BlocklistNames *[]string `yaml:"blocklistNames"`
	// HaltOnBlocklistHit stops at the first listed term.
	HaltOnBlocklistHit *bool `yaml:"haltOnBlocklistHit"`
}

type fileDetectJailbreak struct {
	// APIVersion is the version of the API.
	// Default: 2024-02-15-preview.
	APIVersion string `yaml:"apiVersion"`
}

// filePromptCaching marks what a provider may cache.
type filePromptCaching struct {
	// CacheSystem marks system prompts.
	// Default: true.
	CacheSystem *bool `yaml:"cacheSystem"`
	// CacheMessages marks messages.
	// Default: true.
	CacheMessages *bool `yaml:"cacheMessages"`
	// CacheTools marks the definitions of tools.
	// Default: false.
	CacheTools bool `yaml:"cacheTools"`
	// MinTokens is the length below which nothing is marked.
	// Default: 1024.
	MinTokens *uint64 `yaml:"minTokens"`
	// CacheMessageOffset moves the mark from the last message towards the first.
	// Default: 0.
	CacheMessageOffset uint64 `yaml:"cacheMessageOffset"`
}
