package extprocsvc

import (
	"context"
	"fmt"
	"strings"

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/extprocsvc/llm"
	"github.com/attache-dev/attache/extprocsvc/sensitive"
)

// A guard is agentgateway's promptGuard of an ai backend: steps of the same
// engine as those of a profile, run behind the backend's settings on requests,
// and before the profile's response stages on answers.
type guard struct {
	profile
	// enabled tells that streamed answers are looked at, unread that what cannot
	// be read may pass.
	enabled, unread bool
}

// guardKind is what the engine has to know of the steps of guards.
var guardKind = &Kind{Name: "promptGuard", Phases: InputPhase | ResponsePhase, Needs: Modify | Reject, Internal: true, ReadsBody: true, Texts: true}

// guard builds the guard of an ai backend, or nil.
func (b *builder) guard(from *config.PromptGuard) *guard {
	if from == nil {
		return nil
	}
	g := &guard{profile: profile{name: "promptGuard", failure: config.FailClosed}, enabled: from.Streams, unread: from.PassUnreadable}
	for _, list := range []struct {
		name   string
		guards []*config.Guard
		into   *[]stage
	}{{"request", from.Request, &g.stages}, {"response", from.Response, &g.replies}} {
		st := stage{name: list.name}
		for _, one := range list.guards {
			if s, ok := b.guardStep(one, from.Streams && list.name == "response"); ok {
				st.steps = append(st.steps, s)
			}
		}
		if len(st.steps) > 0 {
			*list.into = []stage{st}
		}
	}
	g.streams = g.enabled && canStream(g.replies)
	return g
}

func (b *builder) guardStep(from *config.Guard, streams bool) (step, bool) {
	s := step{kind: guardKind, rights: Modify | Reject, failure: config.FailClosed, where: b.cfg.Place(from.Path)}
	switch {
	case from.Regex != nil:
		made, ok := b.regexGuard(from, streams)
		s.name, s.request, s.response, s.stream = "regex", made, made, made
		return s, ok
	case from.Webhook != nil && (from.Webhook.Target != nil || from.Webhook.Service != nil):
		made, err := newWebhook(from)
		if err != nil {
			b.errorf(from.Path+".webhook", config.Invalid, "%v", err)
			return s, false
		}
		if from.Webhook.FailOpen {
			s.failure = config.FailOpen
		}
		s.name, s.request, s.response, s.timeout = "webhook", made, made, webhookTimeout
		return s, true
	}
	return s, false // reported
}

// regexGuard is a guard of kind regex.
type regexGuard struct {
	finder *sensitive.Finder
	scope  config.Scope
	reject *Rejection // nil to mask
}

// masked is agentgateway's mask for what a pattern of the user's own matches.
const masked = "<masked>"

func (b *builder) regexGuard(from *config.Guard, streams bool) (*regexGuard, bool) {
	var rules []sensitive.Rule
	action := sensitive.Mask
	g := &regexGuard{scope: from.Scope}
	if from.Regex.Reject {
		action = sensitive.Reject
		g.reject = &Rejection{Code: PolicyViolation, Detail: string(from.Rejection.Body), Answer: answerOf(&from.Rejection)}
	}
	ok := true
	for _, r := range from.Regex.Rules {
		rule := sensitive.Rule{Name: r.Path, Expr: r.Pattern, MaxMatch: r.MaxMatch, Action: action, Label: masked}
		if r.Builtin != "" {
			rule.Matcher = sensitive.Lookup(r.Builtin)[0]
			rule.Label = rule.Matcher.Label
		}
		one, err := sensitive.Compile([]sensitive.Rule{rule}, sensitive.Options{})
		if err != nil {
			b.errorf(r.Path+".pattern", config.Invalid, "%s", strings.TrimPrefix(err.Error(), fmt.Sprintf("pattern %q: ", r.Path)))
			ok = false
			continue
		}
		if _, unbounded := one.Hold(); unbounded != nil && streams {
			b.errorf(r.Path+".pattern", config.Unsupported, "its matches can be of any length, so that a stream might have to be held without end; bound its repetitions, as in a{1,40}, or write maxMatch")
			ok = false
		}
		rules = append(rules, rule)
	}
	if !ok {
		return g, false
	}
	var err error
	if g.finder, err = sensitive.Compile(rules, sensitive.Options{}); err != nil {
		b.errorf(from.Path+".regex.rules", config.Unsupported, "%v", err)
		return g, false
	}
	return g, true
}

