package extprocsvc

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/extprocsvc/llm"
)

const (
	// webhookTimeout is how long a webhook may take; it is agentgateway's.
	webhookTimeout = 10 * time.Second
	// maxWebhookReply bounds what it answers, in bytes.
	maxWebhookReply = 16 << 20
)

// webhook is a guard of kind webhook.
type webhook struct {
	client  *http.Client
	base    string
	scope   config.Scope
	headers []config.ComputedHeader
	forward []forwarded
}

// forwarded chooses headers of the client's request.
type forwarded struct {
	name  string
	value *regexp.Regexp
}

func newWebhook(from *config.Guard) (*webhook, error) {
	f := from.Webhook
	w := &webhook{scope: from.Scope, headers: f.Headers}
	for _, m := range f.Forward {
		value := m.Value
		if !m.Regex {
			value = regexp.QuoteMeta(value)
		}
		re, err := regexp.Compile(`\A(?:` + value + `)\z`)
		if err != nil {
			return nil, errors.New("forwardHeaderMatches: not a regular expression")
		}
		w.forward = append(w.forward, forwarded{m.Name, re})
	}
	transport := &http.Transport{
		MaxIdleConns: 64, MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute,
		ForceAttemptHTTP2: f.TLS != nil, MaxResponseHeaderBytes: 64 << 10,
	}
	u := url.URL{Scheme: "http"}
	switch {
	case f.Service != nil:
		_, hostname, _ := strings.Cut(f.Service.Name, "/")
		u.Host = net.JoinHostPort(hostname, strconv.Itoa(int(f.Service.Port)))
		transport.DialContext = inTurn(f.Service.Endpoints)
	case f.Target.Unix != "":
		u.Host = "localhost"
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", f.Target.Unix)
		}
	default:
		u.Host = address(f.Target)
	}
	if f.TLS != nil {
		var err error
		if transport.TLSClientConfig, err = tlsConfig(f.TLS); err != nil {
			return nil, err
		}
		u.Scheme = "https"
	}
	w.base = u.String()
	w.client = &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return w, nil
}

// inTurn connects to one endpoint after the other, and to the next one where one
// cannot be reached.
func inTurn(endpoints []config.Target) func(ctx context.Context, _, _ string) (net.Conn, error) {
	var turn atomic.Uint32
	return func(ctx context.Context, _, _ string) (conn net.Conn, err error) {
		first := int(turn.Add(1))
		for i := range endpoints {
			e := &endpoints[(first+i)%len(endpoints)]
			if conn, err = (&net.Dialer{}).DialContext(ctx, "tcp", address(e)); err == nil || ctx.Err() != nil {
				break
			}
		}
		return conn, err
	}
}

func address(t *config.Target) string { return net.JoinHostPort(t.Host, strconv.Itoa(int(t.Port))) }

// tlsConfig is how to encrypt towards a server of ours.
func tlsConfig(t *config.TLS) (*tls.Config, error) {
	c := &tls.Config{ServerName: t.Name, MinVersion: tls.VersionTLS12}
	if t.MinVersion == "v1.3" {
		c.MinVersion = tls.VersionTLS13
	}
	if t.Root != nil {
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(t.Root.PEM) {
			return nil, errors.New("root holds no certificate")
		}
	}
	if t.Key != nil {
		pair, err := tls.X509KeyPair(t.Cert, []byte(t.Key.Reveal()))
		if err != nil {
			return nil, errors.New("cert and key do not go together")
		}
		c.Certificates = []tls.Certificate{pair}
	}
	switch t.Verification {
	case config.VerifyNothing:
		c.InsecureSkipVerify = true
	case config.VerifyIssuer:
		c.InsecureSkipVerify = true // of the name; the issuer is verified here
		c.VerifyConnection = func(s tls.ConnectionState) error {
			o := x509.VerifyOptions{Roots: c.RootCAs, Intermediates: x509.NewCertPool()}
			for _, cert := range s.PeerCertificates[1:] {
				o.Intermediates.AddCert(cert)
			}
			_, err := s.PeerCertificates[0].Verify(o)
			return err
		}
	}
	return c, nil
}

// A webhookMessage is a text and whose it is.
type webhookMessage struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

type webhookChoice struct {
	Message webhookMessage `json:"message"`
}

// webhookBody is what is sent, and what may come back.
type webhookBody struct {
	Messages []webhookMessage `json:"messages,omitempty"`
	Choices  []webhookChoice  `json:"choices,omitempty"`
}

// ProcessRequest asks about the texts of the request that are in scope.
func (w *webhook) ProcessRequest(ctx context.Context, r *Request) (Result, error) {
	return w.process(ctx, "/request", r.Prompt, &r.Call, w.scope)
}

// ProcessResponse asks about the texts of the answer.
func (w *webhook) ProcessResponse(ctx context.Context, r *Response) (Result, error) {
	return w.process(ctx, "/response", r.Completion, &r.Call, everything)
}

// process asks the service about texts: each is a message of its own, so that
// what comes back has a place.
func (w *webhook) process(ctx context.Context, path string, doc *llm.Doc, call *Call, scope config.Scope) (result Result, err error) {
	if doc == nil {
		return result, nil
	}
	var body webhookBody
	var sent []webhookMessage
	var texts []int
	for t := range doc.Texts() {
		if scope&scopeOf(t.Kind) != 0 {
			sent = append(sent, webhookMessage{roleOf(&t, path == "/response"), string(t.Unquoted(nil))})
			texts = append(texts, t.Index)
		}
	}
	if len(sent) == 0 {
		return result, nil
	}
	if body.Messages = sent; path == "/response" {
		body = webhookBody{}
		for _, m := range sent {
			body.Choices = append(body.Choices, webhookChoice{m})
		}
	}
	reply, err := w.ask(ctx, path, &body, call)
	if err != nil {
		return result, err
	}
	return reply.result(sent, texts)
}

