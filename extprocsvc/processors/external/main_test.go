package external

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/extprocsvc"
	"github.com/attache-dev/attache/extprocsvc/extproctest"
	"github.com/attache-dev/attache/extprocsvc/llm"
)

func TestMain(m *testing.M) {
	code := m.Run()
	stopPython()
	clients.closeIdle()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			println(err.Error())
			code = 1
		}
	}
	os.Exit(code)
}

// raw is a section of a file, perhaps one that is not there.
func raw(t testing.TB, yaml string) config.Raw {
	t.Helper()
	if yaml == "" {
		return config.Raw{}
	}
	return extproctest.Params(t, yaml)
}

// at is the section config of a processor at an endpoint, with more keys.
func at(endpoint, more string) string {
	return `{endpoint: "` + endpoint + `", namespace: TEST, version: 1` + more + `}`
}

// made builds a processor that must be right.
func made(t testing.TB, name, conf, params string, phase extprocsvc.Phases) *processor {
	t.Helper()
	p, err := build(extprocsvc.Setup{Name: name, Phase: phase, Config: raw(t, conf), AllParams: raw(t, params), ReadFile: os.ReadFile})
	if err != nil {
		t.Fatal(err)
	}
	return p.(*processor)
}

const hello = `{"model":"m","messages":[{"role":"user","content":"Hello"}]}`

var someCall = extprocsvc.Call{
	ID:          "req-1",
	TraceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
	TraceState:  "a=b",
}

// words describes an outcome: tags, what became of the document, rejection,
// error.
func words(r extprocsvc.Result, err error, doc *llm.Doc) string {
	var parts []string
	if len(r.Tags) > 0 {
		parts = append(parts, "tags "+strings.Join(r.Tags, ", "))
	}
	for _, e := range r.Edits {
		if err := doc.Apply(e); err != nil {
			parts = append(parts, "edit: "+err.Error())
		}
	}
	if len(r.Edits) > 0 {
		parts = append(parts, "now "+string(doc.Append(nil)))
	}
	if r.Rejection != nil {
		parts = append(parts, "rejected "+r.Rejection.Code+": "+r.Rejection.Detail)
	}
	var step *extprocsvc.StepError
	switch {
	case errors.As(err, &step):
		_, msg, _ := strings.Cut(step.Msg, " at ")
		_, msg, _ = strings.Cut(msg, " ")
		final := ""
		if step.Final {
			final = " for good"
		}
		parts = append(parts, http.StatusText(int(step.Status))+final+": "+msg)
	case err != nil:
		parts = append(parts, "error "+err.Error())
	}
	return strings.Join(parts, "; ")
}

// ask sends a prompt to a processor.
func ask(ctx context.Context, t testing.TB, p *processor, body string) string {
	t.Helper()
	doc := extproctest.Doc(t, llm.ChatCompletions, body)
	r, err := p.ProcessRequest(ctx, &extprocsvc.Request{Prompt: doc, Call: someCall})
	return words(r, err, doc)
}

// answer sends a response and its prompt to a processor.
func answer(ctx context.Context, t testing.TB, p *processor, prompt, body string) string {
	t.Helper()
	doc := extproctest.Doc(t, llm.ChatCompletion, body)
	var before *llm.Doc
	if prompt != "" {
		before = extproctest.Doc(t, llm.ChatCompletions, prompt)
	}
	r, err := p.ProcessResponse(ctx, &extprocsvc.Response{Completion: doc, Prompt: before, Call: someCall})
	return words(r, err, doc)
}

// serve runs a processor made of a handler.
func serve(t testing.TB, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(func() {
		clients.closeIdle()
		s.Close()
	})
	return s
}

// closeIdle closes the connections that no call uses.
func (t *clientTable) closeIdle() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, ref := range t.m {
		if c := ref.Value(); c != nil {
			c.kept.CloseIdleConnections()
		}
	}
}
