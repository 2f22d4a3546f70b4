package external

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/attache-dev/attache/extprocsvc"
	"github.com/attache-dev/attache/extprocsvc/extproctest"
	"github.com/attache-dev/attache/extprocsvc/llm"
)

// BenchmarkExecute compares one execution with a plain POST of as many bytes
// to the same server.
func BenchmarkExecute(b *testing.B) {
	s := serve(b, say("metadata", `{"tags":{"language":["en"]}}`))
	for _, size := range []int{1 << 10, 64 << 10, 1 << 20} {
		body := `{"messages":[{"role":"user","content":"` + strings.Repeat("word ", size/5) + `"}]}`
		b.Run(fmt.Sprintf("external/%dKiB", size>>10), func(b *testing.B) {
			p := made(b, "p", at(s.URL, ""), `{threshold: 0.5}`, in)
			doc := extproctest.Doc(b, llm.ChatCompletions, body)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if r, err := p.ProcessRequest(b.Context(), &extprocsvc.Request{Prompt: doc, Call: someCall}); err != nil || len(r.Tags) != 1 {
					b.Fatal(r, err)
				}
			}
		})
		b.Run(fmt.Sprintf("post/%dKiB", size>>10), func(b *testing.B) {
			t := transport(nil)
			defer t.CloseIdleConnections()
			text := []byte(body)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, s.URL, bytes.NewReader(text))
				if err != nil {
					b.Fatal(err)
				}
				resp, err := t.RoundTrip(r)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, resp.Body); err != nil {
					b.Fatal(err)
				}
				_ = resp.Body.Close()
			}
		})
	}
}
