package external

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/attache-dev/attache/extprocsvc"
	"github.com/attache-dev/attache/extprocsvc/extproctest"
	"github.com/attache-dev/attache/extprocsvc/llm"
)

// say is a handler that answers with parts, given as name and text.
func say(parts ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", `multipart/form-data;charset=utf-8;boundary="B"`)
		_, _ = io.WriteString(w, written(parts...))
	}
}

func written(parts ...string) string {
	var b strings.Builder
	for i := 0; i < len(parts); i += 2 {
		fmt.Fprintf(&b, "--B\r\nContent-Disposition: form-data; name=%q\r\nContent-Type: application/json\r\n\r\n%s\r\n", parts[i], parts[i+1])
	}
	return b.String() + "--B--\r\n"
}

// answers is a handler with any status, content type and body.
func answers(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// breaks is a handler that says something on the wire and hangs up.
func breaks(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = io.WriteString(conn, text)
		_ = conn.Close()
	}
}

var discardLog = log.New(io.Discard, "", 0)

const quoted = `multipart/form-data; boundary="B"`

func TestReplies(t *testing.T) {
	const bad = "Bad Gateway: broke the protocol: "
	changed := `{"messages":[{"role":"user","content":"x"}]}`
	long := strings.Repeat("x", 300)
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"metadata only":            {say("metadata", `{}`), ""},
		"unquoted boundary":        {answers(200, "multipart/form-data; boundary=B", written("metadata", `{}`)), ""},
		"204":                      {answers(204, "", ""), ""},
		"parts in any order":       {say("metadata", `{"tags":{"A":["B"]}}`, "more", `[]`, "input.messages", changed), `tags a:b; now {"model":"m","messages":[{"role":"user","content":"x"}]}`},
		"other members":            {say("metadata", `{}`, "input.messages", `{"model":"evil","messages":[ ],"x":{"messages":1}}`), `now {"model":"m","messages":[ ]}`},
		"both content parts":       {say("metadata", `{}`, "input.messages", changed, "response.choices", `{"choices":[]}`), bad + "the reply changes both the prompt and the response"},
		"wrong direction":          {say("metadata", `{}`, "response.choices", `{"choices":[]}`), ""},
		"no metadata":              {say("input.messages", changed), bad + "the reply has no metadata"},
		"no parts":                 {say(), bad + "the reply has no metadata"},
		"metadata twice":           {say("metadata", `{}`, "metadata", `{}`), bad + "a part comes twice"},
		"metadata broken":          {say("metadata", `{`), bad + "the metadata of the reply is not JSON, which has no NaN"},
		"metadata NaN":             {say("metadata", `{"processor_result": {"score": NaN}}`), bad + "the metadata of the reply is not JSON, which has no NaN"},
		"metadata null":            {say("metadata", `null`), bad + "the metadata of the reply is not as expected"},
		"tags no lists":            {say("metadata", `{"tags":{"a":"b"}}`), bad + "the metadata of the reply is not as expected"},
		"long tags":                {say("metadata", `{"tags":{"a":["`+long+`","ok",""],"":["x"]}}`), "tags a:ok"},
		"other ids":                {say("metadata", `{"request_id":"other"}`), bad + "the reply has the ids of another call"},
		"other step":               {say("metadata", `{"request_id":"req-1","step_id":"x"}`), bad + "the reply has the ids of another call"},
		"rejection with a change":  {say("metadata", `{}`, "input.messages", changed, "reject", `{"code":"AIGW_RATE_LIMIT","detail":"slow down"}`), "rejected AIGW_RATE_LIMIT: slow down"},
		"rejection, empty":         {say("metadata", `{}`, "reject", `{}`), "rejected AIGW_POLICY_VIOLATION: Request rejected by policy"},
		"rejection, odd":           {say("metadata", `{}`, "reject", `"no"`), bad + "the rejection in the reply is not as expected"},
		"rejection, stray letter":  {say("metadata", `{}`, "reject", `{"code":"fAIGW_VALIDATION","detail":"d"}`), "rejected AIGW_VALIDATION: d"},
		"list broken":              {say("metadata", `{}`, "input.messages", `{"messages":[}`), bad + "what the reply puts in place of the messages is not as expected"},
		"list NaN":                 {say("metadata", `{}`, "input.messages", `{"messages":[{"n":NaN}]}`), bad + "what the reply puts in place of the messages is not as expected"},
		"list twice":               {say("metadata", `{}`, "input.messages", `{"messages":[],"messages":[]}`), bad + "what the reply puts in place of the messages is not as expected"},
		"list absent":              {say("metadata", `{}`, "input.messages", `{"choices":[]}`), bad + "what the reply puts in place of the messages is not as expected"},
		"list no list":             {say("metadata", `{}`, "input.messages", `{"messages":{}}`), bad + "what the reply puts in place of the messages is not as expected"},
		"list not UTF-8":           {say("metadata", `{}`, "input.messages", "{\"messages\":[{\"content\":\"\xff\"}]}"), bad + "what the reply puts in place of the messages is not as expected"},
		"list unreadable":          {say("metadata", `{}`, "input.messages", `{"messages":[1]}`), "edit: messages[0] is not an object; now " + hello},
		"JSON":                     {answers(200, "application/json", `{}`), bad + "the reply is not multipart/form-data with a boundary"},
		"no boundary":              {answers(200, "multipart/form-data", written("metadata", `{}`)), bad + "the reply is not multipart/form-data with a boundary"},
		"no multipart":             {answers(200, quoted, "hello"), bad + "the reply ends too early"},
		"cut off":                  {answers(200, quoted, strings.TrimSuffix(written("metadata", `{}`), "--B--\r\n")), bad + "the reply ends too early"},
		"many parts":               {answers(200, quoted, strings.Repeat("--B\r\nContent-Disposition: form-data; name=x\r\n\r\n\r\n", 40)+"--B--\r\n"), bad + "the reply has too many parts"},
		"endless header of a part": {answers(200, quoted, "--B\r\nX: "+strings.Repeat("x", 2<<20)), "Bad Gateway: answered with more than"},
		"large":                    {say("metadata", `{"x":"`+strings.Repeat("x", 2<<20)+`"}`), "Bad Gateway: answered with more than"},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}, "Bad Gateway: answered 307 Temporary Redirect"},
		"400":                       {answers(400, "application/json", `{"detail":"secret"}`), "Internal Server Error for good: answered 400 Bad Request"},
		"404":                       {answers(404, "text/plain", `x`), "Internal Server Error: answered 404 Not Found"},
		"503":                       {answers(503, "text/plain", `x`), "Bad Gateway: answered 503 Service Unavailable"},
		"599":                       {answers(599, "text/plain", `x`), "Bad Gateway: answered 599"},
		"422 of EA":                 {answers(422, quoted, written("metadata", `{"processor_result":{"rejection_reason":"bad language"}}`)), "rejected AIGW_POLICY_VIOLATION: bad language"},
		"422 of EA, JSON":           {answers(422, "application/json", `{"metadata":{"tags":{"a":["b"]},"processor_result":{}}}`), "tags a:b; rejected AIGW_POLICY_VIOLATION: Request rejected by policy"},
		"422 of a web framework":    {answers(422, "application/json", `{"detail":[{"loc":["x"]}]}`), "Internal Server Error for good: answered 422 Unprocessable Entity"},
		"422 without its parts":     {answers(422, quoted, ""), "Internal Server Error for good: answered 422 Unprocessable Entity"},
		"hangs up":                  {breaks(""), "Bad Gateway: broke the connection, or does not speak HTTP"},
		"not HTTP":                  {breaks("my secret prompt\r\n\r\n"), "Bad Gateway: broke the connection, or does not speak HTTP"},
		"hangs up in the reply":     {breaks("HTTP/1.1 200 OK\r\nContent-Type: " + quoted + "\r\nContent-Length: 1000\r\n\r\n--B\r\n"), bad + "the reply ends too early"},
		"hangs up before its end":   {breaks("HTTP/1.1 200 OK\r\nContent-Type: " + quoted + "\r\nContent-Length: 1000\r\n\r\n" + written("metadata", `{}`)), "Bad Gateway: broke the connection, or does not speak HTTP"},
		"huge headers of the reply": {breaks("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<20) + "\r\n\r\n"), "Bad Gateway: broke the connection, or does not speak HTTP"},
		"gzip": {func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", quoted)
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = io.WriteString(z, written("metadata", `{}`))
			_ = z.Close()
		}, bad + "the reply is compressed"},
		"endless": {func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", quoted)
			_, err := io.WriteString(w, "--B\r\nContent-Disposition: form-data; name=metadata\r\n\r\n")
			for err == nil {
				_, err = w.Write(make([]byte, 1<<16))
			}
		}, "Bad Gateway: answered with more than"},
	} {
		t.Run(name, func(t *testing.T) {
			p := made(t, "p", at(serve(t, c.handler).URL, ""), ``, in)
			got := ask(t.Context(), t, p, hello)
			if got != c.want && (!strings.HasSuffix(c.want, "more than") || !strings.HasPrefix(got, c.want)) {
				t.Errorf("got\n%.300s\nwant\n%s", got, c.want)
			}
		})
	}
}