// roleOf is the role of a text, as the service knows them.
func roleOf(t *llm.Text, answer bool) string {
	switch {
	case len(t.Role) > 0:
		return string(llm.AppendUnquoted(nil, t.Role))
	case answer || t.Kind == llm.Arguments || t.Kind == llm.Reasoning:
		return "assistant"
	case scopeOf(t.Kind) == config.ScopeSystem:
		return "system"
	case t.Kind == llm.ToolResult:
		return "tool"
	}
	return "user"
}

// A webhookReply is what the service answers.
type webhookReply struct {
	Action *struct {
		Body   json.RawMessage `json:"body"`
		Status *uint32         `json:"status_code"`
	} `json:"action"`
}

func (w *webhook) ask(ctx context.Context, path string, body *webhookBody, call *Call) (*webhookReply, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(map[string]*webhookBody{"body": body}); err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.base+path, &out)
	if err != nil {
		return nil, err
	}
	w.setHeaders(req, call)
	resp, err := w.client.Do(req)
	if err != nil {
		return nil, &StepError{Status: 502, Msg: "the webhook cannot be reached: " + cause(err)}
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxWebhookReply+1))
	switch {
	case err != nil:
		return nil, &StepError{Status: 502, Msg: "the webhook's answer broke off"}
	case len(text) > maxWebhookReply:
		return nil, &StepError{Status: 502, Msg: fmt.Sprintf("the webhook's answer is longer than %d bytes", maxWebhookReply)}
	case resp.StatusCode != http.StatusOK:
		return nil, &StepError{Status: 502, Msg: fmt.Sprintf("the webhook answered with status %d", resp.StatusCode)}
	}
	var reply webhookReply
	if err := json.Unmarshal(text, &reply); err != nil || reply.Action == nil {
		return nil, badWebhookReply
	}
	return &reply, nil
}

// cause is an error of a client without the URL.
func cause(err error) string {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return err.Error()
}

var badWebhookReply = &StepError{Status: 502, Msg: `the webhook's answer is none; expected {"action": …} with a body of as many texts as it got, or of a text and a status_code from 200 to 599, or without`}

// setHeaders sets those of the request: the client's that are chosen, and those
// that are computed.
func (w *webhook) setHeaders(req *http.Request, call *Call) {
	if h := call.head; h != nil {
		for _, kv := range h.headers {
			name, value := kv.GetKey(), string(valueOf(kv))
			for _, f := range w.forward {
				if f.name == name && f.value.MatchString(value) {
					if strings.HasPrefix(name, ":") {
						continue
					}
					req.Header.Add(name, value)
					break
				}
			}
		}
		for _, c := range w.headers {
			if value, ok := h.value(c.Value); ok {
				req.Header.Set(c.Name, value)
			}
		}
	}
	req.Header.Set("Content-Type", "application/json")
	for name, value := range map[string]string{"X-Request-Id": call.ID, "Traceparent": call.TraceParent, "Tracestate": call.TraceState} {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
}

// value evaluates an expression over the request. ok is false if there is no
// such header.
func (h *head) value(e config.Expression) (value string, ok bool) {
	if text, ok := e.Literal.(string); ok {
		return text, true
	}
	switch e.Variable {
	case "request.method":
		return h.method, true
	case "request.host":
		return h.first(":authority"), true
	case "request.scheme":
		return h.first(":scheme"), true
	case "request.path":
		return h.bare(), true
	case "request.pathAndQuery":
		return h.path(), true
	}
	values := h.values(e.Key)
	return strings.Join(values, ","), len(values) > 0
}

// result is what the service wants: nothing, other texts, or a rejection.
func (r *webhookReply) result(sent []webhookMessage, texts []int) (result Result, err error) {
	body := bytes.TrimSpace(r.Action.Body)
	switch {
	case len(body) == 0 || string(body) == "null":
		return result, nil
	case body[0] == '"':
		var text string
		if json.Unmarshal(body, &text) != nil || r.Action.Status == nil || *r.Action.Status < 200 || *r.Action.Status > 599 {
			return result, badWebhookReply
		}
		answer := answerOf(&config.GuardRejection{Status: uint16(*r.Action.Status), Body: []byte(text)})
		result.Rejection = &Rejection{Code: PolicyViolation, Detail: text, Answer: answer}
		return result, nil
	}
	var b webhookBody
	if json.Unmarshal(body, &b) != nil {
		return result, badWebhookReply
	}
	for _, c := range b.Choices {
		b.Messages = append(b.Messages, c.Message)
	}
	if len(b.Messages) != len(sent) {
		return result, badWebhookReply
	}
	var changes []llm.Change
	for i, m := range b.Messages {
		if m.Content != sent[i].Content {
			changes = append(changes, llm.Change{Text: texts[i], From: 0, To: len(sent[i].Content), With: m.Content})
		}
	}
	if len(changes) > 0 {
		result.Edits = []llm.Edit{llm.ChangeTexts(changes...)}
	}
	return result, nil
}
