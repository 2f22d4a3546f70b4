package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc/credentials/insecure"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"

	"github.com/attache-dev/attache/envoy/envoytest"
	"github.com/attache-dev/attache/extprocsvc"
	"github.com/attache-dev/attache/extprocsvc/extproctest"
)

// corpusFile has the profiles of existingFile and two guards, of which one masks
// and one refuses, and a limit for bodies.
var corpusFile = strings.Replace(existingFile, "profiles:", `- {name: mask, type: data-security, params: {modify: true, action: mask}}
- {name: refuse, type: data-security, params: {reject: true, action: reject}}
profiles:
- {name: masked, inputStages: [{name: in, steps: [{name: mask}]}], responseStages: [{name: out, steps: [{name: mask}]}]}
- {name: strict, inputStages: [{name: in, steps: [{name: refuse}]}], responseStages: [{name: out, steps: [{name: refuse}]}]}`, 1) +
	"frontendPolicies: {http: {maxBufferSize: 1500000}}\n"

// A problem is a request of the corpus, and what the model answers.
type problem struct {
	what, body string
	header     http.Header
	answer     func(w http.ResponseWriter, asked string)
	// streams tells that a stream is asked for, and large that the request or the
	// answer is larger than what an Envoy buffers by default, 1 MiB; cut, that the stream
	// ends in the middle of an event.
	streams, large, largeAnswer, cut bool
}

const private = "write to ann@example.com, 4111 1111 1111 1111"

// long is a text of n kilobytes.
func long(n int) string { return strings.Repeat("abc def ", n*1000/8) }

// completion answers with a text, as a whole.
func completion(text string) func(http.ResponseWriter, string) {
	return plain("application/json", fmt.Sprintf(`{"id":"1", "choices":[{"index":0,"message":{"role":"assistant","content":%s},"finish_reason":"stop"}],"usage":{"n":1e5}}`, quoted(text)))
}

// echoed answers with what was asked.
func echoed(w http.ResponseWriter, asked string) { completion(asked)(w, asked) }

func quoted(text string) []byte { q, _ := json.Marshal(text); return q }

