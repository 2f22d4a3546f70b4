package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/attache-dev/attache/bench/measuring"
	"github.com/attache-dev/attache/envoy/envoytest"
)

// What is measured serves: nothing is lost, nothing stays.
func TestLoads(t *testing.T) {
	attache := filepath.Join(t.TempDir(), "attache")
	if out, err := exec.Command("go", "build", "-o", attache, "../../cmd/attache").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	p := programs{attache, envoytest.Find(t).Path}
	for _, l := range []load{
		{Streams: 20, Rate: 50, Seconds: 1},
		{Streams: 20, Rate: 50, Seconds: 1, Guarded: true},
		{Streams: 20, Rate: 50, Seconds: 1, Guarded: true, Envoy: true},
	} {
		f, err := measure(t.Context(), p, l)
		if err != nil {
			t.Fatalf("%v: %v", l, err)
		}
		if f.Events != 1000 || f.Missing != 0 || f.Errors != 0 {
			t.Errorf("%v: %d events, %d missing, %d errors: %s", l, f.Events, f.Missing, f.Errors, f.FirstError)
		}
		if f.Goroutines[1] < 20 {
			t.Errorf("%v: %d goroutines with 20 streams open", l, f.Goroutines[1])
		}
		if f.Delay.Max == 0 {
			t.Errorf("%v: no delay was measured", l)
		}
	}
}

// The check finds what is lost, doubled, out of order, changed and not masked.
func TestCheck(t *testing.T) {
	const total = 20
	var events [][]byte
	for s := newScript(maskedSaid); len(events) < total; {
		events = append(events, bytes.Clone(s.next()))
	}
	all := func(events ...[]byte) []byte { return append(bytes.Join(events, nil), finish...) }
	without := func(i int) []byte { return all(append(append([][]byte{}, events[:i]...), events[i+1:]...)...) }
	swapped := append([][]byte{}, events...)
	swapped[3], swapped[13] = swapped[13], swapped[3]
	raw := newScript(said)
	var unmasked [][]byte
	for range total {
		unmasked = append(unmasked, bytes.Clone(raw.next()))
	}
	for _, c := range []struct {
		what    string
		stream  []byte
		missing bool
		err     string
	}{
		{"everything", all(events...), false, ""},
		{"the first is lost", without(0), true, "event 1: got"},
		{"a numbered one is lost", without(13), true, "event 14: got"},
		{"a masked one is lost", without(16), true, "event 18: got"},
		{"one comes twice", all(append([][]byte{events[0]}, events...)...), true, "event 2: got"},
		{"two change places", all(swapped...), true, "event 4: got"},
		{"not masked", all(unmasked...), true, "event 6: got"},
		{"no end", bytes.Join(events, nil), true, ""},
		{"half an event", all(events...)[:500], true, ""},
		{"something behind the end", append(all(events...), "data: x\n\n"...), false, "behind the end"},
	} {
		for _, n := range []int{1, 7, 300, 1 << 20} {
			k := check{script: newScript(maskedSaid), total: total}
			var err error
			for rest := c.stream; len(rest) > 0 && err == nil; {
				piece := rest[:min(n, len(rest))]
				rest = rest[len(piece):]
				_, err = k.take(piece)
			}
			got := ""
			if err != nil {
				got = err.Error()
			}
			if got != c.err && (c.err == "" || !strings.Contains(got, c.err)) || c.err == "" && c.missing != (k.missing() > 0) {
				t.Errorf("%s, in pieces of %d: %d missing, %s", c.what, n, k.missing(), got)
			}
		}
	}
}

// The page shows the figures that are kept.
func TestFigures(t *testing.T) {
	var r report
	if err := measuring.Read("../results/streams.json", &r); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/existing-envoy.md")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := measuring.Into(string(page), maker, r.table()); err != nil || got != string(page) {
		t.Errorf("docs/existing-envoy.md is not made of bench/results/streams.json (%v); go run ./bench/streams -doc docs/existing-envoy.md -render bench/results/streams.json", err)
	}
}

// TestRowWithoutEvents: a run may be too short for one.
func TestRowWithoutEvents(t *testing.T) {
	row := figure{Took: 1, Attache: usage{CPU: 1}}.row()
	if strings.Contains(row, "Inf") || strings.Contains(row, "NaN") {
		t.Errorf("the row is %s", row)
	}
}
