package llm

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// canaries are what no guard must miss: a text that is no identifier, and what is
// added to every object: a key, a number and a text in a place that no table knows.
const (
	canary      = "jo@example.org"
	canaryKey   = "k y@example.org"
	canaryValue = `[4111111111111111,{"id":"x y@example.org"}]`
)

// mutants are a body with one string, or the members of one object, changed, and
// what was changed, by the path of keys.
func mutants(t *testing.T, body string, each func(path, body string, want []string)) {
	t.Helper()
	var paths []string
	// write writes the body again, with the n-th place changed.
	write := func(n int) (out string, path string) {
		dec := json.NewDecoder(strings.NewReader(body))
		dec.UseNumber()
		var b bytes.Buffer
		at := 0
		var value func(key string)
		value = func(key string) {
			tok, err := dec.Token()
			if err != nil {
				t.Fatal(err)
			}
			switch tok := tok.(type) {
			case json.Delim:
				b.WriteString(tok.String())
				end, first := "]", true
				if tok == '{' {
					end = "}"
					if at++; at-1 == n {
						path = key + "{}"
						b.Write(AppendQuoted(nil, canaryKey))
						b.WriteString(":" + canaryValue)
						first = false
					}
				}
				for dec.More() {
					if !first {
						b.WriteByte(',')
					}
					first = false
					in := key
					if tok == '{' {
						k, _ := dec.Token()
						b.Write(AppendQuoted(nil, k.(string)))
						b.WriteByte(':')
						in = key + "/" + k.(string)
					}
					value(in)
				}
				_, _ = dec.Token()
				b.WriteString(end)
			case string:
				if at++; at-1 == n {
					path, tok = key, canary
				}
				b.Write(AppendQuoted(nil, tok))
			case json.Number:
				b.WriteString(tok.String())
			case bool:
				b.WriteString(map[bool]string{true: "true", false: "false"}[tok])
			case nil:
				b.WriteString("null")
			}
		}
		value("")
		return b.String(), path
	}
	for n := 0; ; n++ {
		out, path := write(n)
		if path == "" {
			break
		}
		paths = append(paths, path)
		want := []string{canary}
		if strings.HasSuffix(path, "{}") {
			want = []string{canaryKey, "4111111111111111", "x y@example.org"}
		}
		each(path, out, want)
	}
	if len(paths) == 0 {
		t.Fatalf("nothing was changed in %s", body)
	}
}

// hidden tells whether a text at a path is none on purpose: it is encrypted or
// encoded, it says a text again, or it is a number of a setting.
func hidden(path, text string) bool {
	keys := []string{"encrypted_content", "encrypted_index", "signature", "logprobs", "data", "result", "embedding"}
	if strings.Trim(text, "0123456789") == "" {
		keys = append(keys, "usage", "metadata", "logit_bias", "stream_options", "cache_control", "reasoning", "container",
			"content_filter_results", "prompt_filter_results")
	}
	return slices.ContainsFunc(strings.Split(strings.TrimSuffix(path, "{}"), "/"), func(key string) bool { return slices.Contains(keys, key) }) ||
		path == "/model"
}

// Whatever string of a body is changed, and whatever is added to it, is a text, or
// makes the body one that cannot be read.
func TestNothingHides(t *testing.T) {
	for _, s := range samples {
		t.Run(s.name, func(t *testing.T) {
			mutants(t, s.body, func(path, body string, want []string) {
				var d Doc
				if err := d.Scan(s.dialect, []byte(body)); err != nil || d.Messages() != nil {
					return
				}
				all := texts(&d)
				for _, w := range want {
					if !hidden(path, w) && !slices.ContainsFunc(all, func(s string) bool { return strings.HasSuffix(s, ": "+w) }) {
						t.Errorf("%s: %q is no text", path, w)
					}
				}
			})
		})
	}
}

