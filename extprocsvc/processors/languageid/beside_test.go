package languageid

import (
	"slices"
	"testing"

	"github.com/attache-dev/attache/extprocsvc"
	"github.com/attache-dev/attache/extprocsvc/extproctest"
	"github.com/attache-dev/attache/extprocsvc/llm"
)

// What stands beside the messages counts as one more, wherever it stands.
func TestBesideMessages(t *testing.T) {
	const tools = `"tools":[{"type":"function","function":{"name":"f","description":"` + german + `"}}]`
	const messages = `"messages":[{"role":"user","content":"` + english + `"}]`
	p := made(t, `{}`, extprocsvc.Annotate)
	for _, body := range []string{`{` + tools + `,` + messages + `}`, `{` + messages + `,` + tools + `}`} {
		r, err := p.ProcessRequest(t.Context(), &extprocsvc.Request{Prompt: extproctest.Doc(t, llm.ChatCompletions, body)})
		if slices.Sort(r.Tags); err != nil || !slices.Equal(r.Tags, []string{"language:de", "language:en"}) {
			t.Errorf("%s: %q, %v", body, r.Tags, err)
		}
	}
}
