package events_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"
)

// A part is a text of an answer before it is made a stream of.
type part struct {
	// name is chat's content, reasoning_content, refusal, or tool; or text of
	// completions, or a dialect's word.
	name string
	n    int // choice, block or item
	text string
}

func (p part) key() string { return fmt.Sprintf("%s %d", p.name, p.n) }

// A dialect makes a stream of texts, and reads one as a client does.
type dialect struct {
	name string
	// names are of the parts of an answer, in order.
	names []string
	begin string
	// delta is an event with a piece, which is the inside of a JSON string.
	delta func(p part, piece string) string
	// stop ends one part, and end all.
	stop func(p part) string
	end  func(parts []part) string
	read func(e map[string]any, add func(key, text string))
}

func quote(s string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		panic(err)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func event(format string, args ...any) string {
	data := fmt.Sprintf(format, args...)
	var e struct{ Type string }
	if json.Unmarshal([]byte(data), &e) == nil && e.Type != "" {
		return "event: " + e.Type + "\ndata: " + data + "\n\n"
	}
	return "data: " + data + "\n\n"
}

func str(v any, path ...any) string {
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[p]
		case int:
			l, _ := v.([]any)
			if p >= len(l) {
				return ""
			}
			v = l[p]
		}
	}
	s, _ := v.(string)
	return s
}

func num(v any, path ...string) int {
	for _, p := range path {
		m, _ := v.(map[string]any)
		v = m[p]
	}
	f, _ := v.(float64)
	return int(f)
}

