package extprocsvc_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/attache-dev/attache/extprocsvc"
	"github.com/attache-dev/attache/extprocsvc/extproctest"
)

const services = `
processors:
- {name: code, type: fake, params: {tags: ["language:code", "language:en"]}}
- {name: zh, type: fake, params: {tags: ["Language:ZH"]}}
profiles:
- name: code
  inputStages: [{name: s, steps: [{name: code}]}]
  services: &services
  - {name: codellama, selector: {tags: ["language:code"]}}
  - {name: english, selector: {tags: ["language:en"]}}
  - {name: qwen, selector: {operand: all, tags: ["language:zh"]}}
- name: zh
  inputStages: [{name: s, steps: [{name: zh}]}]
  services: *services
- name: none
  services: *services
- name: named
  models: [{name: big}, {name: small}]
  services:
  - {name: codellama, selector: {type: input.model, values: [big]}}
  - {name: qwen}
- name: forbidden
  models: []
- name: observed
  mode: observe
  models: [{name: big}]
  inputStages: [{name: s, steps: [{name: code}]}]
  services: [{name: codellama, selector: {tags: ["language:code"]}}, {name: qwen}]
binds:
- port: 3000
  listeners:
  - routes:
    - {name: code, matches: [{path: {exact: /0}}], policies: {extProc: {profile: code}}, backends: &b [{ai: {name: codellama, provider: {openAI: {model: cl}}}}, {ai: {name: english, provider: {openAI: {}}}}, {ai: {name: qwen, provider: {openAI: {model: qw}}}}]}
    - {name: zh, matches: [{path: {exact: /1}}], policies: {extProc: {profile: zh}}, backends: *b}
    - {name: none, matches: [{path: {exact: /2}}], policies: {extProc: {profile: none}}, backends: *b}
    - {name: named, matches: [{path: {exact: /3}}], policies: {extProc: {profile: named}}, backends: *b}
    - {name: forbidden, matches: [{path: {exact: /4}}], policies: {extProc: {profile: forbidden}}, backends: [{host: "h:1"}]}
    - {name: observed, matches: [{path: {exact: /5}}], policies: {extProc: {profile: observed}}, backends: *b}
    - {name: weights, matches: [{path: {exact: /6}}], backends: [{weight: 0, ai: {name: a, provider: {openAI: {model: a}}}}, {ai: {name: b, provider: {openAI: {model: b}}}}, {ai: {name: c, provider: {openAI: {}}}}]}
`

func TestChoice(t *testing.T) {
	s := start(t, fakes.Build, extprocsvc.Options{}, services)
	for _, c := range []struct {
		name  string
		route int
		body  string
		want  string // the outcome, then the backends that may be chosen
		to    []string
	}{
		{"by tag, the first that matches", 0, `{"model":"x","messages":[]}`, `the model gets {"model":"cl","messages":[]}`, []string{"codellama"}},
		{"tags are in lower case", 1, `{"model":"x","messages":[]}`, `the model gets {"model":"qw","messages":[]}`, []string{"qwen"}},
		{"none matches", 2, `{"model":"x","messages":[]}`, failure(503, "no service of this route is for this request", "no_service"), nil},
		{"by model", 3, `{"model":"big","messages":[]}`, `the model gets {"model":"cl","messages":[]}`, []string{"codellama"}},
		{"the fallback", 3, `{"model":"small","messages":[]}`, `the model gets {"model":"qw","messages":[]}`, []string{"qwen"}},
		{"an unknown model", 3, `{"model":"huge","messages":[]}`, failure(404, "the model does not exist or is not available here", "model_not_found"), nil},
		{"no model", 3, `{"messages":[]}`, failure(404, "the model does not exist or is not available here", "model_not_found"), nil},
		{"a model that is no string", 3, `{"model":["big"],"messages":[]}`, failure(404, "the model does not exist or is not available here", "model_not_found"), nil},
		{"models are forbidden", 4, `{"model":"big","messages":[]}`, failure(400, "requests must not name a model here", "model_not_allowed"), nil},
		{"no model where they are", 4, `{"messages":[]}`, `the model gets {"messages":[]}`, nil},
		{"observed: tags choose nothing, models are not checked", 5, `{"model":"x","messages":[]}`, `the model gets {"model":"qw","messages":[]}`, []string{"qwen"}},
		{"by weight", 6, `{"model":"b","messages":[]}`, `the model gets {"model":"b","messages":[]}`, []string{"b", "c"}},
	} {
		for name, f := range modes(s.ref(c.route)) {
			out, err := f.Do(t.Context(), s.client, with(extproctest.Post(c.body), "x-attache-backend", "forged"), ok)
			if err != nil || out.String() != c.want {
				t.Errorf("%s, %s:\ngot  %v %v\nwant %s", c.name, name, out, err, c.want)
				continue
			}
			md, _ := out.Metadata[extprocsvc.MetadataNamespace].(map[string]any)
			backend, _ := md[extprocsvc.BackendKey].(string)
			chosen := backend[strings.LastIndex(backend, "/")+1:]
			if backend == "" {
				if c.to != nil || out.Rerouted {
					t.Errorf("%s, %s: nothing was chosen: %v", c.name, name, md)
				}
				continue
			}
			if !slices.Contains(c.to, chosen) || !out.Rerouted || out.Upstream.Header.Get("x-attache-backend") != "" {
				t.Errorf("%s, %s: chosen is %q, rerouted %v", c.name, name, backend, out.Rerouted)
			}
			r := s.cfg.Listeners[0].Routes[c.route]
			for _, b := range r.Backends {
				if b.Name == chosen && s.chains.ForRoute(r).Choice(b) != backend {
					t.Errorf("%s: %q is not the choice of %s", c.name, backend, b.Name)
				}
			}
		}
	}
}