// plain answers with a body that has a length.
func plain(contentType, body string) func(http.ResponseWriter, string) {
	return func(w http.ResponseWriter, _ string) {
		w.Header()["Content-Type"] = nil // no guesses
		if contentType != "" {
			w.Header().Set("Content-Type", contentType)
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		_, _ = io.WriteString(w, body)
	}
}

// with adds headers to an answer.
func with(answer func(http.ResponseWriter, string), kv ...string) func(http.ResponseWriter, string) {
	return func(w http.ResponseWriter, asked string) {
		for i := 0; i < len(kv); i += 2 {
			w.Header().Set(kv[i], kv[i+1])
		}
		answer(w, asked)
	}
}

// withStatus answers with another status.
func withStatus(code int, answer func(http.ResponseWriter, string)) func(http.ResponseWriter, string) {
	return func(w http.ResponseWriter, asked string) { answer(&coded{w, code}, asked) }
}

type coded struct {
	http.ResponseWriter
	code int
}

func (c *coded) Write(b []byte) (int, error) {
	if c.code != 0 {
		c.WriteHeader(c.code)
		c.code = 0
	}
	return c.ResponseWriter.Write(b)
}

// streamed answers with a stream in pieces of n bytes, without regard to events.
func streamed(n int, stream string) func(http.ResponseWriter, string) {
	return func(w http.ResponseWriter, _ string) {
		w.Header().Set("Content-Type", "text/event-stream")
		for piece := range slices.Chunk([]byte(stream), n) {
			_, _ = w.Write(piece)
			w.(http.Flusher).Flush()
		}
	}
}

// events is a stream in which a text comes in pieces of n characters.
func events(n int, text string) string {
	var b strings.Builder
	for piece := range slices.Chunk([]rune(text), n) {
		fmt.Fprintf(&b, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":%s}}]}\n\n", quoted(string(piece)))
	}
	return b.String() + "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"n\":1e5}}\n\ndata: [DONE]\n\n"
}

// toolCall is a stream in which the arguments of a call come in pieces.
func toolCall(n int, arguments string) string {
	var b strings.Builder
	for i, piece := range slices.Collect(slices.Chunk([]byte(arguments), n)) {
		name := ""
		if i == 0 {
			name = `"id":"c","type":"function",`
		}
		fmt.Fprintf(&b, "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,%s\"function\":{\"arguments\":%s}}]}}]}\n\n", name, quoted(string(piece)))
	}
	return b.String() + "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\ndata: [DONE]\n\n"
}

// saying is a request with a text, and perhaps for a stream.
func saying(text string, stream bool) string {
	return fmt.Sprintf(`{"model":"m","stream":%v,"messages":[{"role":"user","content":%s}]}`, stream, quoted(text))
}

var corpus = []problem{
	{what: "a question", body: asked},
	{what: "an answer in a loop", body: asked, answer: completion(strings.Repeat("again ", 100))},
	{what: "personal data in a question", body: saying(private, false), answer: completion("yes")},
	{what: "personal data behind escapes", body: `{"messages":[{"role":"user","content":"ann\u0040example.com \u0034111 1111 1111 1111"}]}`},
	{what: "personal data in an answer", body: asked, answer: completion(private)},
	{what: "odd but valid", body: "\t{ \"messages\" : [ {\"content\":\"h\\u00e9 \\ud83d\\ude00\",\"role\":\"user\"} ],\n \"seed\":12345678901234567890, \"t\":1.0e-7 } \n"},
	{what: "content in parts", body: `{"messages":[{"role":"user","content":[{"type":"text","text":"hi"},{"type":"image_url","image_url":{"url":"data:,"}}]}]}`},
	{what: "a long question", body: saying(long(600), false), answer: completion("yes")},
	{what: "a large question", body: saying(long(1200), false), answer: completion("yes"), large: true},
	{what: "a question beyond the limit", body: saying(long(1600), false), answer: completion("yes"), large: true},
	{what: "a long answer", body: asked, answer: completion(long(600) + private)},
	{what: "a large answer", body: asked, answer: completion(long(1200) + private), largeAnswer: true},
	{what: "an answer beyond the limit", body: asked, answer: completion(long(1600)), largeAnswer: true},

	{what: "no JSON", body: "hi"},
	{what: "a key twice", body: `{"messages":[],"messages":[{"role":"user","content":"hi"}]}`},
	{what: "nothing"},
	{what: "text", body: "hi", header: http.Header{"Content-Type": {"text/plain"}}},
	{what: "another charset", body: asked, header: http.Header{"Content-Type": {"application/json; charset=utf-16"}}},
	{what: "an encoding", body: asked, header: http.Header{"Content-Encoding": {"br"}}},

	{what: "trailers", body: asked, answer: func(w http.ResponseWriter, asked string) {
		w.Header().Set("Trailer", "X-Sum")
		defer w.Header().Set("X-Sum", "1")
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"choices":[{"message":{"content":"ann@`)
		w.(http.Flusher).Flush()
		_, _ = io.WriteString(w, `example.com"}}]}`)
	}},
	{what: "an error of the model", body: asked, answer: withStatus(429, plain("application/json", `{"error":{"message":"ann@example.com is too busy"}}`))},
	{what: "an error page", body: asked, answer: withStatus(500, plain("text/html", "<h1>no</h1>"))},
	{what: "no answer", body: asked, answer: func(w http.ResponseWriter, _ string) { w.WriteHeader(204) }},
	{what: "an empty answer", body: asked, answer: plain("application/json", "")},
	{what: "an answer that is a page", body: asked, answer: plain("text/html", "<p>ann@example.com")},
	{what: "an answer of no type", body: asked, answer: plain("", completionText)},
	{what: "an answer that is no JSON", body: asked, answer: plain("application/json", "ann@example.com")},
	{what: "an answer that says a key twice", body: asked, answer: plain("application/json", `{"choices":[],"choices":[{"message":{"content":"ann@example.com"}}]}`)},
	{what: "an answer that lies about its encoding", body: asked, answer: with(plain("application/json", completionText), "Content-Encoding", "br")},

	{what: "a stream", body: saying("hi", true), answer: streamed(1<<10, events(4, "hello, world")), streams: true},
	{what: "a stream with personal data", body: saying("hi", true), answer: streamed(7, events(3, private+"! And 10.1.2.3.")), streams: true},
	{what: "a stream in a loop", body: saying("hi", true), answer: streamed(100, events(6, strings.Repeat("again ", 100))), streams: true},
	{what: "personal data and a stream", body: saying(private, true), answer: streamed(50, events(5, "yes")), streams: true},
	{what: "a stream with CRLF and comments", body: saying("hi", true), answer: streamed(11, ": hello\r\n\r\n"+strings.ReplaceAll(events(5, private), "\n", "\r\n")), streams: true},
	{what: "a stream of arguments", body: saying("hi", true), answer: streamed(64, toolCall(5, `{"to":"ann@example.com","n":[1,2]}`)), streams: true},
	{what: "a stream that ends in an event", body: saying("hi", true), answer: streamed(64, events(40, private)+"data: {\"choices\":[{\"delta\":{\"content\":\"ann@exa"), streams: true, cut: true},
	{what: "a stream of what is no JSON", body: saying("hi", true), answer: streamed(64, events(4, "hi")[:60]+"\n\ndata: {ann@example.com\n\n"), streams: true},
	{what: "a stream for a whole answer", body: saying("hi", true), answer: completion(private), streams: true},
	{what: "an error in place of a stream", body: saying("hi", true), answer: withStatus(400, plain("application/json", `{"error":{"message":"no"}}`)), streams: true},
}

const completionText = `{"choices":[{"message":{"content":"ann@example.com"}}]}`

// An exchanged is what came of a question: what the model and the client got, and
// what was decided.
type exchanged struct {
	Model    string // its request; empty for none
	Status   int
	Type     string
	Body     string
	Cut      string // why the body is not all
	Decision string
}

func (x exchanged) String() string {
	return fmt.Sprintf("{model: %.200q, client: %d %s %.300q %s, decision: %s}", x.Model, x.Status, x.Type, x.Body, x.Cut, x.Decision)
}

// A home is where the corpus is asked.
type home struct {
	name, url string
	decisions *decisions
	// requests and answers are held in a buffer of the proxy's.
	buffersRequests, buffersAnswers bool
}

// TestTheSameInEveryHome: one corpus, through our own Envoy, through Envoys of
// somebody else in each mode in which chains can read, and through the
// conversation of agentgateway, old and new. What was decided is the same, and so
// is every byte that the model and the client get.
func TestTheSameInEveryHome(t *testing.T) {
	profiles := []string{"closed", "brief", "watched", "open", "masked", "strict"}
	model := &asking{}
	server := httptest.NewServer(model)
	t.Cleanup(server.Close)

	own := ownHome(t, profiles, server.URL)
	s := extProcService(t, corpusFile)
	alone := &decisions{admin: s.addresses["admin"]}
	homes := map[string][]home{}
	var sites []site
	for _, p := range profiles {
		for i, request := range []string{"FULL_DUPLEX_STREAMED", "BUFFERED"} {
			for j, response := range []string{"FULL_DUPLEX_STREAMED", "BUFFERED"} {
				mode := fmt.Sprintf("request_body %s, response_body %s, response_header SEND, request_trailer SEND, response_trailer SEND", request, response)
				sites = append(sites, site{filter: filter{p, modes(mode), map[string]any{"allow_content_length_header": true}}.yaml()})
				homes[p] = append(homes[p], home{"Envoy " + request + "/" + response, "", alone, i == 1, j == 1})
			}
		}
	}
	doc, _ := printed(t, "envoy", corpusFile, "--extproc", s.addresses["extproc"])
	at := staticEnvoy(t, server.URL, doc["clusters"].([]any), sites...)
	service := extprocv3.NewExternalProcessorClient(dial(t, s.addresses["extproc"], insecure.NewCredentials()))
	for i, p := range profiles {
		for j := range homes[p] {
			homes[p][j].url = at[i*len(homes[p])+j]
		}
		for _, g := range []extproctest.Agentgateway{
			{Old: true, Request: extproctest.FullDuplex, Response: extproctest.FullDuplex},
			{Request: extproctest.FullDuplex, Response: extproctest.FullDuplex, EmptyLast: true},
			{Request: extproctest.Buffered, Response: extproctest.FullDuplex},
			{Request: extproctest.FullDuplex, Response: extproctest.Buffered},
		} {
			g.Metadata = []string{extprocsvc.ProfileKey, p}
			gateway := httptest.NewServer(&agentgateway{g, service, server.URL})
			t.Cleanup(gateway.Close)
			homes[p] = append(homes[p], home{g.String(), gateway.URL, alone, false, g.Response == extproctest.Buffered})
		}
	}
	for _, q := range corpus {
		for _, p := range profiles {
			own.name = p
			want := own.ask(t, model, q, p)
			for _, h := range homes[p] {
				got := h.ask(t, model, q, p)
				if got != want && !h.mayDiffer(q, p, got, want) {
					t.Errorf("%s, profile %s, %s:\ngot  %v\nwant %v", q.what, p, h.name, got, want)
				}
			}
		}
	}
}

// mayDiffer tells whether what a home did is all that its modes can do.
func (h home) mayDiffer(q problem, profile string, got, want exchanged) bool {
	switch {
	case q.large && h.buffersRequests: // Envoy's own buffer is full before we are asked
		return got.Status == 413 && got.Model == ""
	case q.largeAnswer && h.buffersAnswers && strings.HasPrefix(h.name, "Envoy"):
		return got.Status == 500
	case q.streams && h.buffersAnswers && (profile == "masked" || profile == "strict"):
		return got.Model == want.Model && collectedAs(got, want, q.cut)
	}
	return false
}

// collectedAs tells whether got is what becomes of a stream that is judged as a whole
// where want came of it piece by piece: the same texts, in other events; the same
// rejection, before anything has come; or nothing, of a stream that is cut off or cannot
// be read.
func collectedAs(got, want exchanged, cut bool) bool {
	switch got.Status {
	case 200:
		return want.Status == 200 && maps.Equal(said(got.Body), said(want.Body))
	case 422:
		const why = `"error":{"message":"Sensitive data detected"`
		return strings.Contains(got.Body, why) && strings.Contains(want.Body, why)
	case 502:
		const why = `"code":"unreadable_response"`
		return strings.Contains(got.Body, why) && (cut || strings.Contains(want.Body, why))
	}
	return false
}

// said are the texts of a streamed chat, by their choices and tools.
func said(stream string) map[string]string {
	texts := map[string]string{}
	for line := range strings.Lines(stream) {
		var event struct {
			Choices []struct {
				Index int
				Delta struct {
					Content   string
					ToolCalls []struct {
						Index    int
						Function struct{ Arguments string }
					} `json:"tool_calls"`
				}
			}
		}
		data, _ := strings.CutPrefix(line, "data:")
		if json.Unmarshal([]byte(data), &event) != nil {
			continue
		}
		for _, c := range event.Choices {
			texts[fmt.Sprint(c.Index)] += c.Delta.Content
			for _, t := range c.Delta.ToolCalls {
				texts[fmt.Sprint(c.Index, t.Index)] += t.Function.Arguments
			}
		}
	}
	maps.DeleteFunc(texts, func(_, text string) bool { return text == "" })
	return texts
}

// ownHome runs attache run with a route for each profile.
func ownHome(t *testing.T, profiles []string, model string) home {
	t.Helper()
	file := corpusFile + "binds:\n- port: $PORT\n  listeners:\n  - routes:\n"
	for _, p := range profiles {
		file += fmt.Sprintf("    - {name: %s, matches: [{path: {pathPrefix: /}, headers: [{name: x-profile, value: {exact: %s}}]}], policies: {extProc: {profile: %s}}, backends: [{host: %q}]}\n",
			p, p, p, strings.TrimPrefix(model, "http://"))
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "attache.yaml"), file)
	ports := envoytest.Ports(t, 2)
	gateway := &service{log: filepath.Join(dir, "log"), process: exec.Command(attache, "run", "-f", "attache.yaml", "--envoy", envoyPath(t), "--ready-file", "ready")}
	gateway.process.Dir = dir
	admin := fmt.Sprintf("127.0.0.1:%d", ports[1])
	gateway.process.Env = append(os.Environ(), fmt.Sprintf("PORT=%d", ports[0]), "ADMIN_ADDR="+admin, "STATS_ADDR=off", "READINESS_ADDR=off")
	gateway.run(t)
	wait(t, "attache run is ready", func() bool { _, err := os.Stat(filepath.Join(dir, "ready")); return err == nil })
	return home{"our own Envoy", fmt.Sprintf("http://127.0.0.1:%d", ports[0]), &decisions{admin: admin}, false, false}
}

// ask sends a question to a home.
func (h home) ask(t *testing.T, model *asking, q problem, profile string) (x exchanged) {
	t.Helper()
	model.begin(q)
	req, err := http.NewRequestWithContext(t.Context(), "POST", h.url+"/v1/chat/completions", strings.NewReader(q.body))
	if err != nil {
		t.Fatal(err)
	}
	if q.header != nil {
		req.Header = q.header.Clone()
	}
	if req.Header.Get("Content-Type") == "" {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("X-Profile", profile)
	req.Header.Set("Te", "trailers")
	resp, err := client.Do(req)
	if err != nil {
		x.Cut = err.Error()
		return x
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		x.Cut = err.Error()
	}
	x.Status, x.Type, x.Body = resp.StatusCode, resp.Header.Get("Content-Type"), string(body)
	x.Model = model.got()
	if d, ok := h.decisions.next(t); ok {
		x.Decision = inWords(d)
	}
	return x
}

// decisions are those of one service.
type decisions struct {
	admin string // its address
	last  string // the ID of the one that was returned
}

// next returns the latest decision, if it was not returned before.
func (d *decisions) next(t *testing.T) (latest extprocsvc.Record, ok bool) {
	t.Helper()
	resp, err := http.Get("http://" + d.admin + "/explain")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	// Of the list, which has a hundred, only the first is read.
	list := json.NewDecoder(resp.Body)
	if _, err := list.Token(); err != nil {
		t.Fatal(err)
	}
	if !list.More() {
		return latest, false
	}
	if err := list.Decode(&latest); err != nil {
		t.Fatal(err)
	}
	ok = latest.ID != d.last
	d.last = latest.ID
	return latest, ok
}

// inWords is everything of a decision that does not depend on when and where it
// was made.
func inWords(r extprocsvc.Record) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s/%s/%s %s %v %s", r.Verdict, r.Reason, r.Profile, r.Stage, r.Step, inFile(r.Where), r.Tags, r.Unread)
	for _, s := range r.Steps {
		of := ""
		if s.Response {
			of = " of the response"
		}
		fmt.Fprintf(&b, "; %s/%s%s at %s: %s %s modified %v", s.Stage, s.Step, of, inFile(s.Where), s.Verdict, s.Reason, s.Modified)
	}
	return b.String()
}

// inFile is a place without the directory of its file.
func inFile(where string) string { return where[strings.LastIndexByte(where, '/')+1:] }

// asking is a model that answers as the question says that is asked at the moment,
// and remembers what it got.
type asking struct {
	mu      sync.Mutex
	current problem
	request string
}

func (a *asking) begin(q problem) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.current, a.request = q, ""
}

func (a *asking) got() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.request
}

func (a *asking) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	a.mu.Lock()
	a.request = fmt.Sprintf("%s %s %s %s", r.Method, r.URL.Path, r.Header.Get("Content-Type"), body)
	answer := a.current.answer
	a.mu.Unlock()
	if answer == nil {
		answer = echoed
	}
	answer(w, string(body))
}