var dialects = []dialect{
	{
		name:  "chat",
		names: []string{"reasoning_content", "content", "tool"},
		begin: event(`{"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]}`),
		delta: func(p part, piece string) string {
			d := fmt.Sprintf(`"%s":"%s"`, p.name, piece)
			if p.name == "tool" {
				d = fmt.Sprintf(`"tool_calls":[{"index":0,"function":{"arguments":"%s"}}]`, piece)
			}
			return event(`{"id":"c1","object":"chat.completion.chunk","created":1,"choices":[{"delta":{%s},"index":%d,"finish_reason":null}],"usage":null}`, d, p.n)
		},
		stop: func(part) string { return "" },
		end: func(parts []part) (s string) {
			seen := map[int]bool{}
			for _, p := range parts {
				if !seen[p.n] {
					seen[p.n] = true
					s += event(`{"id":"c1","choices":[{"index":%d,"delta":{},"finish_reason":"stop"}]}`, p.n)
				}
			}
			return s + event(`{"id":"c1","choices":[],"usage":{"total_tokens":12345678901234567890}}`) + "data: [DONE]\n\n"
		},
		read: func(e map[string]any, add func(string, string)) {
			choices, _ := e["choices"].([]any)
			for _, c := range choices {
				n := num(c, "index")
				for _, name := range []string{"reasoning_content", "content"} {
					add(part{name: name, n: n}.key(), str(c, "delta", name))
				}
				add(part{name: "tool", n: n}.key(), str(c, "delta", "tool_calls", 0, "function", "arguments"))
			}
		},
	},
	{
		name:  "completions",
		names: []string{"text"},
		delta: func(p part, piece string) string {
			return event(`{"id":"c1","object":"text_completion","choices":[{"text":"%s","index":%d,"logprobs":null,"finish_reason":null}]}`, piece, p.n)
		},
		stop: func(p part) string {
			return event(`{"id":"c1","choices":[{"text":"","index":%d,"finish_reason":"length"}]}`, p.n)
		},
		end: func([]part) string { return "data: [DONE]\n\n" },
		read: func(e map[string]any, add func(string, string)) {
			choices, _ := e["choices"].([]any)
			for _, c := range choices {
				add(part{name: "text", n: num(c, "index")}.key(), str(c, "text"))
			}
		},
	},
	{
		name:  "messages",
		names: []string{"thinking", "text", "tool"},
		begin: event(`{"type":"message_start","message":{"id":"m","type":"message","role":"assistant","content":[],"usage":{"input_tokens":3}}}`) + event(`{"type":"ping"}`),
		delta: func(p part, piece string) string {
			kind, key := "text_delta", "text"
			switch p.name {
			case "thinking":
				kind, key = "thinking_delta", "thinking"
			case "tool":
				kind, key = "input_json_delta", "partial_json"
			}
			return event(`{"type":"content_block_delta","index":%d,"delta":{"type":"%s","%s":"%s"}}`, p.block(), kind, key, piece)
		},
		stop: func(p part) string { return event(`{"type":"content_block_stop","index":%d}`, p.block()) },
		end: func([]part) string {
			return event(`{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":15}}`) + event(`{"type":"message_stop"}`)
		},
		read: func(e map[string]any, add func(string, string)) {
			n := num(e, "index") / 3
			add(part{name: "text", n: n}.key(), str(e, "delta", "text"))
			add(part{name: "thinking", n: n}.key(), str(e, "delta", "thinking"))
			add(part{name: "tool", n: n}.key(), str(e, "delta", "partial_json"))
		},
	},
	{
		name:  "responses",
		names: []string{"summary", "text", "tool"},
		begin: event(`{"type":"response.created","sequence_number":0,"response":{"id":"r","object":"response","status":"in_progress","output":[]}}`),
		delta: func(p part, piece string) string {
			kind, index := "output_text", "content_index"
			switch p.name {
			case "summary":
				kind, index = "reasoning_summary_text", "summary_index"
			case "tool":
				kind, index = "function_call_arguments", "x"
			}
			return event(`{"type":"response.%s.delta","item_id":"i","output_index":%d,"%s":0,"delta":"%s","sequence_number":7}`, kind, p.block(), index, piece)
		},
		stop: func(p part) string {
			switch p.name {
			case "summary":
				return event(`{"type":"response.reasoning_summary_text.done","output_index":%d,"summary_index":0,"text":%s}`, p.block(), quote(p.text))
			case "tool":
				return event(`{"type":"response.function_call_arguments.done","output_index":%d,"arguments":%s}`, p.block(), quote(p.text))
			}
			return event(`{"type":"response.output_text.done","output_index":%d,"content_index":0,"text":%s}`, p.block(), quote(p.text)) +
				event(`{"type":"response.content_part.done","output_index":%d,"content_index":0,"part":{"type":"output_text","text":%s}}`, p.block(), quote(p.text))
		},
		end: func(parts []part) string {
			var items []string
			for _, p := range parts {
				if p.name == "text" {
					items = append(items, fmt.Sprintf(`{"type":"message","content":[{"type":"output_text","text":%s}]}`, quote(p.text)))
				}
			}
			return event(`{"type":"response.completed","response":{"id":"r","output":[%s]}}`, strings.Join(items, ","))
		},
		read: func(e map[string]any, add func(string, string)) {
			n := num(e, "output_index") / 3
			switch str(e, "type") {
			case "response.output_text.delta":
				add(part{name: "text", n: n}.key(), str(e, "delta"))
			case "response.reasoning_summary_text.delta":
				add(part{name: "summary", n: n}.key(), str(e, "delta"))
			case "response.function_call_arguments.delta":
				add(part{name: "tool", n: n}.key(), str(e, "delta"))
			case "response.output_text.done", "response.reasoning_summary_text.done":
				add("done", str(e, "text")+"|")
			case "response.function_call_arguments.done":
				add("done", str(e, "arguments")+"|")
			case "response.content_part.done":
				add("done", str(e, "part", "text")+"|")
			case "response.completed":
				m, _ := e["response"].(map[string]any)
				items, _ := m["output"].([]any)
				for _, it := range items {
					add("done", str(it, "content", 0, "text")+"|")
				}
			}
		},
	},
}

// block is the number of a part where all parts are counted.
func (p part) block() int {
	switch p.name {
	case "text":
		return 3*p.n + 1
	case "tool":
		return 3*p.n + 2
	}
	return 3 * p.n
}

