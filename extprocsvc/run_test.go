package extprocsvc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/extprocsvc"
	"github.com/attache-dev/attache/extprocsvc/extproctest"
	"github.com/attache-dev/attache/extprocsvc/llm"
)

// fakes are kinds that do what their params say.
var fakes = func() *extprocsvc.Registry {
	var r extprocsvc.Registry
	r.Register(extprocsvc.Kind{
		Name: "fake", Phases: extprocsvc.InputPhase, ReadsBody: true,
		New: func(s extprocsvc.Setup) (extprocsvc.Processor, error) {
			f := &fake{}
			return f, s.Params.Decode(f)
		},
	})
	r.Register(extprocsvc.Kind{
		Name: "chatty", Phases: extprocsvc.InputPhase, ReadsBody: true, ChatOnly: true,
		New: func(s extprocsvc.Setup) (extprocsvc.Processor, error) {
			f := &fake{}
			return f, s.Params.Decode(f)
		},
	})
	r.Register(extprocsvc.Kind{
		Name: "replier", Phases: extprocsvc.ResponsePhase, ReadsBody: true,
		New: func(s extprocsvc.Setup) (extprocsvc.Processor, error) {
			f := &replier{}
			return f, s.Params.Decode(f)
		},
	})
	r.Register(extprocsvc.Kind{
		Name: "sleepy", Phases: extprocsvc.InputPhase,
		New: func(s extprocsvc.Setup) (extprocsvc.Processor, error) {
			f := &sleepy{}
			return f, s.Params.Decode(f)
		},
	})
	r.Register(extprocsvc.Kind{
		Name: "meeting", Phases: extprocsvc.InputPhase, ReadsBody: true,
		New: func(extprocsvc.Setup) (extprocsvc.Processor, error) { return meeting{}, nil },
	})
	r.Register(extprocsvc.Kind{
		Name: "blind", Phases: extprocsvc.InputPhase,
		New: func(s extprocsvc.Setup) (extprocsvc.Processor, error) {
			f := &fake{}
			return f, s.Params.Decode(f)
		},
	})
	r.Register(extprocsvc.Kind{
		Name: "nothing", Phases: extprocsvc.InputPhase,
		New: func(extprocsvc.Setup) (extprocsvc.Processor, error) { return struct{}{}, nil },
	})
	return &r
}()

type fake struct {
	Tags  []string `yaml:"tags"`
	Rules []string `yaml:"rules"`
	Say   string   `yaml:"say"`
	// Do is panic, fail, nil-pointer, or wait: until the time is up.
	Do string `yaml:"do"`
}

func (f *fake) ProcessRequest(ctx context.Context, r *extprocsvc.Request) (extprocsvc.Result, error) {
	switch f.Do {
	case "panic":
		panic("a secret prompt")
	case "nil-pointer":
		var p *fake
		p.Do = "x"
	case "fail":
		return extprocsvc.Result{}, errors.New("no luck")
	case "wait":
		<-ctx.Done()
		return extprocsvc.Result{}, ctx.Err()
	}
	res := extprocsvc.Result{Tags: f.Tags}
	if f.Say != "" {
		detail := f.Say
		if r.Prompt != nil {
			for t := range r.Prompt.Texts() {
				detail += "|" + string(t.Raw)
			}
		}
		res.Rejection = &extprocsvc.Rejection{Code: extprocsvc.PolicyViolation, Detail: detail}
	}
	if len(f.Rules) > 0 {
		res.Edits = []llm.Edit{llm.AddSystem(f.Rules...)}
	}
	return res, nil
}

// sleepy takes its time.
type sleepy struct {
	MS int `yaml:"ms"`
}

func (f *sleepy) ProcessRequest(ctx context.Context, _ *extprocsvc.Request) (extprocsvc.Result, error) {
	select {
	case <-time.After(time.Duration(f.MS) * time.Millisecond):
	case <-ctx.Done():
	}
	return extprocsvc.Result{}, ctx.Err()
}

// meeting waits twice for somebody who looks at it.
type meeting struct{}

var meetings = make(chan struct{})

func (meeting) ProcessRequest(context.Context, *extprocsvc.Request) (extprocsvc.Result, error) {
	<-meetings
	<-meetings
	return extprocsvc.Result{}, nil
}

