package collect_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/attache-dev/attache/extprocsvc/collect"
	"github.com/attache-dev/attache/extprocsvc/llm"
)

// TestRead puts the streams of testdata together. A file has the stream, and want:
// the body, or why there is none; perhaps again, the events that are made of it.
func TestRead(t *testing.T) {
	for name, a := range fixtures(t) {
		t.Run(name, func(t *testing.T) {
			var stream, want, again string
			for _, f := range a.Files {
				switch f.Name {
				case "stream":
					stream = string(f.Data)
				case "want":
					want = strings.TrimSpace(string(f.Data))
				case "again":
					again = string(f.Data)
				}
			}
			got, err := collect.Read([]byte(stream))
			if err != nil {
				if err.Error() != want {
					t.Fatalf("got %v, want %s", err, want)
				}
				return
			}
			if !same(t, got.Body, []byte(want)) {
				t.Fatalf("got\n%s\nwant\n%s", got.Body, want)
			}
			var d llm.Doc
			if err := d.Scan(got.Dialect, got.Body); err != nil {
				t.Fatal(err)
			}
			if err := d.Messages(); err != nil {
				t.Error(err)
			}
			events := got.Stream(got.Body)
			if again != "" && string(events) != again {
				t.Errorf("again: got\n%s\nwant\n%s", events, again)
			}
			// The stream that is made of a body has the same body.
			twice, err := collect.Read(events)
			if err != nil {
				t.Fatalf("%v in\n%s", err, events)
			}
			if !reflect.DeepEqual(said(decode(t, twice.Body)), said(decode(t, got.Body))) {
				t.Errorf("read again\n%s\nwant\n%s", twice.Body, got.Body)
			}
			covers(t, []byte(stream), got.Body)
			clean(t, []byte(stream), got.Events)
		})
	}
}

func fixtures(t testing.TB) map[string]*txtar.Archive {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no testdata", err)
	}
	all := map[string]*txtar.Archive{}
	for _, f := range files {
		a, err := txtar.ParseFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(f), ".txtar")] = a
	}
	return all
}

func decode(t testing.TB, b []byte) (v any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in %s", err, b)
	}
	return v
}

func same(t testing.TB, a, b []byte) bool {
	t.Helper()
	return reflect.DeepEqual(decode(t, a), decode(t, b))
}

// said is a value without null, which events have in more places, and without what
// was beside the answer.
func said(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			if v[k] = said(e); e == nil || k == llm.Beside {
				delete(v, k)
			}
		}
	case []any:
		for i, e := range v {
			v[i] = said(e)
		}
	}
	return v
}

// covers checks that every text that a guard of streams would see is a string of
// the body, or a part of one.
func covers(t testing.TB, stream, body []byte) {
	t.Helper()
	has := map[string]bool{}
	var all []string
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			has[v] = true
			all = append(all, v)
		case json.Number:
			has[v.String()] = true
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			for k, e := range v {
				has[k] = true
				walk(e)
			}
		}
	}
	walk(decode(t, body))
	joinedJSON := strings.Join(strings.Fields(string(body)), "")
	joined := map[llm.TextKey]*bytes.Buffer{}
	decoders := map[llm.TextKey]*llm.Decoder{}
	var r llm.EventReader
	var s llm.Splitter
	check := func(text string) {
		text = string([]rune(text)) // without what is not UTF-8
		// Arguments are an object in bodies of Messages.
		if !has[text] && !strings.Contains(joinedJSON, strings.Join(strings.Fields(text), "")) {
			t.Errorf("the body lacks %q\n%s", text, body)
		}
	}
	if err := s.Write(append(bytes.Clone(stream), "\n\n"...), func(raw []byte) error {
		e, err := r.Read(raw)
		if err != nil {
			return err
		}
		for _, f := range e.Finds {
			said := raw[f.At:f.End]
			switch {
			case f.Use == llm.Withheld, f.Aside:
			case f.Use == llm.Joined:
				if joined[f.Key] == nil {
					joined[f.Key], decoders[f.Key] = &bytes.Buffer{}, &llm.Decoder{}
				}
				joined[f.Key].Write(decoders[f.Key].Append(nil, said))
			case f.Quoted:
				check(string(llm.AppendUnquoted(nil, said)))
			default:
				check(string(said))
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, b := range joined {
		check(b.String())
	}
}

// clean checks that events are those of a stream, but for comments, of which they
// have none.
func clean(t testing.TB, stream, events []byte) {
	t.Helper()
	list := func(stream []byte) (data []string, comments int) {
		var r llm.EventReader
		var s llm.Splitter
		if err := s.Write(append(bytes.Clone(stream), "\n\n"...), func(raw []byte) error {
			e, err := r.Read(raw)
			if err != nil {
				return err
			}
			if len(e.Data) > 0 {
				data = append(data, string(e.Data))
			}
			for _, f := range e.Finds {
				if f.Aside {
					comments++
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return data, comments
	}
	want, cut := list(stream)
	got, left := list(events)
	if left > 0 || !reflect.DeepEqual(got, want) {
		t.Fatalf("the events\n%q\nof\n%q", events, stream)
	}
	if cut == 0 && !bytes.Equal(stream, events) {
		t.Fatalf("the events\n%q\nof\n%q, which has no comments", events, stream)
	}
}

// FuzzRead: whatever a stream says is in its body, or it has none; and a body that
// a dialect can read comes through a stream as it was.
func FuzzRead(f *testing.F) {
	for _, a := range fixtures(f) {
		for _, file := range a.Files {
			if file.Name == "stream" {
				f.Add(file.Data)
			}
		}
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		a, err := collect.Read(stream)
		if err != nil {
			return
		}
		var d llm.Doc
		if d.Scan(a.Dialect, a.Body) != nil || d.Messages() != nil {
			return
		}
		covers(t, stream, a.Body)
		clean(t, stream, a.Events)
		events := a.Stream(a.Body)
		if _, err := collect.Read(events); err != nil && !strings.Contains(err.Error(), "key") {
			t.Fatalf("%v in %s of %s", err, events, a.Body)
		}
	})
}

// What could become too much is refused.
func TestBounds(t *testing.T) {
	chunk := func(i int) string {
		return fmt.Sprintf("data: {\"choices\":[{\"index\":%d,\"delta\":{\"content\":\"x\"}}]}\n\n", i)
	}
	key := func(i int) string {
		return fmt.Sprintf("data: {\"choices\":[{\"index\":0,\"delta\":{\"k%d\":1}}]}\n\n", i)
	}
	for name, event := range map[string]func(int) string{"choices": chunk, "keys": key} {
		var b strings.Builder
		for i := range 2000 {
			b.WriteString(event(i))
		}
		if _, err := collect.Read([]byte(b.String())); err == nil || err.Error() != "more than 1024 choices, items, keys or texts" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// BenchmarkRead is the cost of an event in streams of different lengths: it must
// not grow.
func BenchmarkRead(b *testing.B) {
	for _, n := range []int{100, 1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var s strings.Builder
			for i := range n {
				fmt.Fprintf(&s, "data: {\"id\":\"chatcmpl-9\",\"object\":\"chat.completion.chunk\",\"created\":1732000000,\"model\":\"gpt-4o\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word %d\"},\"finish_reason\":null}]}\n\n", i)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := collect.Read([]byte(s.String())); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/event")
		})
	}
}
