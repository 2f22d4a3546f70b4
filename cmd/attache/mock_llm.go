package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// mockLLM runs a model that knows nothing but what it was asked: an upstream
// for demos and tests.
func mockLLM(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	fs := flags("mock-llm", "[flags]")
	addr := fs.String("addr", "127.0.0.1:8080", "where to listen, `HOST:PORT`; port 0 takes a free one")
	delay := fs.Duration("delay", 0, "how long to wait before each event of a stream, a `DURATION`")
	if code, ok := parseAll(fs, args, stdout, stderr); !ok {
		return code
	}
	if *delay < 0 {
		return fail(stderr, exitUsage, errors.New("--delay must not be negative"))
	}

	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		return fail(stderr, exitFailure, fmt.Errorf("mock-llm cannot listen: %w\nhint: --addr names another address", err))
	}
	fmt.Fprintf(stderr, "attache: mock-llm listens on %s\n", listener.Addr())
	server := &http.Server{
		Handler:           newMockLLM(*delay),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute, // but no limit for a stream
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fail(stderr, exitFailure, err)
	case <-ctx.Done():
	}

	last, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := server.Shutdown(last); err != nil {
		server.Close() // a stream that would not end
	}
	return exitGood
}

const (
	mockMaxBody      = 64 << 20
	mockErrorInvalid = "invalid_request_error"
)

// newMockLLM returns the HTTP side of mock-llm: OpenAI's API, and Anthropic's
// Messages. Its answers say what arrived, so that a test or a demo can see what
// a gateway made of the request: the text in the reply, the rest in headers.
// Credentials are never told, but a short hash of them is.
func newMockLLM(delay time.Duration) http.Handler {
	return (&mock{delay: delay, maxBody: mockMaxBody}).handler()
}

type mock struct {
	delay   time.Duration // before each event of a stream
	maxBody int64
}

