package config

import (
	"reflect"
	"slices"
	"testing"
	"time"
)

// What F5's own file becomes, where it is not what the same words in our file
// would become.
func TestF5Model(t *testing.T) {
	c := parse(t, `
server: {address: "[::]:4141"}
routes:
- {path: /chat, policy: p, timeoutSeconds: 90}
- {path: /models, policy: list, schema: v1/models}
policies:
- {name: p, profiles: [{name: open}, {name: listed}]}
- {name: list, profiles: [{name: listed}]}
profiles:
- {name: open, services: [{name: a/1, selector: {type: input.model, operand: not, values: [x]}}, {name: b}]}
- {name: listed, models: [{name: m}], services: [{name: b}]}
services:
- {name: a/1, executor: openai, type: gpt, config: {endpoint: "https://llm.test/v1/chat/completions", secrets: [{source: EnvVar, targets: {apiKey: KEY}}]}}
- {name: b, executor: ollama, type: phi3, config: {endpoint: "http://ollama.test:11434/api/chat"}}
`, "KEY=sk-1")
	l := c.Listeners[0]
	if l.Port != 4141 || l.Hostname != "" || l.Name != "listener0" {
		t.Errorf("the listener is %+v", l)
	}
	chat, models := l.Routes[0], l.Routes[1]
	if chat.Name != "/chat" || chat.Matches[0].Path != (PathMatch{PathExact, "/chat"}) || chat.Timeout != 90*time.Second {
		t.Errorf("the route is %+v", chat)
	}
	if e := chat.ExtProc; e.FailOpen || e.ListsModels || len(e.Profiles) != 2 || e.Path != "routes[0].policy" {
		t.Errorf("its chain is %+v", e)
	}
	if !models.ExtProc.ListsModels || len(models.Backends) != 0 || models.Timeout != 0 {
		t.Errorf("the list of models is %+v", models)
	}
	open, listed := c.Profiles[0], c.Profiles[1]
	if open.ModelRule != ModelsForbidden || listed.ModelRule != ModelsListed || !slices.Equal(listed.Models, []string{"m"}) {
		t.Errorf("the profiles are %+v and %+v", open, listed)
	}
	if len(chat.Backends) != 2 || chat.Services[open.Services[0]] != chat.Backends[0] || chat.Services[listed.Services[0]] != chat.Backends[1] {
		t.Errorf("the services are %v of %v", chat.Services, chat.Backends)
	}
	a, b := chat.Backends[0], chat.Backends[1]
	if !reflect.DeepEqual(*a.AI, AI{Name: "a/1", Provider: "openAI", Model: "gpt", APIs: completionsAt("/v1/chat/completions")}) || a.Target != (Target{Host: "llm.test", Port: 443}) || a.TLS.MinVersion != "v1.3" || a.Credential.Ref != "env:KEY" || a.Credential.Reveal() != "sk-1" {
		t.Errorf("the first backend is %+v %+v", a, a.AI)
	}
	if !reflect.DeepEqual(*b.AI, AI{Name: "b", Provider: "openAI", Model: "phi3", APIs: completionsAt("/v1/chat/completions")}) || b.Target != (Target{Host: "ollama.test", Port: 11434}) || b.TLS != nil || b.Credential != nil {
		t.Errorf("the second backend is %+v %+v", b, b.AI)
	}
}

// The words of F5's sections that our file has beside agentgateway's.
func TestProfileModel(t *testing.T) {
	c := parse(t, `
processors:
- {name: a, type: x, timeout: 2s, failureMode: failOpen}
profiles:
- {name: unchecked, mode: observe, failureMode: failClosed, concurrency: parallel, inputStages: [{name: s, steps: [{name: a, timeout: 3s, mode: observe}]}], responseStages: [{name: t, concurrency: 0, selector: {operand: and, tags: ["# K:V:w"]}, steps: []}]}
- {name: forbidden, models: [], services: [{name: backend1, selector: {tags: ["k:v"]}}, {name: main}]}
binds:
- port: 1
  listeners:
  - routes:
    - policies: {timeout: {requestTimeout: 1m}, extProc: {profiles: [{name: unchecked, selector: {type: header, key: X-A, operand: none, values: [B]}}, {name: forbidden}]}}
      backends: [{name: main, host: "a:1"}, {host: "b:1"}]
`)
	u, f, rt := c.Profiles[0], c.Profiles[1], c.Listeners[0].Routes[0]
	if p := c.Processors[0]; p.Timeout != 2*time.Second || p.FailureMode != FailOpen {
		t.Errorf("the processor is %+v", p)
	}
	if u.ModelRule != ModelsUnchecked || f.ModelRule != ModelsForbidden || !u.Observe || u.FailureMode != FailClosed {
		t.Errorf("the profiles are %+v and %+v", u, f)
	}
	in, out := u.InputStages[0], u.ResponseStages[0]
	if !in.Parallel || in.Steps[0].Timeout != 3*time.Second || !in.Steps[0].Observe {
		t.Errorf("the input stage is %+v", in)
	}
	if s := out.Selector; out.Parallel || s.Kind != SelectTags || s.Operand != OperandAll || !slices.Equal(s.Values, []string{"# k:v:w"}) {
		t.Errorf("the response stage is %+v, its selector %+v", out, s)
	}
	if s := rt.ExtProc.Profiles[0].Selector; s.Kind != SelectHeader || s.Key != "x-a" || s.Operand != OperandNone || !slices.Equal(s.Values, []string{"B"}) {
		t.Errorf("the candidate's selector is %+v", s)
	}
	if rt.Timeout != time.Minute || rt.Services[f.Services[0]] != rt.Backends[1] || rt.Services[f.Services[1]] != rt.Backends[0] || rt.Backends[1].Name != "backend1" {
		t.Errorf("the route is %+v", rt)
	}
}
