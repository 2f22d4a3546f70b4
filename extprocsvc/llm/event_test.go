package llm

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// split cuts a stream at random.
func split(t testing.TB, rng *rand.Rand, stream string) (events []string, rest string) {
	t.Helper()
	s := Splitter{}
	for len(stream) > 0 {
		n := 1 + rng.IntN(min(len(stream), 1+rng.IntN(40)))
		if err := s.Write([]byte(stream[:n]), func(raw []byte) error {
			events = append(events, string(raw))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		stream = stream[n:]
	}
	return events, string(s.Rest())
}

func TestSplitter(t *testing.T) {
	for _, c := range []struct {
		name, stream string
		want         []string
		rest         string
	}{
		{"LF", "data: a\n\ndata: b\n\n", []string{"data: a\n\n", "data: b\n\n"}, ""},
		{"CR LF", "data: a\r\n\r\ndata: b\r\n\r\n", []string{"data: a\r\n\r\n", "data: b\r\n\r\n"}, ""},
		{"CR", "data: a\r\rdata: b\r\r", []string{"data: a\r\r", "data: b\r\r"}, ""},
		{"several lines", "event: x\ndata: a\ndata: b\nid: 1\n\n", []string{"event: x\ndata: a\ndata: b\nid: 1\n\n"}, ""},
		{"comments", ": ping\n\n:\n\ndata: x\n\n", []string{": ping\n\n", ":\n\n", "data: x\n\n"}, ""},
		{"blank lines", "\n\ndata: x\n\n\n\ndata: y\n\n", []string{"\n\ndata: x\n\n", "\n\ndata: y\n\n"}, ""},
		{"no blank line at the end", "data: x\n\ndata: y\n", []string{"data: x\n\n"}, "data: y\n"},
		{"nothing", "", nil, ""},
	} {
		for i := range 200 {
			events, rest := split(t, rand.New(rand.NewPCG(1, uint64(i))), c.stream)
			if !slices.Equal(events, c.want) || rest != c.rest {
				t.Fatalf("%s, seed %d: got %q and %q", c.name, i, events, rest)
			}
		}
	}
}

// An event leaves with the byte that ends it; only where lines end with CR LF
// the LF is waited for.
func TestSplitterWaitsForNothing(t *testing.T) {
	for _, stream := range []string{"data: a\n\n", "data: a\r\n\r\n", "data: a\r\r", "data: a\n\r", "\r\ndata: a\r\n\r\n"} {
		var s Splitter
		n := 0
		for i := range len(stream) {
			if err := s.Write([]byte{stream[i]}, func([]byte) error { n++; return nil }); err != nil {
				t.Fatal(err)
			}
			if last := i == len(stream)-1; last != (n == 1) {
				t.Errorf("%q: %d events after byte %d", stream, n, i)
			}
		}
	}
}

func TestSplitterBound(t *testing.T) {
	for _, c := range []struct {
		stream string
		large  bool
	}{{"data: 1234\n\n", false}, {"data: 12345\n\n", true}, {"data: 1234567", true}} {
		for size := 1; size <= len(c.stream); size++ {
			s := Splitter{Max: 12}
			var err error
			for b := range slices.Chunk([]byte(c.stream), size) {
				if err = s.Write(b, func([]byte) error { return nil }); err != nil {
					break
				}
			}
			if (err == ErrEventTooLarge) != c.large {
				t.Errorf("%q in pieces of %d: %v", c.stream, size, err)
			}
		}
	}
}

func FuzzSplitter(f *testing.F) {
	f.Add("data: a\r\n\r\n\rdata: b\n\n", uint64(1))
	f.Add("\r\r\n\n:x\r\n\rdata:\n", uint64(2))
	f.Fuzz(func(t *testing.T, stream string, seed uint64) {
		whole, wholeRest := []string(nil), ""
		var s Splitter
		if err := s.Write([]byte(stream), func(raw []byte) error { whole = append(whole, string(raw)); return nil }); err != nil {
			t.Fatal(err)
		}
		wholeRest = string(s.Rest())
		if strings.Join(whole, "")+wholeRest != stream {
			t.Fatalf("bytes were lost: %q %q", whole, wholeRest)
		}
		events, rest := split(t, rand.New(rand.NewPCG(seed, 0)), stream)
		if strings.Join(events, "")+rest != stream {
			t.Fatalf("bytes were lost: %q %q", events, rest)
		}
		// Pieces that end between a CR and an LF move that LF to the next event.
		bare := func(l []string) (out []string) {
			for _, e := range l {
				out = append(out, strings.Trim(e, "\r\n"))
			}
			return out
		}
		if !slices.Equal(bare(events), bare(whole)) {
			t.Fatalf("got %q, want %q", events, whole)
		}
	})
}

// say lists what a reader finds.
func say(t *testing.T, raw string) string {
	t.Helper()
	var r EventReader
	e, err := r.Read([]byte(raw))
	if err != nil {
		return "error: " + err.Error()
	}
	var list []string
	if e.Dialect != nil {
		list = append(list, e.Dialect.Name)
	}
	for _, f := range e.Finds {
		s := fmt.Sprintf("%s(%s)", []string{"alone", "joined", "signature", "withheld"}[f.Use], raw[f.At:f.End])
		if f.JSON {
			s = "json " + s
		}
		if f.Use == Joined || f.Use == Signature {
			s += fmt.Sprintf("@%s%v", f.Key.Name, f.Key.N)
		}
		list = append(list, s)
	}
	for _, end := range e.Ends {
		switch {
		case end.Everything:
			list = append(list, "end")
		case end.All:
			list = append(list, fmt.Sprintf("end %d", end.Key.N[0]))
		default:
			list = append(list, fmt.Sprintf("end %s%v", end.Key.Name, end.Key.N))
		}
	}
	return strings.Join(list, "; ")
}

func TestEventReader(t *testing.T) {
	for _, c := range []struct{ raw, want string }{
		{`data: {"id":"1","object":"chat.completion.chunk","choices":[{"index":2,"delta":{"role":"assistant","content":"hi"},"logprobs":null,"finish_reason":null}]}`,
			"OpenAI Chat Completions; joined(hi)@content[2 0]"},
		{`data: {"choices":[{"delta":{"content":"hi"},"finish_reason":"stop","index":1}]}`, "OpenAI Chat Completions; joined(hi)@content[1 0]; end 1"},
		{`data: {"choices":[{"delta":{"content":"a"},"index":1},{"index":0,"delta":{"content":"b"}}]}`, "OpenAI Chat Completions; joined(a)@content[1 0]; joined(b)@content[0 0]"},
		{`data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":3,"id":"c","type":"function","function":{"name":"f","arguments":"{"}},{"function":{"arguments":"}"},"index":0}]}}]}`,
			"OpenAI Chat Completions; alone(f); json joined({)@arguments[0 3]; json joined(})@arguments[0 0]"},
		{`data: {"choices":[{"index":0,"delta":{"reasoning_content":"r","refusal":"n","vendor":{"x":["y"]}}}]}`,
			"OpenAI Chat Completions; joined(r)@reasoning_content[0 0]; joined(n)@refusal[0 0]; alone(vendor); alone(x); joined(y)@:/choices/0/delta/vendor/x/0[0 0]"},
		{`data: {"choices":[{"index":0,"delta":{"content":[{"type":"text","text":"a"},{"type":"thinking","thinking":[{"type":"text","text":"b"}]}]}}]}`,
			"OpenAI Chat Completions; joined(a)@content[0 0]; joined(b)@thinking[0 0]"},
		{`data: {"choices":[{"index":0,"delta":{"content":"x"},"logprobs": {"content":[{"token":"x"}]} }]}`, `OpenAI Chat Completions; joined(x)@content[0 0]; withheld({"content":[{"token":"x"}]})`},
		{`data: {"choices":[],"timings":{"predicted_per_second":52.74725274725275,"note":"a b"}}`, "alone(a b)"},
		{`data: {"choices":[],"usage":{"total_tokens":3},"x_vendor":{"note":"n"}}`, "alone(x_vendor); alone(note); alone(n)"},
		{`data: {"choices":[{"index":0,"text":"t","logprobs":null}]}`, "OpenAI Completions; joined(t)@text[0 0]"},
		{"data: [DONE]", "end"},
		{": ping\ndata: {}\nfoo: bar\nevent: x\nid: y", "alone(: ping); alone(foo: bar)"},
		{"data: {\"choices\":[{\"index\":0,\ndata: \"delta\":{\"content\":\"a\"}}]}", "OpenAI Chat Completions; joined(a)@content[0 0]"},
		{`data: {"type":"response.output_text.delta","item_id":"m","output_index":1,"content_index":2,"delta":"hi","logprobs":[],"obfuscation":"abc","sequence_number":4}`,
			"OpenAI Responses; joined(hi)@part[1 2]"},
		{`data: {"delta":"hi","output_index":1,"content_index":2,"type":"response.output_text.delta"}`, "OpenAI Responses; joined(hi)@part[1 2]"},
		{`data: {"type":"response.output_text.done","text":"hi","output_index":1,"content_index":2}`, "OpenAI Responses; alone(hi); end part[1 2]"},
		{`data: {"type":"response.content_part.added","part":{"type":"output_text","text":"hi","annotations":[]},"output_index":1,"content_index":2}`, "OpenAI Responses; joined(hi)@part[1 2]"},
		{`data: {"type":"response.output_item.added","output_index":4,"item":{"type":"message","content":[{"text":"a"},{"text":"b"}]}}`, "OpenAI Responses; joined(a)@part[4 0]; joined(b)@part[4 1]"},
		{`data: {"type":"response.output_item.done","output_index":4,"item":{"type":"function_call","name":"f","arguments":"{}"}}`, "OpenAI Responses; alone(f); json alone({}); end 4"},
		{`data: {"type":"response.completed","response":{"id":"r","instructions":"be brief","output":[{"type":"message","content":[{"type":"output_text","text":"hi","logprobs":[{"token":"hi"}]}]}]}}`,
			`OpenAI Responses; alone(be brief); alone(hi); withheld([{"token":"hi"}]); end`},
		{`data: {"type":"response.new.delta","output_index":1,"delta":"hi"}`, "OpenAI Responses; alone(delta); joined(hi)@response.new.delta:/delta[1 0]"},
		{`data: {"type":"message_start","message":{"id":"m","content":[],"role":"assistant","model":"c"}}`, "Anthropic Messages"},
		{`data: {"type":"content_block_start","index":1,"content_block":{"type":"text","text":"a"}}`, "Anthropic Messages; joined(a)@text[1 0]"},
		{`data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"b"}}`, "Anthropic Messages; joined(b)@text[1 0]"},
		{`data: {"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"a"}}`, `Anthropic Messages; json joined({\"a)@json[1 0]`},
		{`data: {"type":"content_block_delta","index":1,"delta":{"type":"new_delta","words":"b"}}`, "Anthropic Messages; alone(words); joined(b)@content_block_delta:/delta/words[1 0]"},
		{`data: {"type":"content_block_delta","index":1,"delta":{"type":"signature_delta","signature":"c2ln"}}`, "Anthropic Messages; signature(c2ln)@thinking[1 0]"},
		{`data: {"delta":{"signature":"c2ln","type":"signature_delta"},"type":"content_block_delta","index":1}`, "Anthropic Messages; signature(c2ln)@thinking[1 0]"},
		{`data: {"type":"content_block_stop","index":1}`, "Anthropic Messages; end 1"},
		{`data: {"type":"message_stop"}`, "Anthropic Messages; end"},
		{`data: {"type":"ping"}`, ""},
		{`data: {"type":"ping","choices":[{"index":0,"delta":{"content":"a"}}]}`, "OpenAI Chat Completions; joined(a)@content[0 0]"},
		{`data: {"type":"error","error":{"type":"overloaded_error","message":"m"}}`, "alone(type); alone(overloaded_error); alone(message); alone(m)"},
		{`data: {"error":{"message":"m"}}`, "alone(message); alone(m)"},
		{`data: {"type":"new","words":"b"}`, "alone(words); joined(b)@new:/words[0 0]"},
		{`data: {"choices":[{"index":0,"delta":{"role":"a b","n":7,"content":"x"},"token_ids":[1,2],"finish_reason":"be cause"}]}`,
			"OpenAI Chat Completions; alone(a b); alone(n); json alone(7); joined(x)@content[0 0]; withheld([1,2]); alone(be cause); end 0"},
		{"event: content_block_delta\n" + `data: {"delta":{"text":"x"},"index":3}`, "alone(text); joined(x)@:/delta/text[3 0]"},
		{`data: {"choices":[{"index":1.0,"delta":{"content":"x"}}]}`, "error: a number of a list that is none at byte 24"},
		{`data: {"type":"content_block_start","index":0,"content_block":{"data":"a b","type":"redacted_thinking"}}`, "Anthropic Messages"},
		{`data: {"type":"content_block_start","index":0,"content_block":{"data":"a b","type":"else"}}`, "Anthropic Messages; alone(a b)"},
		{`data: {"type":"response.output_item.done","item":{"type":"mcp_call","output":"o","n":[4],"id":"a b"}}`,
			"OpenAI Responses; alone(o); alone(n); json alone(4); alone(a b); end 0"},
		{"event: a b\nid: c d\nretry: 3\nerror: {\"a\":1}\n: [x\ndata: {}\n\n", "alone(event: a b); alone(id: c d); alone(error: ); json alone({\"a\":1}); alone(: ); json alone([x)"},
		{":{\"a\":1}\ndata: {}", "alone(:); json alone({\"a\":1})"},
		{"{\"choices\":[{\"message\":{\"content\":\"a\\u0040b\"}}]}", "error: JSON that is no event at byte 0"},
		{`data: hello`, "error: invalid JSON, expected an object at byte 0"},
		{`data: ["a"]`, "error: invalid JSON, expected an object at byte 0"},
		{`data: {"choices":[{"delta":{"content":"a","content":"b"}}]}`, "error: duplicate key at byte 36"},
		{`data: {"choices":[{"delta":{"Content":"a"}}]}`, `error: a key differs from "content" in case only at byte 22`},
		{`data: {"choices":[{"delta":{"content":"a`, "error: unexpected end at byte 34"},
		{"data: {\"choices\":[{\"delta\":{\"content\":\"\xff\"}}]}", "error: invalid UTF-8 at byte 0"},
		{`data: {"choices":[{"delta":{"audio":{"data":"UklG"}}}]}`, "error: sound, which cannot be read at byte 44"},
	} {
		if got := say(t, c.raw); got != c.want {
			t.Errorf("%s\ngot  %s\nwant %s", c.raw, got, c.want)
		}
	}
}

// Whatever an event is, finds are in order, lie in it and do not overlap.
func FuzzEventReader(f *testing.F) {
	f.Add(`data: {"choices":[{"index":0,"delta":{"content":"a"}}]}`)
	f.Add("data: {\"type\":\"content_block_delta\",\ndata: \"delta\":{\"text\":\"\\ud83d\"},\"index\":0}")
	f.Add(`data:{"type":"0","0":{"type":`)
	f.Add(`data: {"a":{"logprobs":[1]},"type":"response.x.delta","b":["c"]}`)
	var r EventReader
	f.Fuzz(func(t *testing.T, raw string) {
		e, err := r.Read([]byte(raw))
		if err != nil {
			return
		}
		finds := slices.Clone(e.Finds)
		slices.SortStableFunc(finds, func(a, b Find) int { return a.At - b.At })
		at := 0
		for _, find := range finds {
			if find.At < at || find.End <= find.At || find.End > len(raw) {
				t.Fatalf("%q: %+v", raw, e.Finds)
			}
			at = find.End
		}
	})
}

func TestDecoder(t *testing.T) {
	for _, c := range []struct {
		raw  []string
		want string
	}{
		{[]string{`a`, `\u00e9`, `\n\"\\\/\b\f\r\t`}, "aé\n\"\\/\b\f\r\t"},
		{[]string{`\ud83d\ude00`}, "😀"},
		{[]string{`\ud83d`, `\ude00`}, "😀"},
		{[]string{`\ude00`}, "\ufffd"},
		{[]string{`\ud83d`, `x\ude00`}, "\xf0\x9fx\ufffd"},
	} {
		var d Decoder
		text := ""
		for _, raw := range c.raw {
			before := d
			piece := d.Append(nil, []byte(raw))
			text += string(piece)
			for n := range len(piece) + 1 {
				at := before
				from, to := at.Range([]byte(raw), n, len(piece))
				if to != len(raw) && n < len(piece) || from > to || n == 0 && from != 0 {
					t.Errorf("%q: bytes from %d on are at %d to %d", raw, n, from, to)
				}
			}
		}
		if text != c.want {
			t.Errorf("%q: got %q, want %q", c.raw, text, c.want)
		}
	}
}