// TestDeadline: what never comes to an end ends with the step.
func TestDeadline(t *testing.T) {
	for name, begin := range map[string]func(w http.ResponseWriter){
		"no answer": func(http.ResponseWriter) {},
		"slow body": func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", quoted)
			_, _ = io.WriteString(w, "--B\r\nContent-Disposition: form-data; name=metadata\r\n\r\n{")
			w.(http.Flusher).Flush()
		},
		"no end": func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", quoted)
			_, _ = io.WriteString(w, written("metadata", `{}`))
			w.(http.Flusher).Flush()
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				begin(w)
				cancel(nil)
				<-r.Context().Done()
			})
			if got := ask(ctx, t, made(t, "p", at(s.URL, ""), ``, in), hello); got != "error context canceled" {
				t.Errorf("got %s", got)
			}
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	if got := ask(ctx, t, made(t, "p", at(serve(t, say()).URL, ""), ``, in), hello); !strings.HasSuffix(got, " did not answer in time: context deadline exceeded") {
		t.Errorf("got %s", got)
	}
}

// TestCall looks at what is sent, byte by byte.
func TestCall(t *testing.T) {
	for name, c := range map[string]struct {
		phase  extprocsvc.Phases
		params string
		call   extprocsvc.Call
		parts  []string
		header map[string]string
	}{
		"prompt": {in, `{allow_rewrite: true, threshold: 0.50, names: ["1"]}`, someCall,
			[]string{"metadata", "", "input.parameters", `{"allow_rewrite":true,"names":["1"],"threshold":0.50}`, "input.messages", `{"messages":[{"role":"user","content":"Hello"}]}`},
			map[string]string{"X-Request-Id": "req-1", "Traceparent": someCall.TraceParent, "Tracestate": "a=b"}},
		"response": {out, `{}`, extprocsvc.Call{ID: "x\x01\xff\"", TraceParent: "00-zz", TraceState: "a=b"},
			[]string{"metadata", "", "input.messages", `{"messages":[{"role":"user","content":"Hello"}]}`, "response.choices", `{"choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}`},
			map[string]string{"X-Request-Id": "", "Traceparent": "", "Tracestate": ""}},
		"response params": {out, `{annotate: false}`, extprocsvc.Call{ID: "a", TraceParent: someCall.TraceParent, TraceState: strings.Repeat("a", 70000)},
			[]string{"metadata", "", "response.parameters", `{"annotate":false}`, "input.messages", `{"messages":[{"role":"user","content":"Hello"}]}`, "response.choices", `{"choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}`},
			map[string]string{"X-Request-Id": "a", "Traceparent": someCall.TraceParent, "Tracestate": ""}},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method != "POST" || r.URL.Path != "/api/v1/execute/test/p" || len(r.TransferEncoding) > 0 || r.ContentLength < 1 {
					t.Errorf("%s %s, length %d, %v", r.Method, r.URL, r.ContentLength, r.TransferEncoding)
				}
				for k, v := range c.header {
					if r.Header.Get(k) != v {
						t.Errorf("%s: %q, want %q", k, r.Header.Get(k), v)
					}
				}
				for k := range r.Header {
					if _, known := c.header[k]; !known && k != "Content-Type" && k != "Content-Length" && k != "User-Agent" {
						t.Errorf("header %s was sent", k)
					}
				}
				_, options, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
				if err != nil || len(options) != 1 {
					t.Errorf("content type %s: %v", r.Header.Get("Content-Type"), err)
				}
				form := multipart.NewReader(r.Body, options["boundary"])
				for i := 0; ; i += 2 {
					part, err := form.NextRawPart()
					if err == io.EOF {
						if i != len(c.parts) {
							t.Errorf("%d parts", i/2)
						}
						break
					}
					if err != nil || i == len(c.parts) {
						t.Errorf("part %d: %v", i/2, err)
						break
					}
					text, _ := io.ReadAll(part)
					name, want := c.parts[i], c.parts[i+1]
					if d := fmt.Sprintf("form-data; name=%q; filename=%q", name, name); part.Header.Get("Content-Disposition") != d || part.Header.Get("Content-Type") != "application/json" || len(part.Header) != 2 {
						t.Errorf("headers of %s: %v", name, part.Header)
					}
					if want != "" && string(text) != want {
						t.Errorf("%s: %s, want %s", name, text, want)
					}
				}
				say("metadata", `{}`)(w, r)
			})
			p := made(t, "P", at(s.URL, ""), c.params, c.phase)
			var err error
			prompt := extproctest.Doc(t, llm.ChatCompletions, hello)
			if c.phase == in {
				_, err = p.ProcessRequest(t.Context(), &extprocsvc.Request{Prompt: prompt, Call: c.call})
			} else {
				_, err = p.ProcessResponse(t.Context(), &extprocsvc.Response{Completion: extproctest.Doc(t, llm.ChatCompletion, reply1), Prompt: prompt, Call: c.call})
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// TestIdleConnections: a processor may close a kept connection whenever it
// likes, be it after it has read a call.
func TestIdleConnections(t *testing.T) {
	var calls, dropped atomic.Int32
	seen := map[string]int{}
	var mu sync.Mutex
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		seen[r.RemoteAddr]++
		again := seen[r.RemoteAddr] > 1
		mu.Unlock()
		calls.Add(1)
		if again { // not the first call of this connection
			dropped.Add(1)
			breaks("")(w, r)
			return
		}
		say("metadata", `{}`)(w, r)
	})
	p := made(t, "p", at(s.URL, ""), ``, in)
	for i := range 20 {
		if got := ask(t.Context(), t, p, hello); got != "" {
			t.Fatalf("call %d: %s", i, got)
		}
	}
	if dropped.Load() == 0 {
		t.Error("no connection was used twice")
	}
	// Twice is all: a call that breaks new connections as well is not repeated.
	all := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1) == 1 {
			say("metadata", `{}`)(w, r)
			return
		}
		breaks("")(w, r)
	})
	calls.Store(0)
	q := made(t, "p", at(all.URL, ""), ``, in)
	if got := ask(t.Context(), t, q, hello); got != "" {
		t.Fatal(got)
	}
	if got := ask(t.Context(), t, q, hello); !strings.HasPrefix(got, "Bad Gateway") || calls.Load() != 3 {
		t.Errorf("%d calls: %s", calls.Load(), got)
	}
}

