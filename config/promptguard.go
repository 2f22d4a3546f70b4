package config

import (
	"fmt"
	"slices"
	"strings"
)

// PromptGuard looks at what goes to a model and at what comes from it. It never
// fails open.
type PromptGuard struct {
	// Path is the place in the file.
	Path string
	// Request and Response are the guards, in order: the first that rejects ends
	// the request, and each sees what those before it have masked.
	Request, Response []*Guard
	// Streams tells that streamed answers are guarded as well. Default false.
	Streams bool
	// PassUnreadable lets pass what no guard can read. Default false.
	PassUnreadable bool
}

// Guard is one of a list: exactly one of Regex and Webhook is set.
type Guard struct {
	// Path is the place in the file.
	Path    string
	Regex   *RegexGuard
	Webhook *WebhookGuard
	// Scope is what is looked at in a request.
	Scope Scope
	// Rejection is what the client gets when the guard rejects.
	Rejection GuardRejection
}

// Scope is a set of parts of a request.
type Scope uint8

// The parts, and those that are looked at where the file does not say.
const (
	ScopeSystem Scope = 1 << iota
	ScopeMessages
	ScopeToolInput
	ScopeToolOutput
	DefaultScope = ScopeSystem | ScopeMessages
)

// scopes are agentgateway's words.
var scopes = map[string]Scope{
	"systemPrompt": ScopeSystem, "messages": ScopeMessages, "toolInput": ScopeToolInput, "toolOutput": ScopeToolOutput,
}

// GuardRejection is an answer in place of the model's.
type GuardRejection struct {
	// Status is 200 to 599. Default 403.
	Status uint16
	// Body is text, unless Headers say something else.
	Body []byte
	// Headers changes its headers, of which there is content-type; nil leaves
	// them.
	Headers *HeaderModifier
}

// RegexGuard looks for expressions.
type RegexGuard struct {
	// Reject rejects what has a match; otherwise matches are masked.
	Reject bool
	Rules  []RegexRule
}

// RegexRule is one of the expressions that are known by name, or another.
type RegexRule struct {
	// Path is the place in the file.
	Path string
	// Builtin is agentgateway's word, Pattern an expression in RE2's syntax.
	// Exactly one of them is set.
	Builtin, Pattern string
	// MaxMatch bounds what is held of a stream for a match of Pattern, in bytes;
	// 0 for what the expression says.
	MaxMatch int
}

// WebhookGuard asks a service over HTTP.
type WebhookGuard struct {
	// Exactly one of Target and Service is where it is.
	Target  *Target
	Service *WorkloadService
	// TLS tells how to encrypt; nil for plain text.
	TLS *TLS
	// Headers are sent along, sorted by name, which is in lower case. Their
	// variables are those of the request.
	Headers []ComputedHeader
	// Forward chooses headers of the client's request to send along.
	Forward []ValueMatch
	// FailOpen lets pass while the service is away. Default false.
	FailOpen bool
}

// ComputedHeader is a header whose value depends on the request.
type ComputedHeader struct {
	Name  string
	Value Expression
}

// promptGuard reads the guards at a place.
func (r *resolver) promptGuard(path string, f *filePromptGuard) *PromptGuard {
	g := &PromptGuard{Path: path, Streams: f.Streaming == "Enabled", PassUnreadable: f.Unreadable == "pass"}
	for i := range f.Request.list {
		one := &f.Request.list[i].Guards
		g.Request = r.guard(g.Request, fmt.Sprintf("%s.request[%d]", path, i), &one.Both, one.Scope)
	}
	if early := f.Request.early; early != nil {
		r.earlyGuards(path+".request", &early.Both)
		g.Request = r.guard(g.Request, path+".request", &early.Both, early.Scope)
	}
	for i := range f.Response.list {
		g.Response = r.guard(g.Response, fmt.Sprintf("%s.response[%d]", path, i), &f.Response.list[i].Guards, nil)
	}
	if early := f.Response.early; early != nil {
		r.earlyGuards(path+".response", early)
		g.Response = r.guard(g.Response, path+".response", early, nil)
	}
	switch {
	case len(g.Request)+len(g.Response) == 0:
		r.warnf(path, Unreachable, "without effect: there are no guards in it")
		return nil
	case len(g.Response) > 0 && !g.Streams:
		r.warnf(path, Unreachable, "as in agentgateway, answers that are streamed are not looked at; write streaming: Enabled to guard them too")
	}
	return g
}