// replier looks at responses.
type replier struct {
	Tags []string `yaml:"tags"`
	// Put replaces the choices.
	Put string `yaml:"put"`
	Say string `yaml:"say"`
	Do  string `yaml:"do"`
}

func (f *replier) ProcessResponse(ctx context.Context, r *extprocsvc.Response) (extprocsvc.Result, error) {
	switch f.Do {
	case "fail":
		return extprocsvc.Result{}, &extprocsvc.StepError{Status: 502, Msg: "no luck"}
	case "wait":
		<-ctx.Done()
		return extprocsvc.Result{}, errors.New("interrupted")
	}
	res := extprocsvc.Result{Tags: f.Tags}
	if f.Put != "" {
		res.Edits = []llm.Edit{llm.ReplaceList([]byte(f.Put))}
	}
	if f.Say != "" {
		detail := f.Say
		for _, d := range []*llm.Doc{r.Prompt, r.Completion} {
			if d != nil {
				for t := range d.Texts() {
					detail += "|" + string(t.Raw)
				}
			}
		}
		res.Rejection = &extprocsvc.Rejection{Code: "AIGW_RATE_LIMIT", Detail: detail}
	}
	return res, nil
}

// stages is a file with one route whose profile q has these stages. Every
// step's name is a processor with its params.
func stages(mode, stages string, processors ...string) string {
	return "processors:\n- " + strings.Join(processors, "\n- ") + `
profiles:
- name: q
  inputStages:
` + stages + `
binds: [{port: 1, listeners: [{routes: [{policies: {extProc: {profile: q, failureMode: ` + mode + `}}, backends: [{host: "h:1"}]}]}]}]
`
}

func rejection(detail string) string {
	return fmt.Sprintf(`the client gets 422 {"error":{"message":%q,"type":"policy_violation","code":"AIGW_POLICY_VIOLATION"},"message":%q}`, detail, detail)
}

func failure(status int, message, code string) string {
	kind := "server_error"
	if status < 500 {
		kind = "invalid_request_error"
	}
	return fmt.Sprintf(`the client gets %d {"error":{"message":%q,"type":%q,"param":null,"code":%q}}`, status, message, kind, code)
}

