package events_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/attache-dev/attache/extprocsvc/events"
)

func delta(choice int, members string) string {
	return fmt.Sprintf("data: {\"choices\":[{\"index\":%d,\"delta\":{%s}}]}\n\n", choice, members)
}

func block(index int, members string) string {
	return fmt.Sprintf("data: {\"type\":\"content_block_delta\",\"index\":%d,\"delta\":{%s}}\n\n", index, members)
}

func call(arguments string) string {
	return delta(0, `"tool_calls":[{"index":0,"function":{"arguments":`+quote(arguments)+`}}]`)
}

// TestSteps writes a stream event by event, and tells what leaves with each.
func TestSteps(t *testing.T) {
	pii := sets(t)[0][0]
	const ssn = "123-45-6789"
	for _, c := range []struct {
		name  string
		steps [][2]string // what comes, and what leaves with it
		end   string      // what leaves at the end
		err   error
	}{
		{"clean text is not held", [][2]string{{delta(0, `"content":"a, "`), "="}, {delta(0, `"content":"b. "`), "="}}, "", nil},
		{"held until it is no match", [][2]string{
			{delta(0, `"content":"123-"`), ""}, {": ping\n\n", ""}, {delta(0, `"content":"x. "`), delta(0, `"content":"123-"`) + ": ping\n\n" + delta(0, `"content":"x. "`)},
		}, "", nil},
		{"the end of the stream decides", [][2]string{{delta(0, `"content":"`+ssn+`"`), ""}}, delta(0, `"content":"<SSN>"`), nil},
		{"finish events wait", [][2]string{{delta(0, `"content":"123-"`), ""}, {"data: {\"choices\":[{\"index\":0,\"finish_reason\":\"stop\"}]}\n\n", delta(0, `"content":"123-"`) + "data: {\"choices\":[{\"index\":0,\"finish_reason\":\"stop\"}]}\n\n"}}, "", nil},
		{"another choice waits", [][2]string{{delta(0, `"content":"123-"`), ""}, {delta(1, `"content":"x. "`), ""}}, delta(0, `"content":"123-"`) + delta(1, `"content":"x. "`), nil},
		{"an answer does not wait for its reasoning", [][2]string{
			{delta(0, `"reasoning":"so 123-45-"`), ""},
			{delta(0, `"content":"a. "`), delta(0, `"reasoning":"so 123-45-"`) + delta(0, `"content":"a. "`)},
			{delta(0, `"reasoning":"no. "`), "="}, {delta(0, `"reasoning":"`+ssn+`. "`), delta(0, `"reasoning":"<SSN>. "`)},
		}, "", nil},
		{"reasoning that goes on in a match", [][2]string{
			{delta(0, `"reasoning":"so 123-45-"`), ""},
			{delta(0, `"content":"a. "`), delta(0, `"reasoning":"so 123-45-"`) + delta(0, `"content":"a. "`)},
			{delta(0, `"reasoning":"6789 "`), ""},
		}, "", events.ErrResumed},
		{"masked at the end, and then it goes on", [][2]string{
			{delta(0, `"reasoning":"so `+ssn+`"`), ""},
			{delta(0, `"content":"a. "`), delta(0, `"reasoning":"so <SSN>"`) + delta(0, `"content":"a. "`)},
			{delta(0, `"reasoning":" again. "`), "="},
		}, "", nil},
		{"texts in the same events do not end each other", [][2]string{
			{delta(0, `"reasoning":"so 123-45-","reasoning_details":[{"type":"t","text":"so 123-45-"}]`), ""},
			{delta(0, `"reasoning":"6789. ","reasoning_details":[{"type":"t","text":"6789. "}]`),
				delta(0, `"reasoning":"so <SSN>","reasoning_details":[{"type":"t","text":"so <SSN>"}]`) + delta(0, `"reasoning":". ","reasoning_details":[{"type":"t","text":". "}]`)},
		}, "", nil},
		{"the signature of a thought that was changed is marked", [][2]string{
			{block(0, `"thinking":"so 123-"`), ""}, {block(0, `"thinking":"45-6789"`), ""},
			{block(0, `"signature":"c2ln"`), block(0, `"thinking":"so <SSN>"`) + block(0, `"thinking":""`) + block(0, `"signature":"attache-masked.c2ln"`)},
			{block(1, `"thinking":"so 123-"`), ""},
			{block(1, `"signature":"c2ln"`), block(1, `"thinking":"so 123-"`) + block(1, `"signature":"c2ln"`)},
			{block(2, `"signature":"c2ln"`), "="},
		}, "", nil},
		{"a type nobody knows", [][2]string{
			{"data: {\"type\":\"new\",\"words\":\"123-45\"}\n\n", ""},
			{"data: {\"type\":\"new\",\"words\":\"-6789. \"}\n\n", "data: {\"type\":\"new\",\"words\":\"<SSN>\"}\n\ndata: {\"type\":\"new\",\"words\":\". \"}\n\n"},
		}, "", nil},
		{"a type nobody knows does not hold others up", [][2]string{
			{"data: {\"type\":\"new\",\"words\":\"so\"}\n\n", ""},
			{delta(0, `"content":"a. "`), "data: {\"type\":\"new\",\"words\":\"so\"}\n\n" + delta(0, `"content":"a. "`)},
		}, "", nil},
		{"log probabilities say it again", [][2]string{
			{"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a. \"},\"logprobs\": {\"content\":[{\"token\":\"a\",\"bytes\":[97]}]} }]}\n\n",
				"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a. \"},\"logprobs\": null }]}\n\n"},
		}, "", nil},
		{"comments and fields without a meaning", [][2]string{{": " + ssn + "\nx: " + ssn + "\ndata: {}\n\n", ": <SSN>\nx: <SSN>\ndata: {}\n\n"}}, "", nil},
		{"names and ids of events", [][2]string{{"event: no " + ssn + "\nid: " + ssn + " x\nretry: 5\ndata: {}\n\n", "event: no <SSN>\nid: <SSN> x\nretry: 5\ndata: {}\n\n"}}, "", nil},
		{"keys and numbers that nobody knows", [][2]string{{delta(0, `"content":"a. ","n `+ssn+`":[4111111111111111, {"role":"x `+ssn+`"}]`), delta(0, `"content":"a. ","n <SSN>":["<CARD>", {"role":"x <SSN>"}]`)}}, "", nil},
		{"what should identify", [][2]string{{delta(0, `"role":"I, `+ssn+`","content":"a. "`), delta(0, `"role":"I, <SSN>","content":"a. "`)}}, "", nil},
		{"what is complete", [][2]string{{"data: {\"type\":\"response.created\",\"response\":{\"instructions\":\"no " + ssn + "\",\"output\":[],\"new\":4111111111111111}}\n\n", "data: {\"type\":\"response.created\",\"response\":{\"instructions\":\"no <SSN>\",\"output\":[],\"new\":\"<CARD>\"}}\n\n"}}, "", nil},
		{"a line with JSON in a field without a meaning", [][2]string{{"error: {\"a\":\"12\\u0033-45-6789\",\"n\":4111111111111111}\ndata: {}\n\n", "error: {\"a\":\"<SSN>\",\"n\":\"<CARD>\"}\ndata: {}\n\n"}}, "", nil},
		{"errors", [][2]string{{"data: {\"error\":{\"message\":\"no " + ssn + "\"}}\n\n", "data: {\"error\":{\"message\":\"no <SSN>\"}}\n\n"}}, "", nil},
		{"data in several lines", [][2]string{{"data: {\"choices\":[{\"delta\":\ndata:{\"content\":\"" + ssn + ". \"\r\ndata: }}]}\r\n\r\n", "data: {\"choices\":[{\"delta\":\ndata:{\"content\":\"<SSN>. \"\r\ndata: }}]}\r\n\r\n"}}, "", nil},
		{"arguments, cut in an escape", [][2]string{
			{call(`{"a":"12\u00`), ""}, {call(`33-45-6789\`), ""}, {call(`n","n":4111111111111111`), call(`{"a":"<SSN>`) + call(`\`)},
			{call(`}`), call(`n","n":"<CARD>"`) + call(`}`)},
		}, "", nil},
		{"arguments as lenient readers take them", [][2]string{{call("{\"a\":NaN,\"b\":-Infinity,\"c\":\"no\n12\\u0033-45-6789\","), call("{\"a\":NaN,\"b\":-Infinity,\"c\":\"no\n<SSN>\",")}}, "", nil},
		{"arguments that are no JSON", [][2]string{{call(`my card is 4111 1111`), ""}, {call(` 1111 1111, "ok". `), call(`my card is <CARD>`) + call(`, "ok". `)}}, "", nil},
		{"arguments that begin like JSON", [][2]string{{call(`4111 1111`), ""}, {call(` 1111 1111, "ok". `), call(`<CARD>`) + call(`, "ok". `)}}, "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := flow(0, pii)
			var err error
			for i, s := range c.steps {
				var out []byte
				if out, err = f.Write(nil, []byte(s[0])); err != nil {
					break
				}
				want := s[1]
				if want == "=" {
					want = s[0]
				}
				if string(out) != want {
					t.Fatalf("step %d: got\n%swant\n%s", i, out, want)
				}
			}
			if !errors.Is(err, c.err) {
				t.Fatalf("got %v, want %v", err, c.err)
			}
			if err != nil {
				return
			}
			out, err := f.Close(nil)
			if err != nil || string(out) != c.end {
				t.Fatalf("end: got\n%s%v, want\n%s", out, err, c.end)
			}
		})
	}
}

