package extprocsvc_test

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/extprocsvc"
	"github.com/attache-dev/attache/extprocsvc/extproctest"
)

func alone(fallback string) func(*config.Config) (*extprocsvc.Chains, error) {
	return func(c *config.Config) (*extprocsvc.Chains, error) { return extprocsvc.BuildAlone(c, fallback) }
}

// asking is a stream of somebody's Envoy that names a profile, a route, or none.
func asking(profile, route string) extproctest.Filter {
	f := extproctest.Filter{Request: extproctest.FullDuplex, Trailers: true, RouteName: route}
	if profile != "" {
		f.Metadata = []string{extprocsvc.ProfileKey, profile}
	}
	return f
}

const (
	brief     = `the model gets {"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"hi"}]}`
	forbidden = "the client gets 422"
	hello     = `{"messages":[{"role":"user","content":"hi"}]}`
	twice     = `
binds:
- port: 3000
  listeners:
  - routes:
    - {name: stop, policies: {extProc: {profile: closed}}, backends: [{host: "127.0.0.1:1"}]}
    - {name: plain, matches: [{path: {exact: /p}}], backends: [{host: "127.0.0.1:1"}]}
    - {name: same, matches: [{path: {exact: /s}}], policies: {extProc: {profile: default}}, backends: [{host: "127.0.0.1:1"}]}
- port: 3001
  listeners:
  - routes:
    - {name: same, policies: {extProc: {profile: closed}}, backends: [{host: "127.0.0.1:1"}]}
`
)

func TestWhoseProfileRunsAlone(t *testing.T) {
	const (
		none    = "error: rpc error: code = InvalidArgument desc = a stream names no profile, and there is no default"
		unknown = "error: rpc error: code = NotFound desc = a stream names a profile that the file does not have"
		several = "error: rpc error: code = FailedPrecondition desc = a stream tells a route name that several routes of the file have"
	)
	for _, c := range []struct {
		name, file, fallback string
		profile, route       string
		want                 string
	}{
		{"by metadata", profiles, "", "closed", "", forbidden},
		{"by metadata, against the route and the default", profiles + twice, "closed", "default", "stop", brief},
		{"by route", profiles + twice, "", "", "stop", forbidden},
		{"by route, against the default", profiles + twice, "default", "", "stop", forbidden},
		{"a route without a profile has the default", profiles + twice, "default", "", "plain", brief},
		{"a route of somebody else has the default", profiles + twice, "default", "", "other", brief},
		{"the default", profiles, "default", "", "", brief},
		{"the only one", strings.SplitAfter(profiles, "{name: rules}]}\n")[0], "", "", "", brief},
		{"none", profiles, "", "", "", none},
		{"none of the routes", profiles + twice, "", "", "other", none},
		{"unknown", profiles, "default", "nobody", "", unknown},
		{"two routes of one name", profiles + twice, "default", "", "same", several},
	} {
		t.Run(c.name, func(t *testing.T) {
			var log lines
			s := start(t, alone(c.fallback), extprocsvc.Options{Log: slog.New(slog.NewTextHandler(&log, nil))}, c.file)
			for range 2 {
				if _, got := s.do(t, asking(c.profile, c.route), extproctest.Post(hello)); !strings.HasPrefix(got, c.want) {
					t.Errorf("got %s, want %s", got, c.want)
				}
			}
			told := strings.Count(log.String(), "level=ERROR")
			if isError := strings.HasPrefix(c.want, "error"); isError && told != 1 || !isError && told != 0 {
				t.Errorf("logged %d times:\n%s", told, log.String())
			} else if isError && (!strings.Contains(log.String(), "x-attache-profile") || s.settled().Errors != 2) {
				t.Errorf("%+v\n%s", s.settled(), log.String())
			}
		})
	}
}

// The services of a profile are names to Envoy's routes, by metadata that only we
// write.
func TestServicesAlone(t *testing.T) {
	s := start(t, alone(""), extprocsvc.Options{}, strings.SplitAfter(profiles, "{name: rules}]}\n")[0]+`
  services:
  - {name: small, selector: {type: input.model, values: [tiny]}}
  - {name: large}
`)
	c := s.chains.ForProfile("default")
	if !c.Chooses() || s.chains.ForProfile("nobody") != nil {
		t.Errorf("%+v", c)
	}
	for model, want := range map[string]string{"tiny": "alone/default/small", "big": "alone/default/large"} {
		out, got := s.do(t, asking("", ""), extproctest.Post(`{"model":"`+model+`","messages":[]}`))
		ns, _ := out.Metadata[extprocsvc.MetadataNamespace].(map[string]any)
		if !out.Rerouted || ns[extprocsvc.BackendKey] != want {
			t.Errorf("%s: %v, rerouted %v, %s", model, out.Metadata, out.Rerouted, got)
		}
	}
}

// A profile keeps its rule for models and its response stages, which it has not
// where a 404 is all that comes behind it.
func TestProfilesAreWholeAlone(t *testing.T) {
	s := start(t, alone(""), extprocsvc.Options{}, strings.SplitAfter(profiles, "{name: rules}]}\n")[0]+"  models: [{name: big}]\n")
	if _, got := s.do(t, asking("", ""), extproctest.Post(hello)); !strings.HasPrefix(got, "the client gets 404") {
		t.Error(got)
	}
}

func TestMistakesAlone(t *testing.T) {
	for _, c := range []struct{ file, fallback, want string }{
		{profiles, "nobody", "--profile nobody: the file has no profile of this name"},
		{"binds: []", "", "the file has no profiles"},
	} {
		if _, err := extprocsvc.BuildAlone(parse(t, c.file), c.fallback); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
}

// An edit is for streams that begin from now on, and what a profile was is
// forgotten.
func TestEditsAlone(t *testing.T) {
	s := start(t, alone("default"), extprocsvc.Options{}, profiles)
	next, err := extprocsvc.BuildAlone(parse(t, strings.ReplaceAll(profiles, "Be brief.", "Be kind.")), "default")
	if err != nil {
		t.Fatal(err)
	}
	s.Install(next)
	s.Forget(0)
	if _, got := s.do(t, asking("", ""), extproctest.Post(hello)); got != strings.ReplaceAll(brief, "brief", "kind") {
		t.Error(got)
	}
	if n := s.Stats().Chains; n != 2 {
		t.Errorf("%d chains", n)
	}
}

func TestMaxStreams(t *testing.T) {
	s := start(t, alone("default"), extprocsvc.Options{MaxStreams: 1}, profiles)
	first, err := s.client.Process(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	until(func() bool { return s.Stats().Open == 1 })
	if _, got := s.do(t, asking("", ""), extproctest.Post(hello)); got != "error: rpc error: code = ResourceExhausted desc = too many streams are open" {
		t.Error(got)
	}
	if err := first.CloseSend(); err != nil {
		t.Fatal(err)
	}
	until(func() bool { return s.Stats().Open == 0 })
	if _, got := s.do(t, asking("", ""), extproctest.Post(hello)); got != brief {
		t.Error(got)
	}
	if n := s.Stats().Crowded; n != 1 {
		t.Errorf("%d", n)
	}
}