func TestModelList(t *testing.T) {
	s := start(t, fakes.Build, extprocsvc.Options{}, services)
	get := extproctest.Message{Header: extproctest.Header{{":method", "GET"}, {":path", "/v1/models?x=y"}, {":authority", "h"}, {":scheme", "http"}}}
	const want = `the client gets 200 {"object":"list","data":[{"id":"big","object":"model","created":0,"owned_by":"attache"},{"id":"small","object":"model","created":0,"owned_by":"attache"}]}`
	if _, got := s.do(t, duplex(s.ref(3)), get); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestErrorsInTheClientsDialect(t *testing.T) {
	s := start(t, fakes.Build, extprocsvc.Options{}, services)
	const want = `the client gets 404 {"type":"error","error":{"type":"not_found_error","message":"the model does not exist or is not available here"}}`
	m := extproctest.Post(`{"messages":[]}`)
	m.Header[1][1] = "/v1/messages?beta=true"
	if _, got := s.do(t, duplex(s.ref(3)), m); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if _, got := s.do(t, duplex(s.ref(3)), with(extproctest.Post(`{"messages":[]}`), "anthropic-version", "2023-06-01")); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestCandidates(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, fakes.Build, extprocsvc.Options{}, `
processors:
- {name: say, type: fake, params: {reject: true}}
profiles:
- {name: engineers, inputStages: [{name: s, steps: [{name: say, params: {say: engineers}}]}]}
- {name: others, inputStages: [{name: s, steps: [{name: say, params: {say: others}}]}]}
binds:
- port: 3000
  listeners:
  - routes:
    - name: header
      matches: [{path: {exact: /0}}]
      policies: {extProc: {profiles: [{name: engineers, selector: {type: header, key: User-Role, values: [engineer]}}, {name: others, selector: {type: header, key: User-Role, operand: none, values: [guest]}}]}}
      backends: [{host: "h:1"}]
    - name: jwt
      matches: [{path: {exact: /1}}]
      policies: {extProc: {profiles: [{name: engineers, selector: {type: jwt, key: roles, values: [engineer]}}, {name: others}], authentication: {jwtSigningKeyFile: `+file+`, jwtSigningKeyType: ES256}}}
      backends: [{host: "h:1"}]
`)
	sign := func(method jwt.SigningMethod, key any, claims jwt.MapClaims) string {
		t.Helper()
		token, err := jwt.NewWithClaims(method, claims).SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return "Bearer " + token
	}
	other, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	engineer := jwt.MapClaims{"roles": []string{"a", "engineer"}}
	unauthenticated := `the client gets 401 {"error":{"message":"this route needs a valid bearer token","type":"authentication_error","param":null,"code":"invalid_token"}}`
	for _, c := range []struct {
		name    string
		route   int
		headers []string
		want    string
	}{
		{"header", 0, []string{"user-role", "engineer"}, rejection("engineers")},
		{"any of several", 0, []string{"user-role", "guest", "user-role", "engineer"}, rejection("engineers")},
		{"values are exact", 0, []string{"user-role", "Engineer"}, rejection("others")},
		{"none of them", 0, nil, rejection("others")},
		{"no profile", 0, []string{"user-role", "guest"}, failure(404, "no profile of this route is for this request", "no_profile")},
		{"claim", 1, []string{"authorization", sign(jwt.SigningMethodES256, key, engineer)}, rejection("engineers")},
		{"claim that is no list", 1, []string{"authorization", sign(jwt.SigningMethodES256, key, jwt.MapClaims{"roles": "engineer"})}, rejection("engineers")},
		{"another claim", 1, []string{"authorization", sign(jwt.SigningMethodES256, key, jwt.MapClaims{"role": "engineer"})}, rejection("others")},
		{"no token", 1, nil, unauthenticated},
		{"two tokens", 1, []string{"authorization", sign(jwt.SigningMethodES256, key, engineer), "authorization", "Bearer x"}, unauthenticated},
		{"another key", 1, []string{"authorization", sign(jwt.SigningMethodES256, other, engineer)}, unauthenticated},
		{"another algorithm", 1, []string{"authorization", sign(jwt.SigningMethodHS256, []byte("k"), engineer)}, unauthenticated},
		{"no algorithm", 1, []string{"authorization", sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, engineer)}, unauthenticated},
		{"expired", 1, []string{"authorization", sign(jwt.SigningMethodES256, key, jwt.MapClaims{"exp": 1})}, unauthenticated},
	} {
		m := extproctest.Post(`{"messages":[]}`)
		for i := 0; i < len(c.headers); i += 2 {
			m.Header = append(m.Header, [2]string{c.headers[i], c.headers[i+1]})
		}
		if _, got := s.do(t, duplex(s.ref(c.route)), m); got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.name, got, c.want)
		}
	}
}

