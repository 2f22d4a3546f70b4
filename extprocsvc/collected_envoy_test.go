package extprocsvc_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/attache-dev/attache/extprocsvc"
)

// replay is a model that answers with what is in the channel, each time flushed, and
// encodes it whatever the client accepts.
func replay(coding string, next <-chan string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("content-type", "text/event-stream")
		out := io.Writer(w)
		flush := func() {}
		if coding != "" {
			w.Header().Set("content-encoding", coding)
			e := encodings[coding](w)
			defer e.Close()
			out, flush = e, func() { _ = e.(interface{ Flush() error }).Flush() }
		}
		for e := range next {
			_, _ = io.WriteString(out, e)
			flush()
			w.(http.Flusher).Flush()
		}
	}
}

// askThrough asks for a stream, and returns the whole answer.
func askThrough(t *testing.T, addr string) (status int, coding, body string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	defer client.CloseIdleConnections()
	resp, err := client.Post("http://"+addr+"/v1/chat/completions", "application/json", strings.NewReader(ask))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("content-encoding"), string(got)
}

// Each event of an encoded stream is guarded and sent on before the next one comes.
func TestEncodedStreamThroughEnvoy(t *testing.T) {
	s := start(t, masks.Build, extprocsvc.Options{}, guarded("", one, maskP))
	t.Cleanup(s.Close)
	for coding := range encodings {
		next := make(chan string)
		addr := throughEnvoy(t, s.Server, s.ref(0), replay(coding, next))
		go func() { next <- chat("hello, ") }()
		client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
		resp, err := client.Post("http://"+addr+"/v1/chat/completions", "application/json", strings.NewReader(ask))
		if err != nil {
			t.Fatal(err)
		}
		if got := resp.Header.Get("content-encoding"); got != "" {
			t.Errorf("%s: the client gets %s", coding, got)
		}
		r := bufio.NewReader(resp.Body)
		for i, step := range []struct{ send, want string }{
			{"", chat("hello, ")}, {chat("I, "), chat("I, ")},
			{chat("123-") + chat("45-6789. "), chat("<SSN>") + chat(". ")}, {chatEnd, chatEnd},
		} {
			if step.send != "" {
				next <- step.send
			}
			got := make([]byte, len(step.want))
			if _, err := io.ReadFull(r, got); err != nil || string(got) != step.want {
				t.Fatalf("%s, step %d: got %q, %v, want %q", coding, i, got, err, step.want)
			}
		}
		close(next)
		if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
			t.Errorf("%s: at the end: %q, %v", coding, rest, err)
		}
		resp.Body.Close()
		client.CloseIdleConnections()
	}
}

// A streamed answer that is collected comes through whole, as a stream of what was
// made of it, or with a status; in each body mode in which it can be held.
func TestCollectedStreamThroughEnvoy(t *testing.T) {
	full := strings.Join([]string{chat("it is 123-"), chat("45-6789"), chatEnd}, "")
	masked := `data: {"id":"c","choices":[{"index":0,"delta":{"content":"it is <SSN>","role":"assistant"},"finish_reason":null}]}` + "\n\n" + chatEnd
	buffered := []string{"response_body_mode: FULL_DUPLEX_STREAMED", "response_body_mode: BUFFERED"}
	for _, c := range []struct {
		name, file string
		otherwise  []string
		status     int
		want       string
	}{
		{"unchanged", guarded("", `  - {name: s, steps: [{name: w}]}`, `{name: w, type: replier}`), nil, 200, full},
		{"masked", guarded("", `  - {name: s, steps: [{name: p}, {name: w}]}`, maskP, `{name: w, type: replier}`), nil, 200, masked},
		{"rejected", guarded("", `  - {name: s, steps: [{name: w}]}`, `{name: w, type: replier, params: {reject: true, say: no}}`), nil, 429, `{"error":{"message":"no|hi|it is 123-45-6789","type":"rate_limit_error","code":"AIGW_RATE_LIMIT"},"message":"no|hi|it is 123-45-6789"}`},
		{"unchanged, buffered", guarded("", `  - {name: s, steps: [{name: w}]}`, `{name: w, type: replier}`), buffered, 200, full},
		{"masked by a step that guards streams, buffered", guarded("", one, maskP), buffered, 200, masked},
		{"rejected, buffered", guarded("", `  - {name: s, steps: [{name: w}]}`, `{name: w, type: replier, params: {reject: true, say: no}}`), buffered, 429, `{"error":{"message":"no|hi|it is 123-45-6789","type":"rate_limit_error","code":"AIGW_RATE_LIMIT"},"message":"no|hi|it is 123-45-6789"}`},
		{"streamed", guarded("", one, maskP), []string{"response_body_mode: FULL_DUPLEX_STREAMED", "response_body_mode: STREAMED"}, 500, `{"error":{"message":"the gateway is not shown what it has to read: its ext_proc filter has response_body_mode STREAMED","type":"server_error","param":null,"code":"misconfigured"}}`},
	} {
		s := start(t, wholes.Build, extprocsvc.Options{}, c.file)
		t.Cleanup(s.Close)
		for _, coding := range []string{"", "gzip", "br"} {
			next := make(chan string, 4)
			for _, e := range strings.SplitAfter(full, "\n\n")[:4] {
				next <- e
			}
			close(next)
			addr := throughEnvoy(t, s.Server, s.ref(0), replay(coding, next), c.otherwise...)
			if status, coded, got := askThrough(t, addr); status != c.status || got != c.want || coded != "" {
				t.Errorf("%s, %s: %d, encoded %q\ngot  %s\nwant %s", c.name, coding, status, coded, got, c.want)
			}
		}
	}
}

