package external

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"

	"github.com/attache-dev/attache/extprocsvc"
	"github.com/attache-dev/attache/extprocsvc/llm"
)

// A direction is what the parts of a call are named by.
type direction struct {
	// part and member hold the list that the processor works on.
	part, member string
	params       string
	choices      bool
}

var (
	inputStage    = &direction{part: "input.messages", member: "messages", params: "input.parameters"}
	responseStage = &direction{part: "response.choices", member: "choices", params: "response.parameters", choices: true}
)

// userAgent is how we name ourselves to processors.
const userAgent = "attache/extproc"

// A call is one execution as it is sent. Its bytes are borrowed: they go back
// when the call and every body made of it are done with them.
type call struct {
	*direction
	body     []byte
	boundary string
	// requestID and stepID are echoed.
	requestID, stepID string
	header            http.Header
	// from and to are where the list that the processor works on lies in body.
	from, to int
	shown    shown

	users atomic.Int32
}

// bodies keeps the memory of calls; keepBody is how large it may be.
var bodies = sync.Pool{New: func() any { return new([]byte) }}

const keepBody = 1 << 20

// newCall writes down a call.
func newCall(d *direction, params []byte, doc, prompt *llm.Doc, id extprocsvc.Call) *call {
	c := &call{
		direction: d, boundary: "attache" + rand.Text(),
		requestID: strings.ToValidUTF8(id.ID, "\ufffd"), stepID: uuid.Must(uuid.NewV7()).String(),
	}
	c.users.Store(1)
	borrowed := bodies.Get().(*[]byte)
	b := (*borrowed)[:0]
	need := 1024 + len(params) + doc.Len()
	if prompt != nil {
		need += prompt.Len()
	}
	if cap(b) < need {
		b = make([]byte, 0, need)
	}

	b = c.open(b, "metadata")
	b = append(b, `{"request_id":`...)
	b = llm.AppendQuoted(b, c.requestID)
	b = append(b, `,"step_id":`...)
	b = llm.AppendQuoted(b, c.stepID)
	b = append(b, '}')
	if params != nil {
		b = append(c.open(b, d.params), params...)
	}
	if prompt != nil {
		b, _, _ = c.content(b, inputStage, prompt)
	}
	b, c.from, c.shown = c.content(b, d, doc)
	c.to = len(b) - 1
	b = append(b, "\r\n--"...)
	b = append(b, c.boundary...)
	c.body = append(b, "--\r\n"...)

	c.header = http.Header{
		"Content-Type": {"multipart/form-data; boundary=" + c.boundary},
		"User-Agent":   {userAgent},
	}
	identify(c.header, id)
	return c
}

// open ends the part before and begins one. Every part is a file to the
// receiver: its size is then not limited, and its bytes are UTF-8 whatever
// charset somebody may add on the way.
func (c *call) open(b []byte, name string) []byte {
	if len(b) > 0 {
		b = append(b, "\r\n"...)
	}
	b = append(b, "--"...)
	b = append(b, c.boundary...)
	b = append(b, "\r\nContent-Disposition: form-data; name=\""...)
	b = append(b, name...)
	b = append(b, "\"; filename=\""...)
	b = append(b, name...)
	return append(b, "\"\r\nContent-Type: application/json\r\n\r\n"...)
}

// content appends the part with a list, and tells where the list begins.
func (c *call) content(b []byte, d *direction, doc *llm.Doc) ([]byte, int, shown) {
	b = c.open(b, d.part)
	b = append(b, `{"`...)
	b = append(b, d.member...)
	b = append(b, `":`...)
	at := len(b)
	b = doc.AppendList(b)
	b, s := show(b, at, d.choices)
	return append(b, '}'), at, s
}

// list is the list as the processor is shown it.
func (c *call) list() []byte { return c.body[c.from:c.to] }

// identify adds the headers that name a request. Clients choose them, and
// must not be able to make a call fail by them.
func identify(h http.Header, id extprocsvc.Call) {
	if len(id.ID) <= 256 && printable(id.ID) {
		h.Set("X-Request-ID", id.ID)
	}
	// version-traceid-parentid-flags; W3C Trace Context, section 3.2.
	if len(id.TraceParent) >= 55 && len(id.TraceParent) <= 256 && printable(id.TraceParent) {
		h.Set("Traceparent", id.TraceParent)
		if id.TraceState != "" && len(id.TraceState) <= 1024 && printable(id.TraceState) {
			h.Set("Tracestate", id.TraceState)
		}
	}
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return s != ""
}

// request makes the HTTP request. It may be called again for another attempt.
func (c *call) request(ctx context.Context, to *url.URL) *http.Request {
	r := (&http.Request{
		Method: http.MethodPost, URL: to, Host: to.Host, Header: c.header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: c.reader(), ContentLength: int64(len(c.body)),
		GetBody: func() (io.ReadCloser, error) { return c.reader(), nil },
	}).WithContext(ctx)
	return r
}

// release gives the bytes back once nobody uses them.
func (c *call) release() {
	if c.users.Add(-1) == 0 && cap(c.body) <= keepBody {
		b := c.body[:0]
		c.body = nil
		bodies.Put(&b)
	}
}

// A reader is the body of one attempt. net/http may close it while, or read it
// after, it returned from the exchange.
type reader struct {
	mu   sync.Mutex
	from bytes.Reader
	call *call
}

func (c *call) reader() *reader {
	c.users.Add(1)
	r := &reader{call: c}
	r.from.Reset(c.body)
	return r
}

var errClosed = errors.New("the call is over")

// Read reads the body.
func (r *reader) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.call == nil {
		return 0, errClosed
	}
	return r.from.Read(p)
}

// Close gives the body back.
func (r *reader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.call != nil {
		r.from.Reset(nil)
		r.call.release()
		r.call = nil
	}
	return nil
}

// over is the error of a call whose step is over.
func (p *processor) over(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("processor %s did not answer in time: %w", p.id, ctx.Err())
	}
	return ctx.Err()
}

// exchange makes the call and reads the answer.
func (p *processor) exchange(ctx context.Context, c *call) (reply, error) {
	resp, err := p.client.do(ctx, func(ctx context.Context) *http.Request { return c.request(ctx, p.execute) })
	if err != nil {
		if ctx.Err() != nil {
			return reply{}, p.over(ctx)
		}
		return reply{}, p.fail(502, reason(err))
	}
	defer func() { _ = resp.Body.Close() }()
	r, err := readReply(resp, c)
	if err == nil {
		return r, nil
	}
	if ctx.Err() != nil {
		return reply{}, p.over(ctx)
	}
	var protocol protocolError
	var status statusError
	switch {
	case errors.As(err, &protocol):
		return reply{}, p.fail(502, "broke the protocol: "+string(protocol))
	case errors.As(err, &status):
		e := p.fail(502, "answered "+status.Error())
		if status >= 400 && status < 500 {
			e.Status = 500 // the call was wrong
		}
		// These are about what the call held: the client's content, which must
		// not get around the processor, unless our part of it is known to be
		// wrong.
		e.Final = (status == 400 || status == 413 || status == 422) && !p.refused.Load()
		return reply{}, e
	}
	return reply{}, p.fail(502, reason(err))
}
