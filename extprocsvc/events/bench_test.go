package events_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/attache-dev/attache/extprocsvc/events"
)

// long is a stream of so many events, with a match in every hundredth or none.
func long(n int, matches bool) [][]byte {
	words := strings.Fields("the quick brown fox jumps over the lazy dog and back again, as it has done so often in these sentences.")
	list := make([][]byte, n)
	for i := range list {
		w := " " + words[i%len(words)]
		if matches && i%100 == 99 {
			w = " jo@example.org,"
		}
		list[i] = []byte(event(`{"id":"chatcmpl-9","object":"chat.completion.chunk","created":1732000000,"model":"gpt-4o","system_fingerprint":"fp_1","choices":[{"index":0,"delta":{"content":%s},"logprobs":null,"finish_reason":null}]}`, quote(w)))
	}
	return list
}

// BenchmarkEvents is the cost of an event in streams of different lengths: it
// must not grow. The first cases are what cutting and reading cost alone.
func BenchmarkEvents(b *testing.B) {
	set := sets(b)[0][0]
	for _, c := range []struct {
		name    string
		guards  int
		matches bool
	}{{"unguarded", 0, false}, {"clean", 1, false}, {"matches", 1, true}} {
		for _, n := range []int{100, 1000, 10_000} {
			b.Run(fmt.Sprintf("%s/%d", c.name, n), func(b *testing.B) {
				stream := long(n, c.matches)
				var out []byte
				b.ReportAllocs()
				for b.Loop() {
					f := events.New(events.Config{Guards: c.guards, MaxHeld: 1 << 20, New: func(int) events.Guard {
						return &masker{set: set, st: set.NewStream()}
					}})
					for _, e := range stream {
						var err error
						if out, err = f.Write(out[:0], e); err != nil {
							b.Fatal(err)
						}
					}
					if _, err := f.Close(nil); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/event")
			})
		}
	}
}
