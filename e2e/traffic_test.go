package e2e

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// pace is the pause of a client between two requests, so that many clients fit
// on a small machine.
const pace = 3 * time.Millisecond

// question is what all clients ask.
const question = `{"model":"m","messages":[{"role":"user","content":"load"}]}`

// address is what models say and guards hide.
const address = "ada@example.org"

// A wording is what three events say, again and again, and how the address reads
// in an answer that is not streamed.
type wording struct {
	events  [3]string
	address string
}

// spoken is what models say: an address that is in no event whole. The others are
// what guards make of it.
var (
	spoken   = &wording{[3]string{"ask ada@exa", "mple.org, ", "not me. "}, address}
	masked   = &wording{[3]string{"ask <EMAIL_ADDRESS>", ", ", "not me. "}, "<EMAIL_ADDRESS>"}
	redacted = &wording{[3]string{"ask XXXXXXXXXXXXXXX", ", ", "not me. "}, "XXXXXXXXXXXXXXX"}
)

// event is the n-th, as OpenAI streams it.
func (w *wording) event(n int) string {
	return fmt.Sprintf(`data: {"id":"%d","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":%q}}]}`, n, w.events[n%3])
}

// answer is one that is not streamed.
func (w *wording) answer() string {
	return fmt.Sprintf(`{"id":"1","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"ask %s"},"finish_reason":"stop"}]}`, w.address)
}

// modelServer is an upstream that answers as a model does, over what the client
// speaks.
func modelServer(t *testing.T, name string) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: speaking(name), Protocols: &http.Protocols{}}
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetUnencryptedHTTP2(true)
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return l.Addr().String()
}

// tlsModelServer is the same over TLS.
func tlsModelServer(t *testing.T, name string) (addr string) {
	t.Helper()
	s := httptest.NewUnstartedServer(speaking(name))
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(func() { s.Config.Close() })
	return s.Listener.Addr().String()
}

// speaking is a model that says who it is. A stream of it has no end: a numbered event every few
// milliseconds until the client goes away.
func speaking(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var asked struct {
			Messages []json.RawMessage `json:"messages"`
			Stream   bool              `json:"stream"`
		}
		_ = json.NewDecoder(r.Body).Decode(&asked)
		w.Header().Set("X-Upstream", name)
		w.Header().Set("X-Messages", fmt.Sprint(len(asked.Messages)))
		w.Header().Set("X-Note", r.Header.Get("X-Note"))
		if !asked.Stream {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, spoken.answer())
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			if _, err := fmt.Fprintf(w, "%s\n\n", spoken.event(n)); err != nil || http.NewResponseController(w).Flush() != nil {
				return
			}
			select {
			case <-r.Context().Done():
				return
			case <-tick.C:
			}
		}
	})
}

// slowProcessor is a processor that thinks for some milliseconds and says yes, so
// that our service always has requests in hand.
func slowProcessor(t *testing.T) (addr string) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/api/v1/signature/labs/words", signature)
	mux.HandleFunc("POST /api/v1/execute/labs/words", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-r.Context().Done():
		}
		execute(w, r)
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// protocols are those that clients of every group speak, each requesters/2 clients
// and a stream.
var protocols = []string{"HTTP/1", "HTTP/2"}

const requesters = 6

// where is what a group of clients asks.
type where struct {
	addr  string // of the listener
	tls   bool
	route string // its name, which is what the routes match
	// reads are the wordings of which each answer must have one, from its
	// beginning to its end.
	reads []*wording
}

