package extprocsvc

import (
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/extprocsvc/llm"
)

// TestWebhookTLS: a service is verified as the file says.
func TestWebhookTLS(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"action":{"body":"no","status_code":400}}`)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of clients that do not trust it
	server.StartTLS()
	defer server.Close()
	root := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	at := netip.MustParseAddrPort(server.Listener.Addr().String())
	target := &config.Target{Host: at.Addr().String(), Port: at.Port()}
	for _, c := range []struct {
		name  string
		tls   *config.TLS
		works bool
	}{
		{"its root", &config.TLS{Root: &config.Roots{PEM: root}, Name: "example.com"}, true},
		{"another name", &config.TLS{Root: &config.Roots{PEM: root}, Name: "example.org"}, false},
		{"another name, which is not verified", &config.TLS{Root: &config.Roots{PEM: root}, Name: "example.org", Verification: config.VerifyIssuer}, true},
		{"the system's roots", &config.TLS{Name: "example.com"}, false},
		{"the system's roots, without a name", &config.TLS{Verification: config.VerifyIssuer}, false},
		{"nothing is verified", &config.TLS{Verification: config.VerifyNothing}, true},
		{"in the clear", nil, false},
	} {
		w, err := newWebhook(&config.Guard{Scope: config.DefaultScope, Webhook: &config.WebhookGuard{Target: target, TLS: c.tls}})
		if err != nil {
			t.Fatal(err)
		}
		var doc llm.Doc
		if err := doc.Scan(llm.ChatCompletions, []byte(`{"messages":[{"role":"user","content":"hi"}]}`)); err != nil {
			t.Fatal(err)
		}
		result, err := w.ProcessRequest(t.Context(), &Request{Prompt: &doc})
		if works := err == nil && result.Rejection != nil; works != c.works {
			t.Errorf("%s: %v, %v", c.name, result, err)
		}
		w.client.CloseIdleConnections()
	}
	if _, err := newWebhook(&config.Guard{Webhook: &config.WebhookGuard{Target: target, TLS: &config.TLS{Root: &config.Roots{PEM: []byte("none")}}}}); err == nil {
		t.Error("a root without certificates is accepted")
	}
}

// TestWebhookService: the workloads of a service are asked in turn, and one that is
// not there is passed over.
func TestWebhookService(t *testing.T) {
	asked := make(chan string, 10)
	var endpoints []config.Target
	for _, name := range []string{"a", "b", "gone"} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked <- name + " " + r.Host
			w.Header().Set("connection", "close")
			_, _ = io.WriteString(w, `{"action":{}}`)
		}))
		at := netip.MustParseAddrPort(server.Listener.Addr().String())
		endpoints = append(endpoints, config.Target{Host: at.Addr().String(), Port: at.Port()})
		if name == "gone" {
			server.Close()
		} else {
			defer server.Close()
		}
	}
	w, err := newWebhook(&config.Guard{Scope: config.DefaultScope, Webhook: &config.WebhookGuard{Service: &config.WorkloadService{Name: "n/guard.internal", Port: 80, Endpoints: endpoints}}})
	if err != nil {
		t.Fatal(err)
	}
	var doc llm.Doc
	if err := doc.Scan(llm.ChatCompletions, []byte(`{"messages":[{"role":"user","content":"hi"}]}`)); err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for range 6 {
		if _, err := w.ProcessRequest(t.Context(), &Request{Prompt: &doc}); err != nil {
			t.Fatal(err)
		}
		got[<-asked]++
	}
	if len(got) != 2 || got["a guard.internal:80"] != 4 || got["b guard.internal:80"] != 2 {
		t.Errorf("asked %v", got)
	}
}

// FuzzWebhookReply: whatever a service answers, it is an error, or a status that
// can be sent, or one text for each that was asked about.
func FuzzWebhookReply(f *testing.F) {
	for _, seed := range []string{
		`{"action":{}}`, `{"action":null}`, `{"action":{"body":null}}`, `{"action":{"body":"x","status_code":403}}`, `{"action":{"body":"x","status_code":4e2}}`,
		`{"action":{"body":{"messages":[{"content":"a"},{"content":"b"}]}}}`, `{"action":{"body":{"choices":[{"message":{"content":"a"}}],"messages":[{"content":"x"}]}}}`, `{"action":{"body":[]}}`, `[]`,
	} {
		f.Add([]byte(seed))
	}
	sent := []webhookMessage{{"user", "a"}, {"user", "b"}}
	f.Fuzz(func(t *testing.T, text []byte) {
		var r webhookReply
		if json.Unmarshal(text, &r) != nil || r.Action == nil {
			return
		}
		result, err := r.result(sent, []int{3, 4})
		switch {
		case err != nil && (len(result.Edits) > 0 || result.Rejection != nil):
			t.Errorf("%s: %v and %v", text, result, err)
		case result.Rejection != nil && (result.Rejection.Answer.Status < 200 || result.Rejection.Answer.Status > 599 || len(result.Edits) > 0):
			t.Errorf("%s: %+v", text, result.Rejection.Answer)
		}
	})
}