// With clientHeaders: drop the backend gets what describes the body, and no
// more.
func TestDropHeaders(t *testing.T) {
	s := start(t, fakes.Build, extprocsvc.Options{}, `
processors: [{name: p, type: fake}]
profiles: [{name: q, inputStages: [{name: s, steps: [{name: p}]}]}]
binds: [{port: 1, listeners: [{routes: [{policies: {extProc: {profile: q, clientHeaders: drop, failureMode: failOpen}}, backends: [{host: "h:1"}]}]}]}]
`)
	if s.chains.ForRoute(s.cfg.Listeners[0].Routes[0]).FailOpen() {
		t.Error("while we are away, the headers would not be dropped")
	}
	m := with(extproctest.Post(`{"messages":[]}`), "authorization", "Bearer x", "cookie", "a=b", "cookie", "c=d", "x-mine", "y", "x-request-id", "id", "x-envoy-a", "b")
	m.Header = append(m.Header, [2]string{"x-mine", "z"})
	for name, f := range modes(s.ref(0)) {
		out, err := f.Do(t.Context(), s.client, m, ok)
		if err != nil || out.Upstream == nil {
			t.Fatalf("%s: %v %v", name, out, err)
		}
		var names []string
		for _, kv := range out.Upstream.Header {
			names = append(names, kv[0])
		}
		slices.Sort(names)
		got := strings.ReplaceAll(strings.Join(slices.Compact(names), " "), "content-length ", "")
		if want := ":authority :method :path :scheme content-type x-envoy-a x-request-id"; got != want {
			t.Errorf("%s: the backend gets %s, want %s", name, got, want)
		}
	}
}

// A route's timeout bounds the stages too.
func TestLimit(t *testing.T) {
	s := start(t, fakes.Build, extprocsvc.Options{}, `
processors: [{name: p, type: fake, timeout: 1h, params: {do: wait}}]
profiles: [{name: q, inputStages: [{name: s, steps: [{name: p}]}]}]
binds: [{port: 1, listeners: [{routes: [{policies: {timeout: {requestTimeout: 20ms}, extProc: {profile: q}}, backends: [{host: "h:1"}]}]}]}]
`)
	want := failure(504, "a processor of the gateway took too long: p", "processor_timeout")
	if _, got := s.do(t, duplex(s.ref(0)), extproctest.Post(`{"messages":[]}`)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestExplain(t *testing.T) {
	s := start(t, fakes.Build, extprocsvc.Options{}, services)
	out, _ := s.do(t, duplex(s.ref(0)), extproctest.Post(`{"messages":[]}`))
	md := out.Metadata[extprocsvc.MetadataNamespace].(map[string]any)
	id, _ := md["id"].(string)
	r, found := s.Explain(id)
	if !found || r.Verdict != extprocsvc.Passed || r.Profile != "code" || r.Service != "codellama" || r.Backend != "codellama" || len(r.Steps) != 1 ||
		!slices.Equal(r.Tags, []string{"language:code", "language:en"}) || r.Time.IsZero() {
		t.Errorf("%v %+v", found, r)
	}
	if md["verdict"] != "passed" || md["service"] != "codellama" || md["profile"] != "code" || md["chain"] != s.ref(0) || len(md["tags"].([]any)) != 2 {
		t.Errorf("%v", md)
	}
	out, _ = s.do(t, duplex(s.ref(2)), extproctest.Post(`{"messages":[]}`))
	refusedID := ""
	for _, h := range out.Immediate.GetHeaders().GetSetHeaders() {
		if h.GetHeader().GetKey() == extprocsvc.IDHeader {
			refusedID = string(h.GetHeader().GetRawValue())
		}
	}
	if r, found := s.Explain(refusedID); !found || r.Verdict != extprocsvc.Failed || r.Reason != "no_service" {
		t.Errorf("%q %v %+v", refusedID, found, r)
	}
	if list := s.Latest(5); len(list) != 2 || list[0].ID != refusedID || list[1].ID != id {
		t.Errorf("%+v", list)
	}
	if _, found := s.Explain("x"); found {
		t.Error("found what is not there")
	}
}