func (w where) request(ctx context.Context, stream bool) *http.Request {
	scheme := "http"
	if w.tls {
		scheme = "https"
	}
	body := question
	if stream {
		body = strings.Replace(body, "{", `{"stream":true,`, 1)
	}
	r, err := http.NewRequestWithContext(ctx, "POST", scheme+"://"+w.addr+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Route", w.route)
	return r
}

// A group is clients that keep their connections and ask all the time, and
// streams that are held open, over both protocols.
type group struct {
	name  string
	where where
	stop  context.CancelFunc
	quit  context.CancelFunc // ends the clients, but not the streams
	wg    sync.WaitGroup

	mu      sync.Mutex
	clients []*worker
}

// A worker is one client or one stream. Its counters are under the group's lock.
type worker struct {
	what    string
	stream  bool
	done    int // requests that succeeded, or events that came
	closed  int // connections that Envoy closed, or told to close
	failed  int
	failure string // the latest
	// wrong are answers that nobody may ever get: what a guard has not hidden, an
	// event that is missing, an end that a client takes for the end.
	wrong int
}

// A wrong is the error of such an answer.
type wrong struct{ error }

// observed is a transport that tells when the other side wants to be left alone.
// Go's own decisions do not count: it gives up connections when it has no time.
type observed struct {
	*http.Transport
	closed func()
}

func (o observed) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := o.Transport.RoundTrip(r)
	if err == nil && resp.Close {
		o.closed()
	}
	return resp, err
}

// observedConn is a connection that tells when the other side has ended it.
type observedConn struct {
	net.Conn
	closed func()
}

func (c observedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err == io.EOF || errors.Is(err, syscall.ECONNRESET) {
		c.closed()
	}
	return n, err
}

// hold starts a group. Early clients come before anybody listens: that a
// connection is refused is no failure for them, until they have got one.
func hold(t *testing.T, name string, w where, early bool) *group {
	ctx, cancel := context.WithCancel(t.Context())
	asking, quit := context.WithCancel(ctx)
	g := &group{name: name, where: w, stop: cancel, quit: quit}
	for _, protocol := range protocols {
		for _, stream := range []bool{false, false, false, true} {
			c := &worker{what: name + " over " + protocol, stream: stream}
			if stream {
				c.what = "stream of " + c.what
			}
			g.clients = append(g.clients, c)
			transport := g.transport(c, protocol)
			g.wg.Go(func() {
				defer transport.CloseIdleConnections()
				client := &http.Client{Transport: transport}
				if stream {
					g.listen(ctx, client, c, early)
				} else {
					g.ask(asking, client, c, early)
				}
			})
		}
	}
	t.Cleanup(g.end)
	return g
}

func (g *group) end() {
	g.stop()
	g.wg.Wait()
}

// endRequests leaves only the streams.
func (g *group) endRequests() {
	g.quit()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.clients = slices.DeleteFunc(g.clients, func(c *worker) bool { return !c.stream })
}

// transport is one that keeps a single connection, and counts how often it has to
// make another one.
func (g *group) transport(c *worker, protocol string) observed {
	p := &http.Protocols{}
	p.SetHTTP1(protocol == "HTTP/1")
	p.SetHTTP2(protocol == "HTTP/2")
	p.SetUnencryptedHTTP2(protocol == "HTTP/2")
	closed := func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		c.closed++
	}
	first := true
	return observed{closed: closed, Transport: &http.Transport{
		Protocols:       p,
		MaxConnsPerHost: 1,
		// Certificates are compared where they are swapped.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			// HTTP/2 tells to close by a frame, which only the transport sees: it
			// makes another connection then.
			if protocol == "HTTP/2" && !first {
				closed()
			}
			first = false
			return observedConn{conn, closed}, nil
		},
	}}
}

func (g *group) ask(ctx context.Context, client *http.Client, c *worker, early bool) {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for ctx.Err() == nil {
		err := once(ctx, client, g.where)
		g.count(ctx, c, err, early)
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// once makes one request, and returns an error unless the answer is complete.
func once(ctx context.Context, client *http.Client, w where) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	resp, err := client.Do(w.request(ctx, false))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%d %s", resp.StatusCode, body)
	}
	if !slices.ContainsFunc(w.reads, func(r *wording) bool { return r.answer() == string(body) }) {
		return wrong{fmt.Errorf("got the answer %s", body)}
	}
	return w.processed(resp)
}

