package jsonschema

import (
	"testing"

	"github.com/attache-dev/attache/extprocsvc"
	"github.com/attache-dev/attache/extprocsvc/extproctest"
	"github.com/attache-dev/attache/extprocsvc/llm"
)

// A text beside the choices is none of them, wherever it stands.
func TestBesideMessages(t *testing.T) {
	p := made(t, extprocsvc.ResponsePhase, `{schema: {type: object}, target: text}`)
	for body, want := range map[string]bool{
		`{"note":"hi","choices":[{"message":{"role":"assistant","content":"{}"}}]}`: false,
		`{"choices":[{"message":{"role":"assistant","content":"{}"}}],"note":"hi"}`: false,
		`{"choices":[{"message":{"role":"assistant","content":"hi"}}],"note":"{}"}`: true,
	} {
		d := extproctest.Doc(t, llm.ChatCompletion, body)
		r, err := p.ProcessResponse(t.Context(), &extprocsvc.Response{Completion: d})
		if err != nil || (len(r.Tags) > 0) != want {
			t.Errorf("%s: tags %q, error %v", body, r.Tags, err)
		}
	}
}
