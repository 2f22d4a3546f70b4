package llm

import (
	"strings"
	"testing"
)

// A thought that was changed loses the fit of its signature: in an answer the
// signature is marked, and in a request the text is left out.
func TestSignatures(t *testing.T) {
	thought := func(text, signature string) string {
		return `{"type":"thinking", "thinking": "` + text + `", "signature": "` + signature + `"}`
	}
	body := func(blocks ...string) string {
		return `{"role":"assistant","content":[` + strings.Join(blocks, ", ") + `]}`
	}
	said := `{"type":"text","text":"555"}`
	ask := func(blocks ...string) string {
		return `{"thinking":{"type":"adaptive"},"messages":[{"role":"user","content":"hi"}, ` + body(blocks...) + `]}`
	}
	const old, new = "555", "<PHONE>"
	for _, tc := range []struct {
		name       string
		dialect    *Dialect
		body, want string
	}{
		{"an answer", AnthropicMessage, body(thought("call 555", "c2ln"), said), body(thought("call <PHONE>", SignatureMark+"c2ln"), `{"type":"text","text":"<PHONE>"}`)},
		{"twice in one", AnthropicMessage, body(thought("555 or 555", "c2ln")), body(thought("<PHONE> or <PHONE>", SignatureMark+"c2ln"))},
		{"each by itself", AnthropicMessage, body(thought("hm", "YQ"), thought("555", "Yg")), body(thought("hm", "YQ"), thought("<PHONE>", SignatureMark+"Yg"))},
		{"the signature first", AnthropicMessage, body(`{"signature":"c2ln","thinking":"555","type":"thinking"}`), body(`{"signature":"` + SignatureMark + `c2ln","thinking":"<PHONE>","type":"thinking"}`)},
		{"no signature", AnthropicMessage, body(thought("555", "")), body(thought("<PHONE>", ""))},
		{"only what is said", AnthropicMessage, body(thought("hm", "c2ln"), said), body(thought("hm", "c2ln"), `{"type":"text","text":"<PHONE>"}`)},
		{"a request that a guard changes", Messages, ask(thought("call 555, or 555", "c2ln"), said), ask(thought("", "c2ln"), `{"type":"text","text":"<PHONE>"}`)},
		{"a request without a signature", Messages, ask(thought("call 555", "")), ask(thought("call <PHONE>", ""))},
		{"what was marked comes back", Messages, ask(thought("call <PHONE>, 555", SignatureMark+"c2ln"), said), ask(thought("", "c2ln"), `{"type":"text","text":"<PHONE>"}`)},
		{"marked twice", Messages, ask(thought("x", SignatureMark+SignatureMark+"c2ln")), ask(thought("", "c2ln"))},
		{"nothing but a mark", Messages, ask(thought("x", SignatureMark)), ask(thought("", ""))},
		{"the same when tokens are counted", CountTokens, ask(thought("call <PHONE>", SignatureMark+"c2ln")), ask(thought("", "c2ln"))},
		{"what nobody changes", Messages, ask(thought("hm", "c2ln")), ask(thought("hm", "c2ln"))},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var d Doc
			if err := d.Scan(tc.dialect, []byte(tc.body)); err != nil {
				t.Fatal(err)
			}
			var changes []Change
			for x := range d.Texts() {
				text := string(x.Unquoted(nil))
				for at := 0; ; at += len(old) {
					i := strings.Index(text[at:], old)
					if i < 0 {
						break
					}
					at += i
					changes = append(changes, Change{Text: x.Index, From: at, To: at + len(old), With: new})
				}
			}
			if len(changes) > 0 {
				apply(t, &d, ChangeTexts(changes...))
			}
			if got := string(d.Append(nil)); got != tc.want || d.Changed() != (tc.want != tc.body) {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

// A body that cannot be read stays as it is.
func TestSignatureOfWhatIsOdd(t *testing.T) {
	const odd = `{"messages":[{"role":1,"content":[{"type":"thinking","thinking":"x","signature":"attache-masked.c2ln"}]}]}`
	var d Doc
	if err := d.Scan(Messages, []byte(odd)); err != nil {
		t.Fatal(err)
	}
	if d.Messages() == nil || d.Changed() {
		t.Errorf("got %v, %s", d.Messages(), d.Append(nil))
	}
}