// escape writes a text as the inside of a JSON string, in one of many ways.
func escape(rng *rand.Rand, text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case rng.IntN(8) == 0 && r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04X`, hi, lo)
		case rng.IntN(8) == 0 && r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			q := quote(string(r))
			b.WriteString(q[1 : len(q)-1])
		}
	}
	return b.String()
}

// pieces cuts the inside of a JSON string in pieces that are such insides, and
// may be halves of surrogate pairs.
func pieces(rng *rand.Rand, raw string) (list []string) {
	var units []string
	for i := 0; i < len(raw); {
		_, n := utf8.DecodeRuneInString(raw[i:])
		if raw[i] == '\\' {
			if n = 2; raw[i+1] == 'u' {
				n = 6
			}
		}
		units = append(units, raw[i:i+n])
		i += n
	}
	for len(units) > 0 {
		n := 1 + rng.IntN(min(len(units), 1+rng.IntN(12)))
		list = append(list, strings.Join(units[:n], ""))
		units = units[n:]
	}
	return list
}

// stream makes a stream of parts: those of a choice in order, choices
// interleaved.
func (d *dialect) stream(rng *rand.Rand, parts []part) string {
	var b strings.Builder
	b.WriteString(d.begin)
	type job struct {
		part
		pieces []string
	}
	queues := map[int][]job{}
	var order []int
	for _, p := range parts {
		if queues[p.n] == nil {
			order = append(order, p.n)
		}
		queues[p.n] = append(queues[p.n], job{p, pieces(rng, escape(rng, p.text))})
	}
	for len(order) > 0 {
		i := rng.IntN(len(order))
		q := queues[order[i]]
		if len(q[0].pieces) > 0 {
			b.WriteString(d.delta(q[0].part, q[0].pieces[0]))
			q[0].pieces = q[0].pieces[1:]
			if rng.IntN(20) == 0 {
				b.WriteString(": ping\n\n")
			}
			continue
		}
		b.WriteString(d.stop(q[0].part))
		if q = q[1:]; len(q) == 0 {
			order = append(order[:i], order[i+1:]...)
			continue
		}
		queues[order[i]] = q
	}
	b.WriteString(d.end(parts))
	return b.String()
}

// texts are what a client has got of a stream so far.
func (d *dialect) texts(t testing.TB, stream string) map[string]string {
	t.Helper()
	got := map[string]string{}
	stream = strings.ReplaceAll(strings.ReplaceAll(stream, "\r\n", "\n"), "\r", "\n")
	for _, e := range strings.Split(stream, "\n\n") {
		var data []string
		for _, line := range strings.Split(e, "\n") {
			if v, ok := strings.CutPrefix(line, "data: "); ok {
				data = append(data, v)
			}
		}
		all := strings.Join(data, "\n")
		if all == "" || all == "[DONE]" {
			continue
		}
		dec := json.NewDecoder(bytes.NewReader([]byte(keepHalves(all))))
		var m map[string]any
		if err := dec.Decode(&m); err != nil {
			t.Fatalf("%v in %q", err, all)
		}
		d.read(m, func(key, text string) {
			got[key] += text
		})
	}
	for k, v := range got {
		got[k] = joinHalves(v)
	}
	return got
}

// encoding/json replaces halves of surrogate pairs, which JavaScript joins: they
// are taken around it as characters for private use.
func keepHalves(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+5 < len(s) && s[i+1] == 'u' && (s[i+2] == 'd' || s[i+2] == 'D') && s[i+3] >= '8' {
			var r rune
			if _, err := fmt.Sscanf(s[i+2:i+6], "%x", &r); err == nil && utf16.IsSurrogate(r) {
				b.WriteRune(0xf0000 + r - 0xd800)
				i += 5
				continue
			}
		}
		if s[i] == '\\' && i+1 < len(s) {
			b.WriteByte(s[i])
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func joinHalves(s string) string {
	var b strings.Builder
	var high rune
	for _, r := range s {
		if r >= 0xf0000 && r < 0xf0800 {
			if r -= 0xf0000 - 0xd800; r < 0xdc00 {
				high = r
				continue
			}
			b.WriteRune(utf16.DecodeRune(high, r))
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}