// earlyGuards looks at the one mapping that releases up to 0.10 had.
func (r *resolver) earlyGuards(path string, f *fileResponseGuards) {
	r.warnf(path, Deprecated, "a deprecated form; write a list, with one guard in each entry")
	if f.Regex == nil && f.Webhook == nil && f.BedrockGuardrails == nil && f.GoogleModelArmor == nil && f.AzureContentSafety == nil && !r.mistaken[path] {
		r.missingf(path, "expected regex or webhook")
	}
}

// guard adds those of an entry: one, or for early releases several, of which
// what masks comes first, so that nobody else is told more than needed.
func (r *resolver) guard(list []*Guard, path string, f *fileResponseGuards, scope []string) []*Guard {
	rejection := f.Rejection
	rejectionPath := path + ".rejection"
	var made []*Guard
	if f.Regex != nil {
		g := &Guard{Path: path, Regex: r.regexGuard(path+".regex", f.Regex)}
		if a := f.Regex.Action; a != nil && a.block != nil {
			r.warnf(path+".regex.action", Deprecated, "a deprecated form; write action: reject, and rejection beside regex")
			if early := a.block.Reject.Response; early != nil && rejection == nil {
				rejection, rejectionPath = early, path+".regex.action.reject.response"
			}
		}
		made = append(made, g)
	}
	if f.Webhook != nil {
		made = append(made, &Guard{Path: path, Webhook: r.webhookGuard(path+".webhook", f.Webhook)})
	}
	answer := r.guardRejection(rejectionPath, rejection)
	for _, g := range made {
		g.Rejection = answer
		for _, word := range scope {
			g.Scope |= scopes[word]
		}
		if scope == nil {
			g.Scope = DefaultScope
		}
	}
	if scope != nil && len(scope) == 0 {
		r.errorf(path+".scope", Invalid, "with an empty scope nothing is looked at; leave it out for systemPrompt and messages")
	}
	return append(list, made...)
}

// inappropriate is agentgateway's text.
const inappropriate = "The request was rejected due to inappropriate content"

func (r *resolver) guardRejection(path string, f *fileRejection) GuardRejection {
	a := GuardRejection{Status: 403, Body: []byte(inappropriate)}
	if f == nil {
		return a
	}
	if f.Body != nil {
		a.Body = *f.Body
	}
	if f.Status != nil {
		if a.Status = *f.Status; a.Status < 200 || a.Status > 599 {
			r.errorf(path+".status", Invalid, "expected a status from 200 to 599")
		}
	}
	if f.Headers != nil {
		a.Headers = r.headerModifier(path+".headers", f.Headers)
	}
	return a
}

func (r *resolver) regexGuard(path string, f *fileRegexGuard) *RegexGuard {
	g := &RegexGuard{Reject: f.Action != nil && (f.Action.text == "reject" || f.Action.block != nil)}
	if len(f.Rules) == 0 {
		r.warnf(path+".rules", Unreachable, "without effect: there are no rules")
	}
	for i, from := range f.Rules {
		rule := RegexRule{Path: fmt.Sprintf("%s.rules[%d]", path, i), Builtin: from.Builtin, Pattern: from.Pattern, MaxMatch: from.MaxMatch}
		if from.Pattern != "" {
			r.regex(rule.Path+".pattern", from.Pattern)
		}
		switch {
		case from.MaxMatch != 0 && from.Builtin != "":
			r.errorf(rule.Path+".maxMatch", Conflict, "only patterns have this; the builtins are bounded")
		case from.MaxMatch != 0 && from.MaxMatch < 4:
			r.errorf(rule.Path+".maxMatch", Invalid, "expected at least 4 bytes")
		}
		g.Rules = append(g.Rules, rule)
	}
	return g
}