// An agentgateway is a proxy that has the conversation of that gateway with an
// ext_proc service about each request.
type agentgateway struct {
	extproctest.Agentgateway
	service extprocv3.ExternalProcessorClient
	model   string
}

func (g *agentgateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	request := extproctest.Message{Header: extproctest.Header{
		{":method", r.Method}, {":scheme", "http"}, {":authority", r.Host}, {":path", r.URL.RequestURI()},
	}}
	for name, values := range r.Header {
		for _, v := range values {
			request.Header = append(request.Header, [2]string{strings.ToLower(name), v})
		}
	}
	if r.ContentLength != 0 {
		request.Chunks = pieces(r.Body)
	}
	out, err := g.Do(r.Context(), g.service, request, g.ask)
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	case out.Immediate != nil:
		for _, set := range out.Immediate.GetHeaders().GetSetHeaders() {
			w.Header().Set(set.GetHeader().GetKey(), string(set.GetHeader().GetRawValue()))
		}
		w.WriteHeader(int(out.Immediate.GetStatus().GetCode()))
		_, _ = w.Write(out.Immediate.GetBody())
	default:
		w.Header()["Content-Type"] = nil
		code := 0
		for _, kv := range out.Client.Header {
			if kv[0] == ":status" {
				_, _ = fmt.Sscan(kv[1], &code)
				continue
			}
			w.Header().Set(kv[0], kv[1])
		}
		w.WriteHeader(code)
		_, _ = io.WriteString(w, out.Client.Body())
	}
}