// The same of events, and of what they hold that is complete.
func TestNothingHidesInEvents(t *testing.T) {
	for _, body := range []string{
		`{"id":"1","object":"chat.completion.chunk","created":1,"model":"m","system_fingerprint":"fp","choices":[{"index":0,"delta":{"role":"assistant","content":"a","refusal":"r","reasoning":"x","reasoning_content":"x","function_call":{"name":"f","arguments":"{"},"annotations":[{"type":"url_citation","url_citation":{"url":"u","title":"t"}}],"audio":{"id":"a","transcript":"t"},"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":"{"}},{"index":1,"id":"d","type":"custom","custom":{"name":"f","input":"i"}}]},"finish_reason":"stop","content_filter_results":{"hate":{"filtered":false,"severity":"safe"}}}],"usage":{"total_tokens":1,"details":{"a":1}},"prompt_filter_results":[{"prompt_index":0,"content_filter_results":{}}],"service_tier":"x","obfuscation":"abc"}`,
		`{"choices":[{"index":0,"delta":{"content":[{"type":"text","text":"a"},{"type":"thinking","thinking":[{"type":"text","text":"b"}]}]},"finish_reason":null}]}`,
		`{"choices":[{"index":0,"message":{"role":"assistant","content":"a","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"stop"}]}`,
		`{"choices":[{"index":0,"text":"a","finish_reason":"stop"}]}`,
		`{"type":"message_start","message":{"id":"m","type":"message","role":"assistant","model":"c","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":1,"service_tier":"standard"}}}`,
		`{"type":"content_block_start","index":1,"content_block":{"type":"text","text":"a","citations":[]}}`,
		`{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"t","name":"f","input":{"a":"b"}}}`,
		`{"type":"content_block_start","index":1,"content_block":{"type":"redacted_thinking","data":"EmwK a"}}`,
		`{"type":"content_block_start","index":1,"content_block":{"type":"web_search_tool_result","tool_use_id":"t","content":[{"type":"web_search_result","url":"https://h","title":"t","encrypted_content":"x","page_age":"1d"}]}}`,
		`{"type":"content_block_start","index":1,"content_block":{"type":"mcp_tool_result","tool_use_id":"t","is_error":false,"content":[{"type":"text","text":"x"}]}}`,
		`{"type":"content_block_delta","index":1,"delta":{"type":"citations_delta","citation":{"type":"char_location","cited_text":"a","document_index":0,"document_title":"t","start_char_index":0,"end_char_index":1,"file_id":"f"}}}`,
		`{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{"}}`,
		`{"type":"content_block_delta","index":1,"delta":{"type":"thinking_delta","thinking":"a","estimated_tokens":1}}`,
		`{"type":"content_block_stop","index":1}`,
		`{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":"x","container":{"id":"c","expires_at":"2026"}},"usage":{"output_tokens":1,"server_tool_use":{"web_search_requests":1}}}`,
		`{"type":"message_stop"}`,
		`{"type":"ping"}`,
		`{"type":"error","error":{"type":"overloaded_error","message":"m"},"request_id":"r"}`,
		`{"error":{"message":"m","type":"t","code":"c","param":null,"failed_generation":"g"}}`,
		`{"type":"response.created","sequence_number":0,"response":{"id":"r","object":"response","created_at":1,"status":"in_progress","error":null,"instructions":"be kind","model":"m","output":[],"tools":[{"type":"function","name":"f","description":"d","parameters":{"type":"object","properties":{"a":{"type":"string"}}}}],"tool_choice":"auto","metadata":{"a":"b"},"text":{"format":{"type":"text"}},"reasoning":{"effort":"low","summary":null},"prompt":{"id":"p","variables":{"a":"b"}},"user":"u","usage":null,"temperature":1.0,"top_p":1.0}}`,
		`{"type":"response.completed","response":{"id":"r","output":[{"type":"message","id":"m","role":"assistant","content":[{"type":"output_text","text":"hi","annotations":[{"type":"file_citation","file_id":"f","filename":"n","index":0}]}]},{"type":"function_call","id":"i","call_id":"c","name":"f","arguments":"{}"},{"type":"file_search_call","id":"i","queries":["q"],"results":[{"file_id":"f","filename":"n","score":0.5,"text":"t","attributes":{"a":"b"}}]},{"type":"web_search_call","id":"i","action":{"type":"search","query":"q","sources":[{"type":"url","url":"u"}]}},{"type":"mcp_call","id":"i","name":"n","server_label":"l","arguments":"{}","output":"o","error":"e"},{"type":"code_interpreter_call","id":"i","code":"c","container_id":"c","outputs":[{"type":"logs","logs":"l"}]},{"type":"image_generation_call","id":"i","status":"completed","revised_prompt":"p"},{"type":"reasoning","id":"i","summary":[{"type":"summary_text","text":"s"}],"content":[{"type":"reasoning_text","text":"r"}],"encrypted_content":"x"}],"usage":{"input_tokens":1}}}`,
		`{"type":"response.output_item.added","output_index":0,"sequence_number":1,"item":{"id":"i","type":"function_call","status":"in_progress","call_id":"c","name":"f","arguments":""}}`,
		`{"type":"response.output_item.added","output_index":0,"sequence_number":1,"item":{"id":"i","type":"reasoning","summary":[{"type":"summary_text","text":"s"}],"content":[{"type":"output_text","text":"t"}]}}`,
		`{"type":"response.output_item.done","output_index":0,"sequence_number":1,"item":{"id":"i","type":"mcp_call","name":"n","server_label":"l","arguments":"{}","output":"o"}}`,
		`{"type":"response.content_part.added","item_id":"i","output_index":0,"content_index":0,"part":{"type":"output_text","text":"t","annotations":[]}}`,
		`{"type":"response.content_part.done","item_id":"i","output_index":0,"content_index":0,"part":{"type":"refusal","refusal":"t"}}`,
		`{"type":"response.reasoning_summary_part.added","item_id":"i","output_index":0,"summary_index":0,"part":{"type":"summary_text","text":"t"}}`,
		`{"type":"response.output_text.delta","item_id":"i","output_index":0,"content_index":0,"delta":"t","sequence_number":1,"obfuscation":"x"}`,
		`{"type":"response.output_text.done","item_id":"i","output_index":0,"content_index":0,"text":"t"}`,
		`{"type":"response.output_text.annotation.added","item_id":"i","output_index":0,"content_index":0,"annotation_index":0,"annotation":{"type":"url_citation","url":"u","title":"t","start_index":0,"end_index":1}}`,
		`{"type":"response.function_call_arguments.done","item_id":"i","output_index":0,"arguments":"{}","name":"f"}`,
		`{"type":"response.web_search_call.searching","item_id":"i","output_index":0}`,
		`{"type":"response.image_generation_call.partial_image","item_id":"i","output_index":0,"size":"s","quality":"q","background":"b","output_format":"png","partial_image_index":0}`,
		`{"type":"response.new.done","item_id":"i","output_index":0,"said":"x"}`,
	} {
		mutants(t, body, func(path, body string, want []string) {
			var r EventReader
			raw := "event: x\ndata: " + body + "\n\n"
			e, err := r.Read([]byte(raw))
			if err != nil {
				return
			}
			for _, w := range want {
				if !hidden(path, w) && !slices.ContainsFunc(e.Finds, func(f Find) bool { return f.Use != Signature && raw[f.At:f.End] == w }) {
					t.Errorf("%s of %s: %q is no text", path, body, w)
				}
			}
		})
	}
}