// processed returns an error if the chain of a route was skipped that must not be.
func (w where) processed(resp *http.Response) error {
	if n := resp.Header.Get("X-Messages"); w.route == "closed" && n < "2" {
		return wrong{fmt.Errorf("the chain did not run: the upstream got %s messages", n)}
	}
	return nil
}

// count notes the outcome of a request, or of an attempt to open a stream.
func (g *group) count(ctx context.Context, c *worker, err error, early bool) {
	if ctx.Err() != nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case err == nil:
		c.done++
	case early && c.done == 0 && errors.Is(err, syscall.ECONNREFUSED):
	default:
		c.failed++
		c.failure = err.Error()
		if errors.As(err, &wrong{}) {
			c.wrong++
		}
	}
}

// listen holds a stream open, and opens it again when it was cut. Each event must
// follow the one before it, in the same wording.
func (g *group) listen(ctx context.Context, client *http.Client, c *worker, early bool) {
	for ctx.Err() == nil {
		g.count(ctx, c, g.stream(ctx, client, c), early)
		select {
		case <-ctx.Done():
		case <-time.After(pace):
		}
	}
}

func (g *group) stream(ctx context.Context, client *http.Client, c *worker) error {
	resp, err := client.Do(g.where.request(ctx, true))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(resp.Body)
		return fmt.Errorf("%d %s", resp.StatusCode, body)
	}
	if err := g.where.processed(resp); err != nil {
		return err
	}
	lines, reads := bufio.NewScanner(resp.Body), slices.Clone(g.where.reads)
	for n := 0; lines.Scan(); {
		got := lines.Text()
		if got == "" {
			continue
		}
		reads = slices.DeleteFunc(reads, func(r *wording) bool { return !strings.HasPrefix(r.event(n), got) })
		if len(reads) == 0 {
			return wrong{fmt.Errorf("got %q for the event %d", got, n)}
		}
		if got != reads[0].event(n) {
			break // cut in the middle of an event
		}
		n++
		g.mu.Lock()
		c.done++
		g.mu.Unlock()
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return wrong{errors.New("the stream has ended, as if all had been said")}
}

// A mark is the counters of all workers at a moment.
type mark map[*worker]worker

func markOf(groups []*group) mark {
	m := mark{}
	for _, g := range groups {
		g.mu.Lock()
		for _, c := range g.clients {
			m[c] = *c
		}
		g.mu.Unlock()
	}
	return m
}

// idle lists the workers that have done nothing since the mark. Two rounds are
// needed: the first may have begun before.
func (m mark) idle(groups []*group) (waiting []string) {
	for c, now := range markOf(groups) {
		if now.done < m[c].done+2 {
			waiting = append(waiting, fmt.Sprintf("%s (%d, %s)", c.what, now.done-m[c].done, now.failure))
		}
	}
	return waiting
}

// outcome is what has happened to a group between two marks.
type outcome struct{ failed, cut, closed, wrong int }

// since returns what has happened to each group, and the latest failures.
func (m mark) since(groups []*group) (all map[string]outcome, failures []string) {
	all = map[string]outcome{}
	now := markOf(groups)
	for _, g := range groups {
		o := all[g.name]
		for _, c := range g.clients {
			before, after := m[c], now[c]
			bad := after.failed - before.failed
			if bad > 0 {
				failures = append(failures, fmt.Sprintf("%s: %d times, at last: %s", c.what, bad, after.failure))
			}
			if c.stream {
				o.cut += bad
			} else {
				o.failed += bad
			}
			o.wrong += after.wrong - before.wrong
			// That a stream was cut says already that its connection was.
			if closed := after.closed - before.closed; closed > 0 && (!c.stream || bad == 0) {
				failures = append(failures, fmt.Sprintf("%s: %d connections were closed", c.what, closed))
				o.closed += closed
			}
		}
		all[g.name] = o
	}
	return all, failures
}
