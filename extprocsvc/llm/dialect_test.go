package llm

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// dialects are all there are, by a word.
var dialects = []struct {
	name string
	*Dialect
}{
	{"chat", ChatCompletions}, {"chat answer", ChatCompletion},
	{"completions", Completions}, {"completions answer", Completion},
	{"embeddings", Embeddings}, {"embeddings answer", Embedding},
	{"responses", Responses}, {"responses answer", Response},
	{"messages", Messages}, {"messages answer", AnthropicMessage},
	{"count", CountTokens}, {"count answer", CountTokens.Answer()},
}

// A sample is a body as an SDK or a server sends it, and the texts in it: the
// index of the message, the role, the kind and the text.
type sample struct {
	name    string
	dialect *Dialect
	body    string
	want    []string
}

var image = "data:image/png;base64," + strings.Repeat("iVBORw0KGgo", 40)

var samples = []sample{
	{
		"chat: text", ChatCompletions,
		`{"model":"gpt-4o","messages":[{"role":"developer","content":"be kind"},{"role":"user","content":"hi","name":"Ann Lee"}],"stop":["\n\n","END"],
		"temperature":0.7,"seed":12345678901234567890,"logit_bias":{"50256":-100},"user":"u-17","metadata":{"team":"blue","note":"two words"},
		"stream":true,"stream_options":{"include_usage":true},"service_tier":"auto","prediction":{"type":"content","content":"guess"},"n":1}`,
		[]string{
			"0 developer system: be kind", "1 user content: hi", "1 user name: Ann Lee", `-1  other: ` + "\n\n", "-1  other: END",
			"-1  other: two words", "-1  content: guess",
		},
	},
	{
		"chat: parts", ChatCompletions,
		`{"messages":[{"role":"user","content":[{"type":"text","text":"look","cache_control":{"type":"ephemeral"}},
		{"type":"image_url","image_url":{"url":"` + image + `","detail":"high"}},{"type":"image_url","image_url":{"url":"https://h/x?q=a b"}},
		{"type":"input_audio","input_audio":{"data":"UklGRg==","format":"wav"}},
		{"type":"file","file":{"file_data":"data:application/pdf;base64,JVBERi0=","filename":"my taxes.pdf"}},{"type":"file","file":{"file_id":"file-1"}}]}]}`,
		[]string{"0 user content: look", "0 user other: https://h/x?q=a b", "0 user name: my taxes.pdf"},
	},
	{
		"chat: tools", ChatCompletions,
		`{"messages":[{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"mail","arguments":"{\"to\": \"a\\u0040b.c\", \"card\":4111111111111111, \"deep\":[{\"é\\n\":true}]}"}},
		{"id":"call_2","type":"function","function":{"name":"x","arguments":"not JSON"}},{"id":"call_3","type":"custom","custom":{"name":"c","input":"free \"form\""}}]},
		{"role":"tool","tool_call_id":"call_1","content":"{\"ok\":1}"},{"role":"function","name":"x","content":"done"}],
		"tools":[{"type":"function","function":{"name":"mail","description":"Sends mail.","strict":true,"parameters":{"type":"object","properties":{"to":{"type":"string","description":"whom","enum":["a","b"]},"n":{"type":"integer","maximum":9}},"required":["to"],"additionalProperties":false}}},
		{"type":"custom","custom":{"name":"c","description":"d","format":{"type":"grammar","grammar":{"syntax":"lark","definition":"start: x"}}}}],
		"tool_choice":{"type":"function","function":{"name":"mail"}},"parallel_tool_calls":false,
		"response_format":{"type":"json_schema","json_schema":{"name":"r","schema":{"type":"object","properties":{"city":{"type":"string"}}},"strict":true}}}`,
		[]string{
			"0 assistant name: mail", "0 assistant arguments: to", "0 assistant arguments: a@b.c", "0 assistant arguments: card", "0 assistant arguments: 4111111111111111",
			"0 assistant arguments: deep", "0 assistant arguments: é\n", "0 assistant name: x", "0 assistant arguments: not JSON",
			"0 assistant name: c", `0 assistant arguments: free "form"`, `1 tool tool-result: {"ok":1}`, "2 function name: x", "2 function tool-result: done",
			"-1  name: mail", "-1  tool-description: Sends mail.", "-1  tool-description: to", "-1  tool-description: whom", "-1  tool-description: a", "-1  tool-description: b",
			"-1  tool-description: n", "-1  tool-description: 9", "-1  tool-description: to",
			"-1  name: c", "-1  tool-description: d", "-1  tool-description: start: x",
			"-1  name: r", "-1  tool-description: city",
		},
	},
	{
		"chat: what is not known yet", ChatCompletions,
		`{"messages":[{"role":"us er","content":"hi","future":{"a":["b",{"c":1}]},"tool_call_id":"no id"},{"role":"assistant","content":"x","reasoning_content":"hm","refusal":"no","function_call":{"name":"f","arguments":"{}"}}],"new":"text","newer":{"deep":[["down"]]},"tool_choice":"a text","temperature":"hot stuff"}`,
		[]string{
			"0 us er other: us er", "0 us er content: hi", "0 us er other: future", "0 us er other: a", "0 us er other: b", "0 us er other: c", "0 us er other: 1", "0 us er other: no id",
			"1 assistant content: x", "1 assistant reasoning: hm", "1 assistant refusal: no", "1 assistant name: f",
			"-1  other: new", "-1  other: text", "-1  other: newer", "-1  other: deep", "-1  other: down", "-1  other: a text", "-1  other: hot stuff",
		},
	},
	{
		"chat: an object for arguments, texts for lists", ChatCompletions,
		`{"messages":[{"role":"assistant","tool_calls":[{"function":{"arguments":{"a":"b"}}}]},{"tool_calls":"calls","annotations":{"x":"y"},"name":["n"],"role":"user"}]}`,
		[]string{"0 assistant arguments: a", "0 assistant arguments: b", "1 user arguments: calls", "1 user other: x", "1 user other: y", "1 user name: n"},
	},
	{
		"chat answer", ChatCompletion,
		`{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"gpt-4o","choices":[{"index":0,"message":{"role":"assistant","content":"hi","refusal":null,"annotations":[{"type":"url_citation","url_citation":{"url":"https://h","title":"The H","start_index":0,"end_index":2}}]},
		"logprobs":{"content":[{"token":"hi","logprob":-0.1,"bytes":[104,105],"top_logprobs":[]}],"refusal":null},"finish_reason":"stop"},
		{"index":1,"message":{"role":"assistant","content":null,"reasoning":"hm","audio":{"id":"a","data":"UklGRg==","transcript":"said","expires_at":1}},"finish_reason":"tool_calls"}],
		"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,"prompt_tokens_details":{"cached_tokens":0}},"service_tier":"default","system_fingerprint":"fp_1"}`,
		[]string{
			"0 assistant content: hi", "0 assistant other: https://h", "0 assistant other: The H",
			"1 assistant reasoning: hm", "1 assistant content: said",
		},
	},
	{
		"completions", Completions,
		`{"model":"gpt-3.5-turbo-instruct","prompt":["one","two"],"suffix":"end","max_tokens":7,"logprobs":5,"echo":true,"best_of":1,"stop":null}`,
		[]string{"0  content: one", "1  content: two", "-1  content: end"},
	},
	{"completions: one", Completions, `{"prompt":"one"}`, []string{"-1  content: one"}},
	{
		"completions answer", Completion,
		`{"id":"cmpl-1","object":"text_completion","choices":[{"text":"one","index":0,"logprobs":{"tokens":["one"],"text_offset":[0]},"finish_reason":"length"},{"text":"two","index":1}]}`,
		[]string{"0  content: one", "1  content: two"},
	},
	{
		"embeddings", Embeddings,
		`{"input":["one","two"],"model":"text-embedding-3-small","encoding_format":"base64","dimensions":256}`,
		[]string{"0  content: one", "1  content: two"},
	},
	{
		"embeddings answer", Embedding,
		`{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.1,-2e-5]},{"object":"embedding","index":1,"embedding":"AACAPw=="}],"model":"text-embedding-3-small","usage":{"prompt_tokens":1,"total_tokens":1}}`,
		nil,
	},
	{
		"responses: text", Responses,
		`{"model":"gpt-5","input":"hi","instructions":"be kind","reasoning":{"effort":"low","summary":"auto"},"text":{"format":{"type":"json_schema","name":"r","schema":{"type":"object","properties":{"city":{"type":"string"}}}},"verbosity":"low"},
		"include":["reasoning.encrypted_content"],"previous_response_id":"resp_1","store":false,"metadata":{"k":"v"},"prompt":{"id":"pmpt_1","version":"2","variables":{"who":"Ann","doc":{"type":"input_text","text":"in it"}}}}`,
		[]string{
			"-1  content: hi", "-1 system system: be kind", "-1  name: r", "-1  tool-description: city",
			"-1  content: who", "-1  content: Ann", "-1  content: doc", "-1  content: type", "-1  content: input_text", "-1  content: text", "-1  content: in it",
		},
	},
	{
		"responses: items", Responses,
		`{"input":[{"role":"user","content":"hi"},{"type":"message","role":"developer","content":[{"type":"input_text","text":"rules"}]},
		{"type":"message","role":"user","content":[{"type":"input_image","image_url":"` + image + `","detail":"auto"},{"type":"input_file","filename":"a b.pdf","file_data":"data:application/pdf;base64,JVBERi0="},{"type":"input_file","file_url":"https://h/f"}]},
		{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"short"}],"content":[{"type":"reasoning_text","text":"long"}],"encrypted_content":"gAAAAAB hidden"},
		{"type":"function_call","call_id":"call_1","name":"mail","arguments":"{\"to\":\"a\\u0040b.c\"}","id":"fc_1","status":"completed"},
		{"type":"function_call_output","call_id":"call_1","output":"sent"},{"type":"function_call_output","call_id":"call_1","output":[{"type":"input_text","text":"sent too"},{"type":"input_image","image_url":"` + image + `"}]},
		{"type":"custom_tool_call","call_id":"c","name":"sh","input":"ls -l"},{"type":"custom_tool_call_output","call_id":"c","output":"total 0"},
		{"type":"web_search_call","id":"ws","status":"completed","action":{"type":"search","query":"who am i"}},
		{"type":"image_generation_call","id":"ig","status":"completed","result":"iVBORw0KGgo=","revised_prompt":"a cat"},{"type":"item_reference","id":"msg_1"},
		{"type":"message","id":"msg_1","role":"assistant","status":"completed","content":[{"type":"output_text","text":"yo","annotations":[],"logprobs":[]},{"type":"refusal","refusal":"no"}]}],
		"tools":[{"type":"web_search"},{"type":"function","name":"mail","description":"Sends mail.","parameters":{},"strict":true},{"type":"mcp","server_label":"x","server_description":"An MCP","server_url":"https://m"}]}`,
		[]string{
			"0 user content: hi", "1 developer system: rules", "2 user name: a b.pdf", "2 user other: https://h/f", "3  reasoning: short", "3  reasoning: long",
			"4  name: mail", "4  arguments: to", "4  arguments: a@b.c", "5  tool-result: sent", "6  tool-result: sent too", "7  name: sh", "7  arguments: ls -l", "8  tool-result: total 0",
			"9  arguments: type", "9  arguments: search", "9  arguments: query", "9  arguments: who am i", "10  content: a cat",
			"12 assistant content: yo", "12 assistant refusal: no",
			"-1  name: mail", "-1  tool-description: Sends mail.",
			"-1  tool-description: server_label", "-1  tool-description: x", "-1  tool-description: An MCP",
			"-1  tool-description: server_url", "-1  tool-description: https://m",
		},
	},
	{
		"responses answer", Response,
		`{"id":"resp_1","object":"response","created_at":1700000000,"status":"completed","error":null,"incomplete_details":null,"instructions":"be kind","max_output_tokens":null,"model":"gpt-5",
		"output":[{"type":"reasoning","id":"rs_1","summary":[]},{"type":"message","id":"msg_1","status":"completed","role":"assistant","content":[{"type":"output_text","text":"hi","annotations":[{"type":"url_citation","start_index":0,"end_index":2,"url":"https://h","title":"H"}],"logprobs":[{"token":"hi"}]}]},
		{"type":"function_call","id":"fc","call_id":"c","name":"mail","arguments":"{\"n\":1}","status":"completed"},{"type":"mcp_call","id":"m","name":"t","server_label":"x","arguments":"{}","output":"out","error":null}],
		"parallel_tool_calls":true,"previous_response_id":null,"reasoning":{"effort":null,"summary":null},"store":true,"temperature":1.0,"text":{"format":{"type":"text"},"verbosity":"medium"},"tool_choice":"auto","tools":[],"top_p":1.0,"truncation":"disabled","usage":{"input_tokens":1,"output_tokens":2},"user":null,"metadata":{}}`,
		[]string{
			"-1 system system: be kind", "1 assistant content: hi", "1 assistant other: https://h", "1 assistant other: H",
			"2  name: mail", "2  arguments: n", "2  arguments: 1", "3  name: t", "3  tool-result: out",
		},
	},
	{
		"messages", Messages,
		`{"model":"claude-sonnet-4-5","max_tokens":1024,"system":[{"type":"text","text":"be kind","cache_control":{"type":"ephemeral","ttl":"5m"}}],"metadata":{"user_id":"user_1a_account_2b"},"stop_sequences":["Human:"],"thinking":{"type":"enabled","budget_tokens":1024},"stream":true,
		"messages":[{"role":"user","content":"hi"},{"role":"user","content":[{"type":"text","text":"look"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBORw0KGgo="}},{"type":"image","source":{"type":"url","url":"https://h/i.png"}},
		{"type":"document","source":{"type":"text","media_type":"text/plain","data":"plain"},"title":"T 1","context":"C 1","citations":{"enabled":true}},{"type":"document","source":{"data":"JVBERi0=","media_type":"application/pdf","type":"base64"}},
		{"type":"document","source":{"type":"content","content":[{"type":"text","text":"chunk"}]}},{"type":"search_result","source":"https://s","title":"S","content":[{"type":"text","text":"found"}]}]},
		{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"EqQB a b"},{"type":"redacted_thinking","data":"EmwK a"},{"type":"tool_use","id":"toolu_1","name":"mail","input":{"to":"a\u0040b.c","card":4111111111111111}}]},
		{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":"sent","is_error":false},{"type":"tool_result","tool_use_id":"toolu_1","content":[{"type":"text","text":"sent too"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBORw0KGgo="}}]}]}],
		"tools":[{"name":"mail","description":"Sends mail.","input_schema":{"type":"object","properties":{"to":{"type":"string","description":"whom"}}},"cache_control":{"type":"ephemeral"}},{"type":"bash_20250124","name":"bash"}],"tool_choice":{"type":"tool","name":"mail"}}`,
		[]string{
			"-1 system system: be kind", "-1  other: Human:", "0 user content: hi", "1 user content: look", "1 user other: https://h/i.png", "1 user other: plain", "1 user content: T 1", "1 user content: C 1",
			"1 user content: chunk", "1 user other: https://s", "1 user content: S", "1 user tool-result: found",
			"2 assistant reasoning: hm", "2 assistant name: mail", "2 assistant arguments: to", "2 assistant arguments: a@b.c", "2 assistant arguments: card", "2 assistant arguments: 4111111111111111",
			"3 user tool-result: sent", "3 user tool-result: sent too", "-1  name: mail", "-1  tool-description: Sends mail.", "-1  tool-description: to", "-1  tool-description: whom", "-1  name: bash",
		},
	},
	{
		"messages answer", AnthropicMessage,
		`{"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-4-5","content":[{"type":"thinking","thinking":"hm","signature":"EqQB"},{"type":"text","text":"hi","citations":[{"type":"char_location","cited_text":"quoted","document_index":0,"document_title":"My doc","start_char_index":0,"end_char_index":6}]},
		{"type":"tool_use","id":"toolu_1","name":"mail","input":{"to":"x y"}},{"type":"server_tool_use","id":"srvtoolu_1","name":"web_search","input":{"query":"q 1"}},
		{"type":"web_search_tool_result","tool_use_id":"srvtoolu_1","content":[{"type":"web_search_result","url":"https://h","title":"H 1","encrypted_content":"Eqg a","page_age":"1d"}]},
		{"type":"bash_code_execution_tool_result","tool_use_id":"s","content":{"type":"bash_code_execution_result","stdout":"out","stderr":"","return_code":0,"content":[]}}],
		"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":2,"service_tier":"standard"}}`,
		[]string{
			"0 assistant reasoning: hm", "0 assistant content: hi", "0 assistant other: quoted", "0 assistant other: My doc",
			"0 assistant name: mail", "0 assistant arguments: to", "0 assistant arguments: x y", "0 assistant name: web_search", "0 assistant arguments: query", "0 assistant arguments: q 1",
			"0 assistant other: https://h", "0 assistant tool-result: H 1", "0 assistant tool-result: out",
		},
	},
	{"count", CountTokens, `{"model":"claude","system":"be kind","messages":[{"role":"user","content":"hi"}]}`, []string{"-1 system system: be kind", "0 user content: hi"}},
	{"count answer", CountTokens.Answer(), `{"input_tokens":17}`, nil},
}

func texts(d *Doc) (list []string) {
	for t := range d.Texts() {
		list = append(list, fmt.Sprintf("%d %s %s: %s", t.Message, AppendUnquoted(nil, t.Role), t.Kind, t.Unquoted(nil)))
	}
	return list
}

func TestSamples(t *testing.T) {
	for _, s := range samples {
		t.Run(s.name, func(t *testing.T) {
			var d Doc
			if err := d.Scan(s.dialect, []byte(s.body)); err != nil {
				t.Fatal(err)
			}
			if err := d.Messages(); err != nil {
				t.Fatal(err)
			}
			if got := texts(&d); !slices.Equal(got, s.want) {
				t.Errorf("got  %q\nwant %q", got, s.want)
			}
			for i, x := range slices.Collect(d.Texts()) {
				if x.Index != i {
					t.Errorf("text %d has the index %d", i, x.Index)
				}
			}
			if got := string(d.Append(nil)); got != s.body || d.Changed() {
				t.Errorf("the body became %s", got)
			}
		})
	}
}