// ask sends a request on to the model.
func (g *agentgateway) ask(m extproctest.Message) (response extproctest.Message, err error) {
	req, err := http.NewRequest(m.Header.Get(":method"), g.model+m.Header.Get(":path"), bytes.NewReader(bytes.Join(m.Chunks, nil)))
	if err != nil {
		return response, err
	}
	for _, kv := range m.Header {
		if !strings.HasPrefix(kv[0], ":") && kv[0] != "content-length" {
			req.Header.Add(kv[0], kv[1])
		}
	}
	resp, err := client.Do(req)
	if err != nil {
		return response, err
	}
	defer resp.Body.Close()
	response.Header = extproctest.Header{{":status", fmt.Sprint(resp.StatusCode)}}
	for name, values := range resp.Header {
		for _, v := range values {
			response.Header = append(response.Header, [2]string{strings.ToLower(name), v})
		}
	}
	if resp.ContentLength != 0 {
		response.Chunks = pieces(resp.Body)
	}
	for name, values := range resp.Trailer {
		response.Trailers = append(response.Trailers, [2]string{strings.ToLower(name), values[0]})
	}
	return response, nil
}

// pieces reads a body as it comes.
func pieces(body io.Reader) [][]byte {
	chunks := [][]byte{}
	for {
		buffer := make([]byte, 16<<10)
		n, err := body.Read(buffer)
		if n > 0 {
			chunks = append(chunks, buffer[:n])
		}
		if err != nil {
			return chunks
		}
	}
}
