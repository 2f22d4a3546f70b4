package repetitiondetect

import (
	"strings"
	"testing"

	"github.com/attache-dev/attache/extprocsvc"
	"github.com/attache-dev/attache/extprocsvc/extproctest"
	"github.com/attache-dev/attache/extprocsvc/llm"
)

// Each text beside the messages is measured by itself, wherever it stands. Tools
// that resemble each other are no repetition.
func TestBesideMessages(t *testing.T) {
	tools := func(description string) string {
		return `"tools":[{"type":"function","function":{"name":"f","description":"` + description + `"}}]`
	}
	const messages = `"messages":[{"role":"user","content":"What is the weather?"}]`
	loop := tools(strings.Repeat("again and ", 60))
	var alike []string
	for _, thing := range []string{"user", "order", "invoice", "product", "customer", "shipment", "payment", "refund"} {
		for _, verb := range []string{"Creates", "Updates", "Deletes"} {
			alike = append(alike, `{"type":"function","function":{"name":"`+thing+verb+`","description":"`+verb+` a `+thing+` and returns it.","parameters":{"type":"object","properties":{"id":{"type":"string","description":"The ID of the `+thing+`."},"limit":{"type":"integer","description":"The maximum number of results to return."}},"required":["id"]}}}`)
		}
	}
	p := made(t, `{}`, extprocsvc.Annotate)
	for name, c := range map[string]struct {
		body string
		want bool
	}{
		"before":      {`{` + loop + `,` + messages + `}`, true},
		"behind":      {`{` + messages + `,` + loop + `}`, true},
		"alike":       {`{` + messages + `,"tools":[` + strings.Join(alike, ",") + `]}`, false},
		"none beside": {`{` + messages + `}`, false},
	} {
		d := extproctest.Doc(t, llm.ChatCompletions, c.body)
		r, err := p.ProcessRequest(t.Context(), &extprocsvc.Request{Prompt: d})
		if err != nil || (len(r.Tags) > 0) != c.want {
			t.Errorf("%s: tags %q, error %v", name, r.Tags, err)
		}
	}
}
