package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/attache-dev/attache/envoy"
	"github.com/attache-dev/attache/envoy/envoytest"
)

// refusalsFile is where they are published.
const refusalsFile = "../docs/refusals.md"

const refusalsHead = `# What only an Envoy can notice

Made by ` + "`go test ./e2e -run TestRefusals -update`" + `: each line was an edit of a running
` + "`attache serve`" + `, with a real Envoy that could not have it. The test fails if a line is
not true any more. The line of the file is the one that ` + "`attache status`" + ` tells; the
words are its as well. What becomes of such an edit is told in
[operation.md](operation.md#what-an-envoy-refuses).

| What is the matter | The line | What ` + "`attache status`" + ` says of it | The edit |
|---|---|---|---|
`

// A refusable is an edit that is good for us, and an Envoy that does not take it.
type refusable struct {
	name string
	// edit is put behind the only route of the file.
	edit      string
	flags     []string            // of serve
	bootstrap func(string) string // what this Envoy has that others have not
	place     string              // the path in the file
	says      string              // how it is told
	content   bool                // the edit is taken back as a whole
}

// TestRefusals makes every refusal that only an Envoy can think of, and finds where
// it comes from.
func TestRefusals(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	same := func(text string) string { return text }
	var rows strings.Builder
	for _, r := range []refusable{
		{
			name: "a port that another program has", place: "binds[1]",
			edit:      "- port: " + port + "\n  listeners: [{}]\n",
			bootstrap: same,
			says:      "cannot bind [::]:" + port + ": address already in use",
		},
		{
			name: "an address that the machine does not have", place: "binds[1]",
			edit:      "- port: " + port + "\n  address: 192.0.2.1\n  listeners: [{}]\n",
			bootstrap: same,
			says:      "cannot bind 192.0.2.1:" + port + ": cannot assign requested address",
		},
		{
			name: "a regular expression, and an Envoy without the limit of our bootstrap", place: "binds[0].listeners[0].routes[1]",
			edit:      "    - matches: [{path: {regex: '/\\pL{60}'}}]\n",
			bootstrap: func(text string) string { return strings.Replace(text, "re2.max_program_size", "no.such.setting", 2) },
			says:      "regex (withheld) RE2 program size of 425 > max program size of 100 set for the error level threshold. Increase configured max program size if necessary.",
			content:   true,
		},
		{
			name: "a backend over TLS, and no `--trusted-ca` on Envoy's machine", place: "binds[0].listeners[0].routes[1].backends[0]",
			edit:      "    - backends:\n      - {host: \"127.0.0.1:443\", policies: {backendTLS: {hostname: a.test}}}\n",
			flags:     []string{"--trusted-ca", "/no/such/file"},
			bootstrap: same,
			says:      "Error adding/updating cluster(s) 127.0.0.1:443|tls|name:a.test: Invalid path: /no/such/file",
			content:   true,
		},
	} {
		status := refused(t, r)
		what := "taken back as a whole"
		if !r.content {
			what = "the rest of it is live; it is tried again every 5 s"
		}
		says := strings.ReplaceAll(status, port, "3001")
		fmt.Fprintf(&rows, "| %s | `%s` | `%s` | %s |\n", r.name, r.place, strings.ReplaceAll(says, "|", "\\|"), what)
	}
	got := refusalsHead + rows.String()
	if *update {
		if err := os.WriteFile(refusalsFile, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(refusalsFile); err != nil || string(want) != got {
		t.Errorf("%s is not what has happened (make update rewrites it): %v\n%s", refusalsFile, err, got)
	}
}

// refused makes the edit, waits until the Envoy has refused it, and returns what
// is said of it.
func refused(t *testing.T, r refusable) (says string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "refuse-") // short enough for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &scene{t: t, dir: dir}
	s.port[0] = strconv.Itoa(envoytest.Ports(t, 1)[0])
	up := modelServer(t, "a")
	text := "binds:\n- port: " + s.port[0] + "\n  listeners:\n  - routes:\n    - matches: [{path: {pathPrefix: /v1}}]\n      backends: [{host: \"" + up + "\"}]\n"
	s.vars = strings.NewReplacer()
	s.write(text)
	s.serve(0, 1, nil, r.flags...)
	bootstrap, err := envoy.Bootstrap(envoy.BootstrapOptions{XDS: s.socket("xds", 0)})
	if err != nil {
		t.Fatal(err)
	}
	s.envoy = s.start(nil, envoyPath(t), append([]string{"--config-yaml", r.bootstrap(string(bootstrap))}, envoy.Flags...)...)
	s.until("live", s.answer(0, "any", 200))
	s.write(text + r.edit)

	type found struct {
		Line          int
		Path, Message string
	}
	line := strings.Count(text, "\n") + 1
	if strings.Contains(r.place, "backends[") {
		line++
	}
	s.until("refused: "+r.name, func() error {
		out, err := exec.Command(attache, "status", "--json", "--admin", "unix:"+filepath.Join(dir, "admin0")).Output()
		var status struct {
			Config struct {
				Synchronized, RefusedByEnvoy bool
				Mistakes                     []found
			}
			XDS struct {
				Nodes []struct {
					Acknowledged bool
					Nacks        []struct {
						Place, Message string
						Content        bool
					}
				}
			}
		}
		if json.Unmarshal(out, &status) != nil || len(status.XDS.Nodes) != 1 {
			return fmt.Errorf("%s%v", out, err)
		}
		node, place := status.XDS.Nodes[0], fmt.Sprintf("attache.yaml:%d:", line)
		switch {
		case r.content && len(status.Config.Mistakes) == 1 && status.Config.RefusedByEnvoy && node.Acknowledged:
			m := status.Config.Mistakes[0]
			if m.Line != line || m.Path != r.place {
				t.Fatalf("%s: found at line %d, %s, want %d, %s", r.name, m.Line, m.Path, line, r.place)
			}
			_, says, _ = strings.Cut(m.Message, ": ")
		case !r.content && len(node.Nacks) == 1 && status.Config.Synchronized && !node.Nacks[0].Content:
			n := node.Nacks[0]
			if !strings.HasPrefix(n.Place, place) || !strings.HasSuffix(n.Place, ": "+r.place) {
				t.Fatalf("%s: found at %s, want %s %s", r.name, n.Place, place, r.place)
			}
			says = n.Message
		default:
			return fmt.Errorf("%s%v", out, err)
		}
		if says != r.says {
			t.Fatalf("%s: told as %q, want %q", r.name, says, r.says)
		}
		return nil
	})
	s.until("what was before serves", s.answer(0, "any", 200))
	if strings.Contains(r.says, "address already in use") {
		statusExample(t, s, r)
	}
	s.envoy.end(syscall.SIGKILL)
	s.attaches[0].end(syscall.SIGTERM)
	return says
}

// statusExample waits until the whole status is the example of the documentation,
// but for what differs from run to run. While the edit is tried again it is another
// one for a moment.
func statusExample(t *testing.T, s *scene, r refusable) {
	t.Helper()
	want := ""
	for _, b := range blocks(t) {
		if b.file == "../docs/operation.md" && b.language == "json" && strings.Contains(b.text, `"xds"`) {
			want = b.text
		}
	}
	taken := regexp.MustCompile(`\d+`).FindString(r.edit)
	s.until("the status is that of docs/operation.md", func() error {
		out, _ := exec.Command(attache, "status", "--json", "--admin", "unix:"+filepath.Join(s.dir, "admin0")).Output()
		got := strings.NewReplacer(s.port[0], "3000", taken, "3001").Replace(string(out))
		for pattern, as := range map[string]string{
			`"\d{4}-\d\d-\d\dT[^"]*"`:   `"2026-01-02T03:04:05Z"`,
			`"[0-9a-f]{16}"`:            `"0123456789abcdef"`,
			`(?m)^  "version": "[^"]*"`: `  "version": "1.0.0"`,
		} {
			got = regexp.MustCompile(pattern).ReplaceAllString(got, as)
		}
		if got != want {
			return fmt.Errorf("got\n%s", got)
		}
		return nil
	})
}