func (m *mock) handler() http.Handler {
	mux := http.NewServeMux()
	for _, route := range []struct {
		method, pattern string
		handle          func(http.ResponseWriter, *http.Request) error
	}{
		{http.MethodPost, "/v1/chat/completions", m.chatCompletions},
		{http.MethodPost, "/v1/completions", m.completions},
		{http.MethodPost, "/v1/embeddings", m.embeddings},
		{http.MethodPost, "/v1/responses", m.responses},
		{http.MethodPost, "/v1/messages", m.messages},
		{http.MethodPost, "/v1/messages/count_tokens", m.countTokens},
		{http.MethodGet, "/v1/models", m.models},
		{http.MethodGet, "/v1/models/{id...}", m.model},
	} {
		mux.HandleFunc(route.pattern, func(w http.ResponseWriter, r *http.Request) {
			var err error
			if r.Method == route.method {
				err = route.handle(w, r)
			} else {
				w.Header().Set("Allow", route.method)
				err = mockErrorf(http.StatusMethodNotAllowed, "%s takes %s, not %s", r.URL.Path, route.method, r.Method)
			}
			if err != nil {
				writeMockError(w, r, err)
			}
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeMockError(w, r, mockErrorf(http.StatusNotFound, "unknown request URL: %s %s", r.Method, r.URL.Path))
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tellWhatArrived(w.Header(), r)
		r.Body = http.MaxBytesReader(w, r.Body, m.maxBody)
		mux.ServeHTTP(w, r)
	})
}

// object is a JSON object.
type object = map[string]any

func tellWhatArrived(h http.Header, r *http.Request) {
	presence := func(value string) string {
		if value == "" {
			return "absent"
		}
		return "present"
	}
	authorization, apiKey := r.Header.Get("Authorization"), r.Header.Get("X-Api-Key")
	h.Set("x-mock-host", r.Host)
	h.Set("x-mock-path", r.URL.RequestURI())
	h.Set("x-mock-authorization", presence(authorization))
	h.Set("x-mock-api-key", presence(apiKey))
	credential := authorization
	if credential == "" {
		credential = apiKey
	}
	if credential != "" {
		sum := sha256.Sum256([]byte(credential))
		h.Set("x-mock-credential-sha256", hex.EncodeToString(sum[:4]))
	}
}

// heard is what the mock understood of a request.
type heard struct {
	model  string
	system []string
	user   string // what the user said last
	words  int    // of all that was said, in place of tokens
}

// say notes one text of a conversation.
func (h *heard) say(role, text string) {
	switch role {
	case "system", "developer":
		h.system = append(h.system, text)
	case "user":
		h.user = text
	}
	h.words += len(strings.Fields(text))
}

func (h *heard) reply() string {
	return fmt.Sprintf("You said: \"%s\". Model: %s. System: \"%s\".", h.user, h.model, strings.Join(h.system, " | "))
}

// pieces cuts a text as a model would stream it, each word with the space
// before it.
func pieces(text string) []string {
	var out []string
	for text != "" {
		end := strings.IndexByte(text[1:], ' ') + 1
		if end == 0 {
			end = len(text)
		}
		out = append(out, text[:end])
		text = text[end:]
	}
	return out
}

// texts returns the texts of a content: a string, or a list of parts of which
// some have text.
func texts(content json.RawMessage) ([]string, error) {
	if len(content) == 0 || string(content) == "null" {
		return nil, nil
	}
	var text string
	if json.Unmarshal(content, &text) == nil {
		return []string{text}, nil
	}
	var parts []struct {
		Text string `json:"text"`
	}
	if err := json.Unmarshal(content, &parts); err != nil {
		return nil, errors.New("want a string or a list of parts")
	}
	var out []string
	for _, part := range parts {
		if part.Text != "" {
			out = append(out, part.Text)
		}
	}
	return out, nil
}

// message is one turn of a conversation, in each of the APIs.
type message struct {
	Role    string          `json:"role"`
	Content json.RawMessage `json:"content"`
}

// sayAll notes the turns of a conversation.
func (h *heard) sayAll(turns []message) error {
	for i, turn := range turns {
		parts, err := texts(turn.Content)
		if err != nil {
			return mockErrorf(http.StatusBadRequest, "content of message %d: %v", i, err)
		}
		h.say(turn.Role, strings.Join(parts, " "))
	}
	return nil
}

// mockError is an error that the client is told.
type mockError struct {
	status int
	text   string
}

func (e *mockError) Error() string { return e.text }

func mockErrorf(status int, format string, args ...any) error {
	return &mockError{status, fmt.Sprintf(format, args...)}
}

// writeMockError answers in the shape of the API that was asked.
func writeMockError(w http.ResponseWriter, r *http.Request, err error) {
	status := http.StatusInternalServerError
	var known *mockError
	if errors.As(err, &known) {
		status = known.status
	}
	body := object{"error": object{"message": err.Error(), "type": mockErrorInvalid, "param": nil, "code": nil}}
	if asksAnthropic(r) {
		kind := mockErrorInvalid
		switch status {
		case http.StatusNotFound:
			kind = "not_found_error"
		case http.StatusRequestEntityTooLarge:
			kind = "request_too_large"
		}
		body = object{"type": "error", "error": object{"type": kind, "message": err.Error()}, "request_id": mockID("req_")}
	}
	writeJSON(w, status, body)
}

// readJSON reads a body that is one JSON object.
func readJSON(r *http.Request, into any) error {
	body, err := io.ReadAll(r.Body)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return mockErrorf(http.StatusRequestEntityTooLarge, "the body has more than %d bytes", tooLarge.Limit)
	case err != nil:
		return mockErrorf(http.StatusBadRequest, "the body could not be read: %v", err)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return mockErrorf(http.StatusBadRequest, "the body is not the JSON that is expected: %v", err)
	}
	return nil
}

// encodeJSON keeps < and & as they are, as the real APIs do.
func encodeJSON(body any) []byte {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(body); err != nil {
		panic(err) // our own maps and strings
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	text := encodeJSON(body)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", fmt.Sprint(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write(text)
}

func mockID(prefix string) string { return prefix + strings.ToLower(rand.Text()) }

// stream is an answer of server-sent events. When the client is gone, send does
// nothing.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	gone    <-chan struct{}
	delay   time.Duration
}

func (m *mock) stream(w http.ResponseWriter, r *http.Request) *stream {
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	w.WriteHeader(http.StatusOK)
	return &stream{w: w, control: http.NewResponseController(w), gone: r.Context().Done(), delay: m.delay}
}

// send writes one event; name may be empty.
func (s *stream) send(name string, data []byte) {
	if s.delay > 0 {
		select {
		case <-time.After(s.delay):
		case <-s.gone:
			return
		}
	}
	if name != "" {
		fmt.Fprintf(s.w, "event: %s\n", name)
	}
	fmt.Fprintf(s.w, "data: %s\n\n", data)
	_ = s.control.Flush()
}