// webhookVariables are those of the request that the service knows.
var webhookVariables = []string{"request.method", "request.host", "request.scheme", "request.path", "request.pathAndQuery", "request.headers"}

func (r *resolver) webhookGuard(path string, f *fileWebhookGuard) *WebhookGuard {
	g := &WebhookGuard{FailOpen: f.FailureMode == "failOpen"}
	r.webhookTarget(path+".target", &f.Target, g)
	for _, name := range words(f.Headers) {
		place := path + ".headers." + name
		e, ok := r.expression(place, string(f.Headers[name]))
		_, text := e.Literal.(string)
		switch {
		case !ok:
		case e.Variable == "" && !text, e.Variable != "" && !slices.Contains(webhookVariables, e.Variable):
			r.errorf(place, Unsupported, "not supported here yet; expected a string literal, or one of %s", strings.Join(webhookVariables, ", "))
		}
		r.headerName(place, name)
		if slices.Contains(framing, strings.ToLower(name)) {
			r.errorf(place, Unsupported, "tells where the body ends; the gateway sets it itself")
		}
		g.Headers = append(g.Headers, ComputedHeader{strings.ToLower(name), e})
	}
	for i := range f.ForwardHeaderMatches {
		m := r.valueMatch(fmt.Sprintf("%s.forwardHeaderMatches[%d]", path, i), &f.ForwardHeaderMatches[i])
		m.Name = strings.ToLower(m.Name)
		g.Forward = append(g.Forward, m)
	}
	return g
}

// webhookTarget is where the service is.
func (r *resolver) webhookTarget(path string, f *stringOr[fileDestination], g *WebhookGuard) {
	if f.block == nil {
		if f.text == "" {
			return // reported as missing
		}
		t, encrypted, err := parseServer(f.text)
		if err != nil {
			r.errorf(path, Invalid, "%v", err)
			return
		}
		r.warnf(path, Deprecated, "a deprecated form; write target: {host: …}")
		if g.Target = &t; encrypted {
			g.TLS = &TLS{}
		}
		return
	}
	switch d := f.block; {
	case d.Host != "":
		g.Target, g.TLS = r.server(path, d.Host, nil)
	case d.Service != nil:
		r.webhookService(path+".service", d.Service, g)
	case d.Backend != "":
		g.Target, g.TLS = r.webhookBackend(path, d.Backend)
	}
}

// webhookService is an entry of the section "services", whose workloads are asked
// in turn.
func (r *resolver) webhookService(path string, f *fileServiceRef, g *WebhookGuard) {
	var b Backend
	r.workloadBackend(path, f, &b)
	switch {
	case b.Service == nil: // reported
	case b.HTTP.Version == "2":
		r.errorf(path, Unsupported, "a webhook is asked over HTTP/1; give it a port whose appProtocol is not Http2 or Grpc")
	case len(b.Service.Endpoints) == 0:
		r.errorf(path, Reference, "the service has no healthy workload at this port")
	default:
		g.Service = b.Service
	}
}

// webhookBackend is a server of the section "backends", of which the address and
// how to encrypt are used.
func (r *resolver) webhookBackend(path, name string) (*Target, *TLS) {
	to := r.named(path+".backend", name)
	if to == nil {
		return nil, nil
	}
	b := r.backendAt(path, to.owner, &fileBackend{}, to, nil)
	if b.Target == (Target{}) || b.AI != nil || b.Credential != nil || b.TLS != nil && len(b.TLS.SubjectAltNames)+len(b.TLS.KeyExchangeGroups) > 0 {
		r.errorf(path+".backend", Unsupported, "a webhook is a backend of kind host, of which only backendTLS is used, and of that neither subjectAltNames nor keyExchangeGroups")
		return nil, nil
	}
	return &b.Target, b.TLS
}