// TestKeptConnection: a reply that was read to its end leaves the connection.
func TestKeptConnection(t *testing.T) {
	var opened atomic.Int32
	s := httptest.NewUnstartedServer(say("metadata", `{}`))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	s.Start()
	t.Cleanup(func() { clients.closeIdle(); s.Close() })
	first := made(t, "p", at(s.URL, ""), ``, in) // connections live as long as a processor has them
	for range 10 {
		if got := ask(t.Context(), t, made(t, "p", at(s.URL, ""), ``, in), hello); got != "" {
			t.Fatal(got)
		}
	}
	runtime.KeepAlive(first)
	if n := opened.Load(); n != 1 {
		t.Errorf("%d connections for one endpoint", n)
	}
}

// TestClients: processors of one endpoint share a client, and none outlives
// them.
func TestClients(t *testing.T) {
	a, b := made(t, "a", at("http://h:80", ""), ``, in), made(t, "b", at("H/", ""), ``, out)
	c := made(t, "a", at("http://h:81", ""), ``, in)
	d, e := made(t, "a", at("https://h", ""), ``, in), made(t, "a", at("https://h:443", ", tlsMinVersion: v1.2"), ``, in)
	if a.client != b.client || a.client == c.client || d.client == e.client {
		t.Error("the wrong processors share connections")
	}
	runtime.KeepAlive([]*processor{a, b, c, d, e})
	// From here on nobody has them.
	key := clientKey{endpoint: "http://h:81"}
	for gone := false; !gone; runtime.Gosched() {
		runtime.GC()
		clients.mu.Lock()
		_, there := clients.m[key]
		clients.mu.Unlock()
		gone = !there
	}
}