func TestStages(t *testing.T) {
	const hi = `{"messages":[{"role":"user","content":"hi"}]}`
	const system = `{"role":"system","content":`
	failed := failure(500, "a processor of the gateway failed: p", "processor_failed")
	for _, c := range []struct {
		name, mode, stages string
		processors         []string
		want               string
		details            string
	}{
		{
			"stages and steps see what was done before", "failClosed", `
  - {name: one, steps: [{name: a}, {name: b}]}
  - {name: two, steps: [{name: say}]}`,
			[]string{
				`{name: a, type: fake, params: {modify: true, rules: [r1]}}`,
				`{name: b, type: fake, params: {modify: true, rules: [r2, r3]}}`,
				`{name: say, type: fake, params: {reject: true, say: seen}}`,
			},
			rejection("seen|r1|r2|r3|hi"), "attache_rejected{q/two/say}",
		},
		{
			"a selector that holds", "failClosed", `
  - {name: tag, steps: [{name: a}, {name: b}]}
  - {name: any, selector: {tags: ["x:y", "language:EN"]}, steps: [{name: r1}]}
  - {name: all, selector: {operand: all, tags: ["language:en", "b:1"]}, steps: [{name: r2}]}
  - {name: none, selector: {operand: none, tags: ["x:y"]}, steps: [{name: r3}]}`,
			[]string{
				`{name: a, type: fake, params: {tags: ["Language:EN"]}}`,
				`{name: b, type: fake, params: {tags: ["b:1", "b:1"]}}`,
				`{name: r1, type: fake, params: {modify: true, rules: [any]}}`,
				`{name: r2, type: fake, params: {modify: true, rules: [all]}}`,
				`{name: r3, type: fake, params: {modify: true, rules: [none]}}`,
			},
			`the model gets {"messages":[` + system + `"any"},` + system + `"all"},` + system + `"none"},{"role":"user","content":"hi"}]}`, "",
		},
		{
			"a selector that does not", "failClosed", `
  - {name: tag, steps: [{name: a}]}
  - {name: any, selector: {tags: ["x:y"]}, steps: [{name: say}]}
  - {name: all, selector: {operand: all, tags: ["a:1", "x:y"]}, steps: [{name: say}]}
  - {name: none, selector: {operand: none, tags: ["x:y", "a:1"]}, steps: [{name: say}]}`,
			[]string{`{name: a, type: fake, params: {tags: ["a:1"]}}`, `{name: say, type: fake, params: {reject: true, say: no}}`},
			"the model gets " + hi, "",
		},
		{
			"the first rejection ends it", "failClosed", `
  - {name: s, steps: [{name: say}, {name: other}]}`,
			[]string{`{name: say, type: blind, params: {reject: true, say: 'one "two"'}}`, `{name: other, type: fake, params: {do: panic}}`},
			rejection(`one "two"`), "attache_rejected{q/s/say}",
		},
		{
			"step over processor params", "failClosed", `
  - {name: s, steps: [{name: say, params: {say: from the step}}]}`,
			[]string{`{name: say, type: blind, params: {reject: true, say: no}}`},
			rejection("from the step"), "attache_rejected{q/s/say}",
		},
		{
			"no rights, no deeds", "failClosed", `
  - {name: s, steps: [{name: tag}, {name: say}, {name: rule}]}
  - {name: t, selector: {tags: ["a:1"]}, steps: [{name: say, params: {reject: true}}]}`,
			[]string{
				`{name: tag, type: fake, params: {annotate: false, tags: ["a:1"]}}`,
				`{name: say, type: fake, params: {say: no}}`, `{name: rule, type: fake, params: {rules: [no]}}`,
			},
			"the model gets " + hi, "",
		},
		{
			"reject and modify at once is a failure", "failClosed", `
  - {name: s, steps: [{name: say}]}`,
			[]string{`{name: say, type: fake, params: {reject: true, modify: true, say: no, rules: [no]}}`},
			failure(500, "a processor of the gateway failed: say", "processor_failed"), "attache_failed{q/s/say}",
		},
		{"a panic, closed", "failClosed", `
  - {name: s, steps: [{name: p}]}`, []string{`{name: p, type: blind, params: {do: panic}}`}, failed, "attache_failed{q/s/p}"},
		{"a failure, closed", "failClosed", `
  - {name: s, steps: [{name: p}]}`, []string{`{name: p, type: blind, params: {do: fail}}`}, failed, "attache_failed{q/s/p}"},
		{
			"failures, open", "failOpen", `
  - {name: s, steps: [{name: p, params: {do: panic}}, {name: p, params: {do: fail}}, {name: p, params: {do: nil-pointer}}, {name: p, params: {do: wait}}, {name: rule}]}`,
			[]string{`{name: p, type: blind}`, `{name: rule, type: fake, params: {modify: true, rules: ["yes"]}}`},
			`the model gets {"messages":[` + system + `"yes"},{"role":"user","content":"hi"}]}`, "",
		},
		{
			"out of time, closed", "failClosed", `
  - {name: s, steps: [{name: p}]}`, []string{`{name: p, type: blind, params: {do: wait}}`},
			failure(504, "a processor of the gateway took too long: p", "processor_timeout"), "attache_failed{q/s/p}",
		},
		{
			"side by side: tags in step order, the first rejection in step order", "failClosed", `
  - {name: s, concurrency: parallel, steps: [{name: a}, {name: b}, {name: c}, {name: say, params: {say: first}}, {name: say, params: {say: second}}, {name: p}]}`,
			[]string{
				`{name: a, type: fake, params: {tags: ["a:1"]}}`, `{name: b, type: fake, params: {tags: ["b:1"]}}`, `{name: c, type: fake}`,
				`{name: say, type: fake, params: {reject: true}}`, `{name: p, type: fake, params: {do: panic}}`,
			},
			rejection("first|hi"), "attache_rejected{q/s/say}",
		},
		{
			"side by side: what is decided cancels the rest", "failClosed", `
  - {name: s, concurrency: parallel, steps: [{name: say}, {name: p}, {name: p}]}`,
			[]string{`{name: say, type: fake, params: {reject: true, say: first}}`, `{name: p, type: fake, params: {do: wait}}`},
			rejection("first|hi"), "attache_rejected{q/s/say}",
		},
		{
			"side by side: an earlier failure counts more than a later rejection", "failClosed", `
  - {name: s, concurrency: parallel, steps: [{name: p}, {name: say}]}`,
			[]string{`{name: say, type: fake, params: {reject: true, say: "no"}}`, `{name: p, type: fake, params: {do: fail}}`},
			failed, "attache_failed{q/s/p}",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := extprocsvc.Options{}
			if strings.Contains(c.stages+strings.Join(c.processors, ""), "do: wait") && c.name != "side by side: what is decided cancels the rest" {
				o.StepTimeout = time.Millisecond
			} else {
				o.StepTimeout = time.Hour
			}
			s := start(t, fakes.Build, o, stages(c.mode, c.stages, c.processors...))
			out, got := s.do(t, duplex(s.ref(0)), extproctest.Post(hi))
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if d := out.Immediate.GetDetails(); d != c.details {
				t.Errorf("details %s, want %s", d, c.details)
			}
		})
	}
}