func TestTooManyTexts(t *testing.T) {
	f := flow(0, sets(t)[0][0])
	var err error
	for i := range events.MaxTexts + 1 {
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.Write(nil, []byte(delta(i, `"content":"x"`)))
	}
	if !errors.Is(err, events.ErrTooMany) {
		t.Errorf("got %v", err)
	}
}

// mad is a guard that decides what its steps say.
type mad struct{ steps []events.Decision }

func (m *mad) Write([]byte) events.Decision {
	d := m.steps[0]
	m.steps = m.steps[1:]
	return d
}
func (m *mad) Close() events.Decision { return events.Decision{} }
func (m *mad) Reset()                 {}

func TestGuardsThatMisbehave(t *testing.T) {
	edit := func(list ...int) (edits []events.Edit) {
		for i := 0; i < len(list); i += 2 {
			edits = append(edits, events.Edit{Start: list[i], End: list[i+1], Text: "-"})
		}
		return edits
	}
	for name, steps := range map[string][]events.Decision{
		"beyond the end":           {{Safe: 5}},
		"an edit beyond the safe":  {{Safe: 2, Edits: edit(1, 3)}},
		"an empty edit":            {{Safe: 2, Edits: edit(1, 1)}},
		"edits that overlap":       {{Safe: 3, Edits: edit(0, 2, 1, 3)}},
		"what it had let go":       {{Safe: 2}, {Safe: 8, Edits: edit(1, 3)}},
		"in the middle of an edit": {{Safe: 3, Edits: edit(0, 3)}, {Safe: 8, Edits: edit(2, 4)}},
	} {
		f := events.New(events.Config{Guards: 1, New: func(int) events.Guard { return &mad{steps} }})
		var err error
		for range steps {
			if _, err = f.Write(nil, []byte(delta(0, `"content":"abcd"`))); err != nil {
				break
			}
		}
		var m *events.Misbehaved
		if !errors.As(err, &m) || !strings.Contains(err.Error(), "guard 0") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// However long a stream is, what is held of it is what is not decided.
func TestHeldIsFlat(t *testing.T) {
	f := flow(0, sets(t)[0][0])
	for i, e := range long(20_000, true) {
		if _, err := f.Write(nil, e); err != nil {
			t.Fatal(err)
		}
		if f.Held() > 2*len(e) {
			t.Fatalf("%d bytes are held after %d events", f.Held(), i)
		}
	}
}