// scopeOf is the part of a request that a kind of text belongs to.
func scopeOf(k llm.Kind) config.Scope {
	switch k {
	case llm.System, llm.ToolDescription:
		return config.ScopeSystem
	case llm.Arguments:
		return config.ScopeToolInput
	case llm.ToolResult:
		return config.ScopeToolOutput
	}
	return config.ScopeMessages
}

// everything is what is looked at in an answer.
const everything = ^config.Scope(0)

// ProcessRequest looks at the parts of the request that are in scope.
func (g *regexGuard) ProcessRequest(ctx context.Context, r *Request) (Result, error) {
	return g.process(ctx, r.Prompt, g.scope)
}

// ProcessResponse looks at the whole answer.
func (g *regexGuard) ProcessResponse(ctx context.Context, r *Response) (Result, error) {
	return g.process(ctx, r.Completion, everything)
}

// ProcessStream looks at the texts of a streamed answer.
func (g *regexGuard) ProcessStream(context.Context, *Response) (StreamGuard, error) { return g, nil }

// Hold is how much of a text may have to be held.
func (g *regexGuard) Hold() (bytes int, bounded bool) {
	bytes, unbounded := g.finder.Hold()
	return bytes, unbounded == nil
}

// Text returns a guard of one text.
func (g *regexGuard) Text() TextGuard { return FindText(g.finder, nil, g.reject) }

func (g *regexGuard) process(ctx context.Context, doc *llm.Doc, scope config.Scope) (result Result, err error) {
	if doc == nil {
		return result, nil
	}
	var buf []byte
	var found []sensitive.Finding
	var changes []llm.Change
	any := false
	seams := NewSeams(g.finder, func(_ int, more []llm.Change) { any, changes = true, append(changes, more...) })
	for t := range doc.Texts() {
		if scope&scopeOf(t.Kind) == 0 {
			continue
		}
		if err := ctx.Err(); err != nil {
			return Result{}, err
		}
		text := t.Unquoted(&buf)
		found = g.finder.Find(found[:0], text)
		for _, x := range found {
			any, changes = true, append(changes, llm.Change{Text: t.Index, From: x.Start, To: x.End, With: x.With})
		}
		seams.Add(&t, text, found)
		if any && g.reject != nil {
			break
		}
	}
	if seams.Close(); any && g.reject != nil {
		return Result{Rejection: g.reject}, nil
	}
	if len(changes) > 0 {
		result.Edits = []llm.Edit{llm.ChangeTexts(changes...)}
	}
	return result, nil
}

// answerOf is what the client gets when a guard rejects.
func answerOf(r *config.GuardRejection) *Answer {
	a := &Answer{Status: uint32(r.Status), Body: r.Body, Headers: []config.Header{{Name: "content-type", Value: "text/plain"}}}
	if r.Headers == nil {
		return a
	}
	without := func(name string) {
		kept := a.Headers[:0]
		for _, h := range a.Headers {
			if !strings.EqualFold(h.Name, name) {
				kept = append(kept, h)
			}
		}
		a.Headers = kept
	}
	a.Headers = append(a.Headers, r.Headers.Add...)
	for _, h := range r.Headers.Set {
		without(h.Name)
		a.Headers = append(a.Headers, h)
	}
	for _, name := range r.Headers.Remove {
		without(name)
	}
	return a
}

// guardContent is what the hash of a chain has to know of a guard: everything
// but the places in the file, which move when something else is edited.
func guardContent(g *config.PromptGuard) any {
	list := func(guards []*config.Guard) (content []any) {
		for _, one := range guards {
			c := *one
			if c.Path = ""; c.Regex != nil {
				regex := *c.Regex
				regex.Rules = append([]config.RegexRule(nil), regex.Rules...)
				for i := range regex.Rules {
					regex.Rules[i].Path = ""
				}
				c.Regex = &regex
			}
			content = append(content, c)
		}
		return content
	}
	return []any{list(g.Request), list(g.Response), g.Streams, g.PassUnreadable}
}