func TestRightsInParallelStages(t *testing.T) {
	_, err := fakes.Build(parse(t, stages("failClosed", `
  - {name: s, concurrency: parallel, steps: [{name: a}, {name: b}, {name: a, params: {modify: false}}]}`,
		`{name: a, type: fake, params: {modify: true}}`, `{name: b, type: nothing}`)))
	for _, want := range []string{`steps[0]: processor "a" has modify: true, but`, `steps[1]: processors of type nothing cannot stand in input stages`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no error %q in\n%v", want, err)
		}
	}
	if n := len(config.Errors(err)); n != 2 {
		t.Errorf("%d errors:\n%v", n, err)
	}
}

// AI settings do not fail open, even where the profile's steps do.
func TestSettingsBehindAFailedStep(t *testing.T) {
	file := strings.Replace(stages("failOpen", `
  - {name: s, steps: [{name: p}]}`, `{name: p, type: blind, params: {do: panic}}`), `{host: "h:1"}`, `{ai: {provider: {openAI: {model: m}}}}`, 1)
	s := start(t, fakes.Build, extprocsvc.Options{}, file)
	if _, got := s.do(t, duplex(s.ref(0)), extproctest.Post(`{"model":"x"}`)); got != `the model gets {"model":"m"}` {
		t.Error(got)
	}
	if c := s.chains.ForRoute(s.cfg.Listeners[0].Routes[0]); c.FailOpen() {
		t.Error("AI settings fail open")
	}
}

// A lines is a log that may be read while it is written.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestLogNeverHoldsContent(t *testing.T) {
	var log lines
	o := extprocsvc.Options{Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	s := start(t, fakes.Build, o, stages("failOpen", `
  - {name: s, steps: [{name: p, params: {do: panic}}, {name: p, params: {do: nil-pointer}}, {name: p, params: {do: fail}}, {name: p, params: {rules: [x]}}, {name: say}]}`,
		`{name: p, type: fake, params: {tags: ["a:1"]}}`, `{name: say, type: fake, params: {reject: true, say: detail}}`))
	_, got := s.do(t, duplex(s.ref(0)), extproctest.Post(`{"messages":[{"role":"user","content":"my secret"}]}`))
	if got != rejection("detail|my secret") {
		t.Fatal(got)
	}
	for _, want := range []string{
		`msg="a processor panicked"`, "panic=string", "nil pointer dereference", `error="no luck"`,
		`msg="a processor went beyond its rights; what it did is dropped"`, "dropped=modify",
		`msg="request decided"`, "verdict=rejected", `where="f:8:`, "tags=[a:1]", "steps.s/say.verdict=rejected", "reason=AIGW_POLICY_VIOLATION",
	} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %q in the log", want)
		}
	}
	if strings.Contains(log.String(), "secret") {
		t.Errorf("content in the log:\n%s", log.String())
	}
}