// A model that never comes to an end is answered for.
func TestCollectingEndsThroughEnvoy(t *testing.T) {
	s := start(t, wholes.Build, extprocsvc.Options{CollectTimeout: time.Millisecond}, guarded("", `  - {name: s, steps: [{name: w}]}`, `{name: w, type: replier}`))
	t.Cleanup(s.Close)
	next := make(chan string, 1)
	next <- chat("a")
	defer close(next)
	addr := throughEnvoy(t, s.Server, s.ref(0), replay("", next))
	if status, _, got := askThrough(t, addr); status != http.StatusGatewayTimeout || !strings.Contains(got, "response_timeout") {
		t.Errorf("%d %s", status, got)
	}
}

// Requests and whole answers that are encoded, in each body mode, through an Envoy
// that could smuggle what has a wrong length.
func TestEncodedBodiesThroughEnvoy(t *testing.T) {
	const said = `{"choices":[{"index":0,"message":{"role":"assistant","content":"it is 123-45-6789"}}]}`
	const want = `{"choices":[{"index":0,"message":{"role":"assistant","content":"it is <SSN>"}}]}`
	s := start(t, masks.Build, extprocsvc.Options{}, guarded("", one, maskP))
	t.Cleanup(s.Close)
	pack := func(text string) []byte {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = io.WriteString(w, text)
		_ = w.Close()
		return b.Bytes()
	}
	for _, otherwise := range [][]string{nil, {"FULL_DUPLEX_STREAMED", "BUFFERED"}, {"allow_content_length_header: true", "allow_content_length_header: false"}} {
		addr := throughEnvoy(t, s.Server, s.ref(0), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil || string(body) != hi || r.Header.Get("content-encoding") != "" || r.ContentLength != int64(len(body)) && r.ContentLength != -1 {
				t.Errorf("the model gets %q with %v, %v", body, r.Header, err)
			}
			out := pack(said)
			w.Header().Set("content-type", "application/json")
			w.Header().Set("content-encoding", "gzip")
			w.Header().Set("content-length", strconv.Itoa(len(out)))
			_, _ = w.Write(out)
		}), otherwise...)
		client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
		for range 3 { // on one connection
			req, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+addr+"/v1/chat/completions", bytes.NewReader(pack(hi)))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("content-type", "application/json")
			req.Header.Set("content-encoding", "gzip")
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || string(got) != want || resp.Header.Get("content-encoding") != "" {
				t.Errorf("%q: %d %v %s, %v", otherwise, resp.StatusCode, resp.Header, got, err)
			}
		}
		client.CloseIdleConnections()
	}
}

// The timeout of a route counts while an answer is collected.
func TestRouteTimeoutWhileCollecting(t *testing.T) {
	s := start(t, wholes.Build, extprocsvc.Options{}, guarded("", `  - {name: s, steps: [{name: w}]}`, `{name: w, type: replier}`))
	t.Cleanup(s.Close)
	next := make(chan string, 1)
	next <- chat("a")
	defer close(next)
	addr := throughEnvoy(t, s.Server, s.ref(0), replay("", next), "timeout: 0s", "timeout: 0.1s")
	if status, _, got := askThrough(t, addr); status != http.StatusGatewayTimeout || got != "upstream request timeout" {
		t.Errorf("%d %s", status, got)
	}
}
