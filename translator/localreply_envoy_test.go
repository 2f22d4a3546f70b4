package translator_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/attache-dev/attache/envoy/envoytest"
)

// connect returns the answer to CONNECT.
func (b *testbed) connect(t *testing.T) string {
	t.Helper()
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", b.port))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(conn, "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\nConnection: close\r\n\r\n")
	text, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestGatewayErrorsInEnvoy(t *testing.T) {
	up := newRecorder(t)
	b := newTestbed(t, strings.NewReplacer("UP", up.addr, "CLOSED", fmt.Sprintf("127.0.0.1:%d", envoytest.Ports(t, 1)[0])).Replace(`
binds:
- port: %d
  listeners:
  - routes:
    - {name: refused, matches: [{path: {exact: /refused}}], backends: [{host: "CLOSED"}]}
    - {name: broken, matches: [{path: {exact: /broken}}], backends: [{host: "UP"}]}
    - {name: unknown, matches: [{path: {exact: /unknown}}], backends: [{host: "no-such-host.invalid:80"}]}
    - {name: late, matches: [{path: {exact: /late}}], policies: {timeout: {requestTimeout: 200ms}}, backends: [{host: "UP"}]}
    - {name: attempt, matches: [{path: {exact: /attempt}}], policies: {timeout: {backendRequestTimeout: 200ms}}, backends: [{host: "UP"}]}
    - {name: nobody, matches: [{path: {exact: /nobody}}]}
    - {name: external, matches: [{path: {exact: /external}}], policies: {extProc: {host: "CLOSED"}}, backends: [{host: "UP"}]}
    - {name: guarded, matches: [{path: {exact: /guarded}}], backends: [{host: "UP"}]}
    - {name: guarded-refused, matches: [{path: {exact: /guarded-refused}}], backends: [{host: "CLOSED"}]}
`), chains{"guarded": {}, "guarded-refused": {ReadsResponse: true}})
	for _, c := range []struct {
		target, header string
		status         int
		want           string // the beginning of the body
	}{
		{"/nothing", "", 404, "route not found"},
		{"/nobody", "", 500, "no valid backends"},
		{"/refused", "", 503, "upstream call failed: upstream connect error"},
		{"/broken", "break:1", 503, "upstream call failed: upstream connect error"},
		{"/unknown", "", 503, "no healthy backends"},
		{"/late", "slow:5s", 504, "request timeout"},
		{"/attempt", "slow:5s", 504, "upstream call timeout"},
		{"/external", "", 500, "ext_proc failed: "},
		{"/guarded-refused", "", 503, "upstream call failed: upstream connect error"},
		// What a backend says, and what our service says, stays.
		{"/broken", "fail-first:9", 503, "GET /broken "},
		{"/guarded", "do-refuse:1", 403, "refused"},
	} {
		up.forget()
		a := b.ask(t, "GET", "", c.target, "", strings.Fields(c.header)...)
		if a.status != c.status || !strings.HasPrefix(a.body, c.want) {
			t.Errorf("%s %s: %d %q, want %d %q", c.target, c.header, a.status, a.body, c.status, c.want)
		}
		if got := a.headers.Get("content-type"); a.status != 403 && !strings.HasPrefix(got, "text/plain") {
			t.Errorf("%s: content-type %q", c.target, got)
		}
	}
	if got := b.connect(t); !strings.HasPrefix(got, "HTTP/1.1 405 ") || !strings.HasSuffix(got, "method not allowed") {
		t.Errorf("CONNECT: got %q", got)
	}
	b.service.setDown(true)
	if a := b.ask(t, "GET", "", "/guarded", ""); a.status != 500 || !strings.HasPrefix(a.body, "ext_proc failed: ") {
		t.Errorf("service down: %d %q", a.status, a.body)
	}
}