func TestTagsAreBounded(t *testing.T) {
	var tags []string
	for i := range extprocsvc.MaxTags {
		tags = append(tags, fmt.Sprintf("n:%d", i))
	}
	long := "l:" + strings.Repeat("x", extprocsvc.MaxTagBytes)
	list := func(tags []string) string { return `["` + strings.Join(tags, `","`) + `"]` }
	s := start(t, fakes.Build, extprocsvc.Options{}, stages("failClosed", `
  - {name: s, steps: [{name: long}, {name: many}, {name: late}]}
  - {name: t, selector: {tags: ["late:1", "`+long+`"]}, steps: [{name: say, params: {say: late}}]}
  - {name: t, selector: {operand: all, tags: `+list(tags)+`}, steps: [{name: say, params: {say: all}}]}`,
		`{name: long, type: blind, params: {tags: ["`+long+`"]}}`, `{name: many, type: blind, params: {tags: `+list(slices.Clone(tags))+`}}`,
		`{name: late, type: blind, params: {tags: ["late:1"]}}`, `{name: say, type: blind, params: {reject: true}}`))
	if _, got := s.do(t, extproctest.Filter{Metadata: duplex(s.ref(0)).Metadata}, extproctest.Post(`x`)); got != rejection("all") {
		t.Error(got)
	}
}

func TestRecord(t *testing.T) {
	var got extprocsvc.Record
	o := extprocsvc.Options{Decided: func(r *extprocsvc.Record) {
		got = *r
		got.Steps, got.Tags = slices.Clone(r.Steps), slices.Clone(r.Tags)
	}}
	s := start(t, fakes.Build, o, stages("failOpen", `
  - {name: one, steps: [{name: tag}, {name: bad}, {name: rule}, {name: rogue}]}
  - {name: two, steps: [{name: say}]}`,
		`{name: tag, type: fake, params: {tags: ["a:1"]}}`, `{name: bad, type: fake, params: {do: fail}}`,
		`{name: rule, type: fake, params: {modify: true, rules: [x]}}`, `{name: rogue, type: fake, params: {say: x, annotate: false, tags: ["b:1"]}}`,
		`{name: say, type: fake, params: {reject: true, say: no}}`))
	s.do(t, duplex(s.ref(0)), extproctest.Post(`{"messages":[]}`))
	if got.Chain != s.ref(0) || got.Verdict != extprocsvc.Rejected || got.Reason != extprocsvc.PolicyViolation ||
		got.Stage != "two" || got.Step != "say" || !strings.HasPrefix(got.Where, "f:12:") || !slices.Equal(got.Tags, []string{"a:1"}) || got.Duration <= 0 {
		t.Errorf("%+v", got)
	}
	want := []extprocsvc.StepRecord{
		{Stage: "one", Step: "tag", Verdict: extprocsvc.Passed},
		{Stage: "one", Step: "bad", Verdict: extprocsvc.Skipped, Reason: "processor_failed"},
		{Stage: "one", Step: "rule", Verdict: extprocsvc.Passed, Modified: true},
		{Stage: "one", Step: "rogue", Verdict: extprocsvc.Passed, Dropped: extprocsvc.Annotate | extprocsvc.Reject},
		{Stage: "two", Step: "say", Verdict: extprocsvc.Rejected, Reason: extprocsvc.PolicyViolation},
	}
	for i := range got.Steps {
		if !strings.HasPrefix(got.Steps[i].Where, "f:1") {
			t.Errorf("step %d is at %q", i, got.Steps[i].Where)
		}
		got.Steps[i].Where = ""
		got.Steps[i].Duration = 0
	}
	if !slices.Equal(got.Steps, want) {
		t.Errorf("got  %+v\nwant %+v", got.Steps, want)
	}
	s.do(t, duplex(s.ref(0)), extproctest.Post(`{`))
	if got.Verdict != extprocsvc.Refused || got.Reason != "invalid_json" || len(got.Steps) != 0 || got.Step != "" {
		t.Errorf("%+v", got)
	}
}

// A panic outside processors is an error of the stream, which Envoy answers by
// the failure mode.
func TestPanicOfTheStream(t *testing.T) {
	var log lines
	s := start(t, extprocsvc.Build, extprocsvc.Options{
		Log:     slog.New(slog.NewTextHandler(&log, nil)),
		Decided: func(*extprocsvc.Record) { panic("a secret") },
	}, fixture)
	if _, got := s.do(t, duplex(s.ref(ai)), extproctest.Post(hi)); got != "error: rpc error: code = Internal desc = internal error" {
		t.Error(got)
	}
	if l := log.String(); !strings.Contains(l, "a stream panicked") || strings.Contains(l, "secret") {
		t.Error(l)
	}
	if st := s.settled(); st.Held != 0 || st.Errors != 1 {
		t.Errorf("%+v", st)
	}
}
