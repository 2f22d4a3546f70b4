package translator

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	filterchainv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/filter_chain/v3"
	headermutationv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_mutation/v3"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"gopkg.in/yaml.v3"

	"github.com/attache-dev/attache/config"
)

var update = flag.Bool("update", false, "rewrite the want sections of the goldens")

// TestGolden reads testdata/*.txtar: prose, config.yaml, perhaps env, chain (see
// testOptions) and files that config.yaml names, and what it becomes:
// want/listeners, want/routes, want/clusters, want/secrets (only those that the
// archive has are compared), or want.err.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no goldens: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := golden(t, archive)
			wants := 0
			for i, f := range archive.Files {
				if !strings.HasPrefix(f.Name, "want") {
					continue
				}
				wants++
				if *update {
					archive.Files[i].Data = []byte(got[f.Name])
				} else if diff := cmp.Diff(string(f.Data), got[f.Name]); diff != "" {
					t.Errorf("%s: want -, got +:\n%s", f.Name, diff)
				}
			}
			if wants == 0 {
				t.Error("the archive has no want section")
			}
			if *update {
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func golden(t *testing.T, archive *txtar.Archive) map[string]string {
	sections := map[string]string{}
	for _, f := range archive.Files {
		sections[f.Name] = string(f.Data)
	}
	options := testOptions(strings.Fields(sections["chain"])...)
	c, err := config.Parse("config.yaml", []byte(sections["config.yaml"]), config.Options{
		LookupEnv: func(name string) (string, bool) {
			for line := range strings.Lines(sections["env"]) {
				if n, v, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "="); ok && n == name {
					return v, true
				}
			}
			return "", false
		},
		ReadFile: func(path string) ([]byte, error) {
			if text, ok := sections[filepath.Base(path)]; ok {
				return []byte(text), nil
			}
			return nil, errors.New("not in the archive")
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	r, err := Translate(c, options)
	if err != nil {
		return map[string]string{"want.err": strings.ReplaceAll(err.Error(), workingDirectory(t), "/dir") + "\n"}
	}
	text, err := r.YAML()
	if err != nil {
		t.Fatal(err)
	}
	again, err := Translate(c, options)
	if err != nil {
		t.Fatal(err)
	}
	sameBytes(t, r, again)
	chainsNamed(t, r)

	text = bytes.ReplaceAll(text, []byte(workingDirectory(t)), []byte("/dir"))
	var doc map[string]yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for name, node := range doc {
		var b strings.Builder
		enc := yaml.NewEncoder(&b)
		enc.SetIndent(2)
		if err := enc.Encode(&node); err != nil {
			t.Fatal(err)
		}
		got["want/"+name] = b.String()
	}
	return got
}

func workingDirectory(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// testOptions stand in for the ext_proc service: a chain for each profile and
// each model override. With "chooses" those of routes with several backends
// choose, and with "responses" all read responses.
func testOptions(words ...string) Options {
	responses := slices.Contains(words, "responses")
	return Options{
		ExtProc: config.Target{Host: "127.0.0.1", Port: 18001},
		RouteChain: func(r *config.Route) (c *Chain) {
			if r.ExtProc != nil && len(r.ExtProc.Profiles) > 0 {
				c = &Chain{Ref: "profile/" + r.ExtProc.Profiles[0].Profile.Name + "@hash", ReadsBody: true, ReadsResponse: responses, FailOpen: r.ExtProc.FailOpen}
			}
			for _, b := range r.Backends {
				if b.AI != nil && b.AI.Model != "" {
					c = &Chain{Ref: "route/" + r.Name + "@hash", ReadsBody: true, ReadsResponse: responses}
				}
			}
			if c != nil && slices.Contains(words, "chooses") && len(r.Backends) > 1 {
				c.Choice = func(b *config.Backend) string { return "route/" + r.Name + "/" + b.Name }
			}
			return c
		},
		GatewayChain: func(l *config.Listener) *Chain {
			if e := l.Gateway.ExtProc; e != nil && len(e.Profiles) > 0 {
				return &Chain{Ref: "gateway/" + l.Hostname + "@hash", ReadsBody: true, ReadsResponse: responses, FailOpen: e.FailOpen}
			}
			return nil
		},
		ListenerChain: func(l *config.Listener) *Chain {
			if l.ExtProc != nil && len(l.ExtProc.Profiles) > 0 {
				return &Chain{Ref: "profile/" + l.ExtProc.Profiles[0].Profile.Name + "@hash", ReadsBody: true}
			}
			return nil
		},
	}
}

// sameBytes: two translations of one configuration are equal byte by byte.
func sameBytes(t *testing.T, a, b *Resources) {
	t.Helper()
	all := func(r *Resources) []proto.Message {
		return append(append(append(messages(r.Listeners), messages(r.Routes)...), messages(r.Clusters)...), messages(r.Secrets)...)
	}
	x, y := all(a), all(b)
	if len(x) != len(y) {
		t.Fatalf("%d resources, then %d", len(x), len(y))
	}
	det := proto.MarshalOptions{Deterministic: true}
	for i := range x {
		p, err1 := det.Marshal(x[i])
		q, err2 := det.Marshal(y[i])
		if err1 != nil || err2 != nil || string(p) != string(q) {
			t.Errorf("a second translation gave other bytes for %v", x[i].ProtoReflect().Descriptor().Name())
		}
	}
}

// chainsNamed: where a filter takes the chain from the route, the route has one.
// Without it, the service would know no chain, and who fails open would pass.
func chainsNamed(t *testing.T, r *Resources) {
	t.Helper()
	for _, rc := range r.Routes {
		for _, vh := range rc.VirtualHosts {
			for _, route := range vh.Routes {
				if len(route.Match.DynamicMetadata) > 0 {
					continue // no request finds it first
				}
				filters := map[string]string{} // of both levels; a later one replaces
				for _, packed := range []*anypb.Any{vh.TypedPerFilterConfig[policiesFilter], route.TypedPerFilterConfig[policiesFilter]} {
					chain := &filterchainv3.FilterChainConfigPerRoute{}
					if err := packed.UnmarshalTo(chain); packed != nil && err != nil {
						t.Fatal(err)
					}
					for _, f := range chain.GetFilterChain().GetFilters() {
						filters[f.Name] = string(f.TypedConfig.Value)
					}
				}
				fromRoute := slices.ContainsFunc(slices.Collect(maps.Values(filters)), func(f string) bool { return strings.Contains(f, chainOfRoute) })
				named := route.Metadata.GetFilterMetadata()[MetadataNamespace].GetFields()[ChainKey].GetStringValue() != ""
				if fromRoute != named {
					t.Errorf("route %s of %s %s: a filter takes the chain from the route: %t; it has one: %t", route.Name, rc.Name, vh.Name, fromRoute, named)
				}
			}
		}
	}
}

// TestSharedChain: whatever a virtual host carries, each of its routes runs the
// filters that are meant for it, in their order.
func TestSharedChain(t *testing.T) {
	const profile, cors = "extProc: {profile: p}", "cors: {allowOrigins: ['*']}"
	for _, c := range []struct {
		alike, different int
		carried          bool // by the virtual host
	}{{1, 0, false}, {2, 0, true}, {99, 1, false}, {100, 1, true}, {200, 199, true}, {200, 200, false}, {500, 0, true}} {
		text := "processors: [{name: stop, type: reject}]\nprofiles: [{name: p, inputStages: [{name: s, steps: [{name: stop}]}]}]\nbinds:\n- port: 3000\n  listeners:\n  - routes:\n"
		want := map[string]string{"not-found": ""}
		for i := range c.alike + c.different {
			policies, filters := profile, "route.extProc"
			switch {
			case i < c.alike:
			case i%2 == 0:
				policies, filters = "", ""
			default:
				policies, filters = cors+", "+profile, "route.cors route.extProc"
			}
			text += fmt.Sprintf("    - {name: r%d, matches: [{path: {exact: /%d}}], policies: {%s}, backends: [{host: '127.0.0.1:1'}]}\n", i, i, policies)
			want[fmt.Sprintf("listener0/r%d", i)] = filters
		}
		cfg, err := config.Parse("c.yaml", []byte(text), config.Options{})
		if err != nil {
			t.Fatal(err)
		}
		r, err := Translate(cfg, testOptions())
		if err != nil {
			t.Fatal(err)
		}
		chainsNamed(t, r)
		vh := r.Routes[0].VirtualHosts[0]
		if carried := vh.TypedPerFilterConfig != nil; carried != c.carried {
			t.Errorf("%d routes alike beside %d: the virtual host carries their chain: %t", c.alike, c.different, carried)
		}
		got := map[string]string{}
		for _, route := range vh.Routes {
			got[route.Name] = strings.Join(effectiveFilters(t, vh, route), " ")
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%d routes alike beside %d: want -, got +:\n%s", c.alike, c.different, diff)
		}
	}
}

// effectiveFilters are the names of those that Envoy runs for a route, without
// those that do nothing: a filter of the route takes the place behind the virtual
// host's, and replaces one of the same name.
func effectiveFilters(t *testing.T, vh *routev3.VirtualHost, route *routev3.Route) (names []string) {
	t.Helper()
	nothing := filter("", &headermutationv3.HeaderMutation{Mutations: &headermutationv3.Mutations{}}).TypedConfig
	var filters []*corev3.TypedExtensionConfig
	for _, packed := range []*anypb.Any{vh.TypedPerFilterConfig[policiesFilter], route.TypedPerFilterConfig[policiesFilter]} {
		chain := &filterchainv3.FilterChainConfigPerRoute{}
		if err := packed.UnmarshalTo(chain); packed != nil && err != nil {
			t.Fatal(err)
		}
		for _, f := range chain.GetFilterChain().GetFilters() {
			filters = slices.DeleteFunc(filters, func(o *corev3.TypedExtensionConfig) bool { return o.Name == f.Name })
			filters = append(filters, f)
		}
	}
	for _, f := range filters {
		if !proto.Equal(f.TypedConfig, nothing) {
			names = append(names, f.Name)
		}
	}
	return names
}

// Every resource has a place in the file, and no name is used twice.
func TestPlacesAndNames(t *testing.T) {
	c, err := config.Parse("c.yaml", manyRoutes(20), config.Options{LookupEnv: func(name string) (string, bool) { return "k", name == "KEY" }})
	if err != nil {
		t.Fatal(err)
	}
	r, err := Translate(c, testOptions())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	name := func(n string) {
		if seen[n] {
			t.Errorf("two resources are called %s", n)
		}
		seen[n] = true
		if r.Places[n] == "" {
			t.Errorf("%s has no place", n)
		}
	}
	for _, x := range r.Listeners {
		name(x.Name)
	}
	for _, x := range r.Routes {
		name(x.Name)
	}
	for _, x := range r.Clusters {
		name(x.Name)
	}
	for _, x := range r.Secrets {
		name(x.Name)
	}
	if len(seen) < 24 {
		t.Errorf("only %d resources", len(seen))
	}
}

func manyRoutes(n int) []byte {
	var b strings.Builder
	b.WriteString("processors:\n- {name: rules, type: system-prompt, params: {modify: true, rules: [x]}}\nprofiles:\n- {name: p, inputStages: [{name: s, steps: [{name: rules}]}]}\nbinds:\n- port: 3000\n  listeners:\n  - routes:\n")
	for i := range n {
		fmt.Fprintf(&b, `    - name: route-%d
      hostnames: [host-%d.example.com]
      matches: [{path: {pathPrefix: /api/%d}, method: POST}]
      policies: {extProc: {profile: p}, backendAuth: {key: "$KEY"}}
      backends: [{host: "127.0.0.1:%d"}]
`, i, i%100, i, 1000+i%5000)
	}
	return []byte(b.String())
}

// BenchmarkTranslate reports what goes over the wire for each route as well.
func BenchmarkTranslate(b *testing.B) {
	for _, n := range []int{10, 1000, 10000} {
		b.Run(fmt.Sprintf("%droutes", n), func(b *testing.B) {
			c := parseMany(b, n)
			b.ReportAllocs()
			var r *Resources
			for b.Loop() {
				var err error
				if r, err = Translate(c, testOptions()); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(wireBytes(r))/float64(n), "wire-B/route")
		})
	}
}

// Ten times as many routes take ten times as much of everything, not more.
func TestTranslateIsLinear(t *testing.T) {
	cost := func(n int) (allocs float64, wire int) {
		c := parseMany(t, n)
		var r *Resources
		allocs = testing.AllocsPerRun(2, func() { r, _ = Translate(c, testOptions()) })
		return allocs, wireBytes(r)
	}
	allocs, wire := cost(500)
	moreAllocs, moreWire := cost(5000)
	if moreAllocs > 11*allocs || moreWire > 11*wire {
		t.Errorf("500 routes: %.0f allocations and %d bytes; 5,000 routes: %.0f and %d", allocs, wire, moreAllocs, moreWire)
	}
}

func parseMany(tb testing.TB, n int) *config.Config {
	c, err := config.Parse("bench.yaml", manyRoutes(n), config.Options{LookupEnv: func(name string) (string, bool) { return "k", name == "KEY" }})
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func wireBytes(r *Resources) (sum int) {
	for _, x := range r.Listeners {
		sum += proto.Size(x)
	}
	for _, x := range r.Routes {
		sum += proto.Size(x)
	}
	for _, x := range r.Clusters {
		sum += proto.Size(x)
	}
	for _, x := range r.Secrets {
		sum += proto.Size(x)
	}
	return sum
}
