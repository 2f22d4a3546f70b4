package extprocsvc_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"github.com/attache-dev/attache/extprocsvc"
	"github.com/attache-dev/attache/extprocsvc/extproctest"
)

// encodings are the encoders of each content-encoding.
var encodings = map[string]func(io.Writer) io.WriteCloser{
	"gzip":    func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) },
	"deflate": func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) },
	"br":      func(w io.Writer) io.WriteCloser { return brotli.NewWriter(w) },
	"zstd": func(w io.Writer) io.WriteCloser {
		z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
		if err != nil {
			panic(err)
		}
		return z
	},
}

// encoded is a message whose chunks were encoded, and flushed behind each. Those of
// several encodings are applied in order.
func encoded(t testing.TB, m extproctest.Message, coding string) extproctest.Message {
	t.Helper()
	for name := range strings.SplitSeq(coding, ", ") {
		var b bytes.Buffer
		w := encodings[name](&b)
		var chunks [][]byte
		for _, c := range m.Chunks {
			if _, err := w.Write(c); err != nil {
				t.Fatal(err)
			}
			if err := w.(interface{ Flush() error }).Flush(); err != nil {
				t.Fatal(err)
			}
			chunks = append(chunks, bytes.Clone(b.Bytes()))
			b.Reset()
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		m.Chunks = append(chunks, bytes.Clone(b.Bytes()))
	}
	m = with(m, "content-encoding", coding)
	if m.Header.Get("content-length") != "" {
		m = with(m, "content-length", strconv.Itoa(len(m.Body())))
	}
	return m
}

// codings are those of the tests.
var codings = []string{"gzip", "deflate", "br", "zstd", "gzip, br", "zstd, gzip"}

// damaged are what can be wrong with an encoded body.
func damaged(m extproctest.Message) map[string]extproctest.Message {
	whole := bytes.Join(m.Chunks, nil)
	as := func(body []byte) extproctest.Message {
		d := m
		d.Chunks = [][]byte{body[:len(body)/2], body[len(body)/2:]}
		if d.Header.Get("content-length") != "" {
			d = with(d, "content-length", strconv.Itoa(len(body)))
		}
		return d
	}
	flipped := bytes.Clone(whole)
	for i := len(flipped) / 2; i < len(flipped); i++ {
		flipped[i] ^= 0x55
	}
	return map[string]extproctest.Message{
		"cut off": as(whole[:len(whole)-1]), "corrupt": as(flipped), "followed": as(append(bytes.Clone(whole), "123-45-6789"...)),
	}
}

// Requests that are encoded are read, and sent on without their encoding.
func TestEncodedRequests(t *testing.T) {
	s := serve(t, extprocsvc.Options{MaxBody: 4000})
	plain := extproctest.Post(hi)
	for name, f := range modes(s.ref(rules)) {
		for _, coding := range codings {
			m := encoded(t, plain, coding)
			out, got := s.do(t, f, m)
			want, _ := s.do(t, f, plain)
			if got != want.String() || out.Upstream.Header.Get("content-encoding") != "" {
				t.Errorf("%s, %s: got %s, with %v", name, coding, got, out.Upstream)
			}
			for what, m := range damaged(m) {
				if _, got := s.do(t, f, m); got != failure(400, "the request body is not what its content-encoding says", "invalid_content_encoding") {
					t.Errorf("%s, %s, %s: got %s", name, coding, what, got)
				}
			}
			nothing := encoded(t, with(extproctest.Message{Header: plain.Header, Chunks: [][]byte{nil}}, ":method", "GET"), coding)
			if out, got := s.do(t, f, nothing); got != "the model gets " || out.Upstream.Header.Get("content-encoding") != "" {
				t.Errorf("%s, %s: nothing in it: got %q, with %v", name, coding, got, out.Upstream)
			}
			bomb := plain
			bomb.Chunks = [][]byte{[]byte(`{"a":"` + strings.Repeat("x", 1<<20) + `"}`)}
			bomb = encoded(t, bomb, coding)
			if _, got := s.do(t, f, bomb); got != failure(413, "the request body is larger than 4000 bytes", "body_too_large") {
				t.Errorf("%s, %s: %d bytes with a megabyte in them: got %s", name, coding, len(bomb.Body()), got)
			}
		}
	}
	until(func() bool { return s.Stats().Open == 0 })
	if st := s.Stats(); st.Held != 0 {
		t.Errorf("%d bytes are still held", st.Held)
	}
}

// What cannot be decoded passes as it came where the file says so.
func TestDamagedRequestsPass(t *testing.T) {
	s := start(t, fakes.Build, extprocsvc.Options{MaxBody: 4000}, guards(`{}`, "", "extProc: {profile: q, unreadable: pass}"))
	bomb := extproctest.Post(`{"a":"` + strings.Repeat("x", 1<<20) + `"}`)
	for name, f := range modes(s.ref(0)) {
		all := damaged(encoded(t, extproctest.Post(hi), "gzip"))
		all["too large"] = encoded(t, bomb, "gzip")
		for what, m := range all {
			out, got := s.do(t, f, m)
			if got != "the model gets "+m.Body() || out.Upstream.Header.Get("content-encoding") != "gzip" {
				t.Errorf("%s, %s: got %q, with %v", name, what, got, out.Upstream)
			}
		}
	}
}

// Whole answers that are encoded all the same are read, and reach the client
// without their encoding, whether they are changed or not.
func TestEncodedAnswers(t *testing.T) {
	const changes = `{name: p, type: replier, params: {modify: true, put: '[]'}}`
	for _, c := range []struct {
		name, extra, processor, want string
		asItCame                     bool // where it cannot be read
	}{
		{"unchanged", "", `{name: p, type: replier}`, completion, false},
		{"changed", "", changes, `{"id":"1","choices":[],"usage":{"n":1e5}}`, false},
		{"observed", "\n  mode: observe", changes, completion, true},
	} {
		s := start(t, fakes.Build, extprocsvc.Options{MaxBody: 4000}, replies(c.extra, "\n  - {name: s, steps: [{name: p}]}", `{name: tag, type: fake}`, c.processor))
		for name, f := range readsResponse(s.ref(0)) {
			for _, coding := range codings {
				m := encoded(t, with(answer("200", "application/json", completion), "content-length", "1"), coding)
				for _, trailers := range []extproctest.Header{nil, {{"x", "y"}}} {
					m := m
					if m.Trailers = trailers; trailers != nil {
						m = with(m, "content-length", "")
					}
					out, err := f.Do(t.Context(), s.client, extproctest.Post(`{"messages":[]}`), m)
					if err != nil || out.Client == nil || out.Client.Body() != c.want || out.Client.Header.Get("content-encoding") != "" {
						t.Errorf("%s, %s, %s: %v, %+v %v", c.name, name, coding, out, out.Client, err)
					}
				}
				bomb := encoded(t, answer("200", "application/json", `{"choices":[],"a":"`+strings.Repeat("x", 1<<20)+`"}`), coding)
				all := damaged(m)
				all["a bomb"] = bomb
				for what, m := range all {
					want := failure(502, "the gateway cannot read the model's response", "unreadable_response")
					if what == "a bomb" {
						want = failure(502, "the model's response is too large", "response_too_large")
					}
					out, err := f.Do(t.Context(), s.client, extproctest.Post(`{"messages":[]}`), m)
					switch {
					case err != nil:
						t.Errorf("%s, %s, %s, %s: %v", c.name, name, coding, what, err)
					case !c.asItCame && out.String() != want:
						t.Errorf("%s, %s, %s, %s: got %v", c.name, name, coding, what, out)
					case c.asItCame && (out.Client == nil || out.Client.Body() != m.Body() || out.Client.Header.Get("content-encoding") != coding):
						t.Errorf("%s, %s, %s, %s: got %v", c.name, name, coding, what, out)
					}
				}
			}
		}
		until(func() bool { return s.Stats().Open == 0 })
		if st := s.Stats(); st.Held != 0 {
			t.Errorf("%d bytes are still held", st.Held)
		}
	}
}

// Streams that are encoded are guarded like others, event by event.
func TestEncodedStreams(t *testing.T) {
	const tooLarge = `data: {"error":{"message":"the model's response is too large","type":"server_error","param":null,"code":"response_too_large"}}` + "\n\n"
	const cannot = `data: {"error":{"message":"the gateway cannot read the model's response","type":"server_error","param":null,"code":"unreadable_response"}}` + "\n\n"
	s := start(t, masks.Build, extprocsvc.Options{MaxBody: 4000}, guarded("", one, maskP))
	for name, f := range streamed(s.ref(0)) {
		for _, coding := range codings {
			for _, n := range []int{20, 1 << 20} {
				m := encoded(t, with(sse(n, chat("a 123-"), chat("45-6789, "), chatEnd), "content-length", "1"), coding)
				out, err := f.Do(t.Context(), s.client, extproctest.Post(ask), m)
				want := chat("a <SSN>") + chat(", ") + chatEnd
				if err != nil || out.Client == nil || out.Client.Body() != want || out.Client.Header.Get("content-encoding") != "" || out.Client.Header.Get("content-length") != "" {
					t.Errorf("%s, %s: %+v %v", name, coding, out.Client, err)
				}
				for what, m := range damaged(m) {
					out, err := f.Do(t.Context(), s.client, extproctest.Post(ask), m)
					if err != nil || out.Client == nil || !strings.HasSuffix(out.Client.Body(), cannot) || !strings.HasPrefix(want, strings.TrimSuffix(out.Client.Body(), cannot)) {
						t.Errorf("%s, %s, %s: %+v %v", name, coding, what, out.Client, err)
					}
				}
			}
			bomb := encoded(t, sse(1<<20, chat("a, "), strings.Repeat(": \n\n", 1<<20)), coding)
			out, err := f.Do(t.Context(), s.client, extproctest.Post(ask), bomb)
			if err != nil || out.Client == nil || !strings.HasPrefix(out.Client.Body(), chat("a, ")) || !strings.HasSuffix(out.Client.Body(), tooLarge) || len(out.Client.Body()) > 4000+300*len(bomb.Body()) {
				t.Errorf("%s, %s: %d bytes with a megabyte in them: %d bytes, %v", name, coding, len(bomb.Body()), len(out.Client.Body()), err)
			}
		}
	}
	until(func() bool { return s.Stats().Open == 0 })
	if st := s.Stats(); st.Held != 0 {
		t.Errorf("%d bytes are still held", st.Held)
	}
}

// What is only observed passes as it came, and is looked at as far as it can be
// read. What may pass unread, and is no JSON, passes without its encoding.
func TestEncodedStreamsThatPass(t *testing.T) {
	odd := []string{chat("a 123-45-6789. "), "data: x\n\n", chat("b 123-45-6789"), chatEnd}
	for _, c := range []struct {
		name, extra, use, want, reason, unread string
		asItCame                               bool
	}{
		{"observed", "\n  mode: observe", "{profile: q}", "", "unreadable_response", "", true},
		{"may pass", "", "{profile: q, unreadable: pass}", chat("a <SSN>. ") + strings.Join(odd[1:], ""), "", "unreadable_response", false},
	} {
		decided := make(chan *extprocsvc.Record, 1)
		s := start(t, masks.Build, extprocsvc.Options{Decided: func(r *extprocsvc.Record) {
			r2 := *r
			decided <- &r2
		}}, strings.Replace(guarded(c.extra, one, maskP), "{profile: q}", c.use, 1))
		for name, f := range streamed(s.ref(0)) {
			for _, coding := range codings {
				m := encoded(t, with(sse(30, odd...), "content-length", "1"), coding)
				out, err := f.Do(t.Context(), s.client, extproctest.Post(ask), m)
				r := <-decided
				want, header := c.want, ""
				if c.asItCame {
					want, header = m.Body(), coding
				}
				if err != nil || out.Client == nil || out.Client.Body() != want || out.Client.Header.Get("content-encoding") != header {
					t.Errorf("%s, %s, %s: %+v %v", c.name, name, coding, out.Client, err)
				}
				if r.Reason != c.reason || r.Unread != c.unread {
					t.Errorf("%s, %s, %s: %+v", c.name, name, coding, r)
				}
			}
		}
	}
}