func TestTLSVersions(t *testing.T) {
	ca := newAuthority(t)
	cert, key := ca.leaf(t, "server")
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(say("metadata", `{}`))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MaxVersion: tls.VersionTLS12}
	s.Config.ErrorLog = discardLog
	s.StartTLS()
	t.Cleanup(func() { clients.closeIdle(); s.Close() })
	for more, want := range map[string]string{
		"":                      "Bad Gateway: refuses the TLS connection: remote error: tls: protocol version not supported",
		", tlsMinVersion: v1.2": "",
		", tlsMinVersion: v1.3": "Bad Gateway: refuses the TLS connection: remote error: tls: protocol version not supported",
	} {
		p := made(t, "p", at(s.URL, ", caPath: "+ca.file+more), ``, in)
		if got := ask(t.Context(), t, p, hello); got != want {
			t.Errorf("%q: got %s, want %s", more, got, want)
		}
	}
	// What does not speak TLS at all, and what does not listen.
	http := serve(t, say())
	p := made(t, "p", at(strings.Replace(http.URL, "http", "https", 1), ""), ``, in)
	if got := ask(t.Context(), t, p, hello); !strings.HasPrefix(got, "Bad Gateway: ") {
		t.Errorf("got %s", got)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	p = made(t, "p", at("http://"+l.Addr().String(), ""), ``, in)
	if got := ask(t.Context(), t, p, hello); !strings.HasPrefix(got, "Bad Gateway: is unreachable: dial tcp") {
		t.Errorf("got %s", got)
	}
	if err := p.Check(t.Context()); err == nil || strings.Contains(err.Error(), "refused:") {
		t.Errorf("got %v", err)
	}
}

// TestSecretsInParams: what a processor says about params is shown without
// their texts.
func TestSecretsInParams(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			_, _ = io.WriteString(w, `{"fields":[{"type":"input.messages","required":true}]}`)
			return
		}
		text, _ := io.ReadAll(r.Body)
		w.WriteHeader(400)
		_, _ = fmt.Fprintf(w, `{"validation":{"valid":false,"errors":["bad value sk-123456\u001b[0m, %s: key","2","3","4","5","6"]}}`, bytes.Repeat([]byte("y"), len(text)+300))
	})
	p := made(t, "p", at(s.URL, ""), `{key: sk-123456}`, in)
	err := p.Check(t.Context())
	if err == nil || strings.Contains(err.Error(), "sk-") || strings.Contains(err.Error(), "\x1b") || len(err.Error()) > 500 || !strings.HasSuffix(err.Error(), "; 2; 3; 4; 5; and more") {
		t.Errorf("got %v", err)
	}
}
