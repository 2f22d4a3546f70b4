package e2e

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/attache-dev/attache/envoy/envoytest"
)

var (
	randomEdits = flag.Int("edits", 30, "how many edits TestRandomEdits makes")
	randomSeed  = flag.Uint64("seed", 1, "what TestRandomEdits makes them of")
)

// draft is the file that random edits make. Its routes are told apart by a header,
// and each answers with the number of the edit that changed it last.
type draft struct {
	routes  []*draftRoute
	swapped bool // the ports have each other's routes
	extra   bool // there is one more listener
	rules   int  // of the chain, each a message more
	front   int  // the same of a chain that all requests of a listener run through
	names   int  // counts what was renamed
	crossed bool // two named backends have each other's names
}

type draftRoute struct {
	key     int
	name    string
	present bool
	port    int      // 0 or 1, before ports are swapped
	named   bool     // in the listener with a hostname
	to      []string // upstreams: a, b, c, the named first and second, byname, tls
	policy  string   // none, chain, open, guard
	note    bool
	extras  string // policies that change no answer
}

// expected is what one version of a route answers at one port, under one host.
type expected struct {
	edit     int
	present  bool
	to       []string
	messages int
	note     string
	reads    *wording
}

// spot is where a client asks.
type spot struct {
	key, port int
	named     bool
}

// ledger is what every spot may answer, and what it was seen to answer.
type ledger struct {
	mu       sync.Mutex
	versions map[spot][]expected
	seen     map[spot]int // the latest version that somebody has seen
}

const draftRoutes = 6

func (r *draftRoute) expect(d *draft, edit int, at spot) expected {
	port := r.port
	if d.swapped {
		port = 1 - port
	}
	if !r.present || port != at.port || r.named != at.named {
		return expected{edit: edit}
	}
	e := expected{edit: edit, present: true, messages: 1, reads: spoken}
	for _, up := range r.to {
		switch {
		case up == "first" && d.crossed || up == "second" && !d.crossed:
			up = "b"
		case up == "first" || up == "second" || up == "byname":
			up = "a"
		}
		e.to = append(e.to, up)
	}
	if at.named {
		e.messages += d.front
	}
	switch r.policy {
	case "chain", "open":
		e.messages += d.rules
	case "guard":
		e.reads = masked
	}
	if r.note {
		e.note = "hello"
	}
	return e
}

// mutate makes one edit, and returns the keys of the routes that it changes.
func (d *draft) mutate(r *rand.Rand) (what string, changed []int) {
	all := []int{}
	for key := range draftRoutes {
		all = append(all, key)
	}
	i := r.IntN(len(d.routes))
	one := d.routes[i]
	just := []int{one.key}
	switch r.IntN(20) {
	case 0, 1:
		one.present = !one.present
		return "add or remove", just
	case 2:
		j := r.IntN(len(d.routes))
		d.routes[i], d.routes[j] = d.routes[j], d.routes[i]
		return "reorder", nil
	case 3:
		d.names++
		one.name = fmt.Sprintf("renamed-%d", d.names)
		return "rename", nil
	case 4, 5, 6:
		pool := []string{"a", "b", "c", "first", "second", "byname", "tls"}
		r.Shuffle(len(pool), func(i, j int) { pool[i], pool[j] = pool[j], pool[i] })
		one.to = slices.Clone(pool[:1+r.IntN(3)])
		return "backends", just
	case 7, 8, 9:
		one.policy = []string{"none", "chain", "open", "guard"}[r.IntN(4)]
		return "policy", just
	case 10:
		one.note = !one.note
		return "note", just
	case 11:
		one.extras = []string{"", ", timeout: {requestTimeout: 1h}", ", retry: {attempts: 2, codes: [599]}", `, cors: {allowOrigins: ["*"]}`}[r.IntN(4)]
		return "extras", just
	case 12:
		one.named = !one.named
		return "listener", just
	case 13:
		one.port = 1 - one.port
		return "port", just
	case 14:
		d.swapped = !d.swapped
		return "swap ports", all
	case 15:
		d.extra = !d.extra
		return "extra listener", nil
	case 16:
		d.rules = 1 + r.IntN(3)
		return "params", all
	case 17:
		d.front = r.IntN(3)
		return "front", all
	case 18:
		d.names++
		return "rename profiles", all
	default:
		d.crossed = !d.crossed
		return "swap the names of backends", all
	}
}

func rulesOf(n int) string { return strings.Repeat("Rule., ", n) }

// text is the file.
func (d *draft) text(stamp []int, ports []string) string {
	var b strings.Builder
	chain, guard := fmt.Sprintf("chain-%d", d.names), fmt.Sprintf("guard-%d", d.names)
	fmt.Fprintf(&b, `processors:
- {name: rules, type: system-prompt, params: {modify: true, rules: [%s]}}
- {name: front, type: system-prompt, params: {modify: true, rules: [%s]}}
- {name: words, type: external, config: {endpoint: "http://$PROCESSOR", namespace: labs, version: 1}}
- {name: hide, type: data-security, params: {modify: true, action: mask, matchers: [email]}}
profiles:
- {name: %s, inputStages: [{name: s, steps: [{name: rules}, {name: words}]}]}
- {name: %s, responseStages: [{name: s, steps: [{name: hide}]}]}
- {name: front, inputStages: [{name: s, steps: [{name: front}]}]}
`, rulesOf(d.rules), rulesOf(max(1, d.front)), chain, guard)
	first, second := "$A", "$B"
	if d.crossed {
		first, second = second, first
	}
	fmt.Fprintf(&b, "backends:\n- {name: first, host: %q}\n- {name: second, host: %q}\nbinds:\n", first, second)
	for i, port := range ports[:2] {
		of := i
		if d.swapped {
			of = 1 - i
		}
		fmt.Fprintf(&b, "- port: %s\n  listeners:\n", port)
		for _, named := range []bool{true, false} {
			if named {
				b.WriteString("  - hostname: x.test\n")
				if d.front > 0 {
					b.WriteString("    policies: {extProc: {profile: front}}\n")
				}
				b.WriteString("    routes:\n")
			} else {
				b.WriteString("  - routes:\n")
			}
			n := 0
			for _, r := range d.routes {
				if r.present && r.port == of && r.named == named {
					n++
					r.write(&b, stamp[r.key], chain, guard)
				}
			}
			if n == 0 {
				b.WriteString("    - {name: none, matches: [{path: {exact: /none}}], backends: [{host: \"$A\"}]}\n")
			}
		}
	}
	if d.extra {
		fmt.Fprintf(&b, "- port: %s\n  listeners: [{routes: [{backends: [{host: \"$A\"}]}]}]\n", ports[2])
	}
	return b.String()
}

func (r *draftRoute) write(b *strings.Builder, stamp int, chain, guard string) {
	fmt.Fprintf(b, "    - name: %s\n      matches: [{headers: [{name: x-route, value: {exact: r%d}}]}]\n", r.name, r.key)
	fmt.Fprintf(b, `      policies: {responseHeaderModifier: {set: {x-edit: "%d"}}`, stamp)
	switch r.policy {
	case "chain":
		fmt.Fprintf(b, ", extProc: {profile: %s}", chain)
	case "open":
		fmt.Fprintf(b, ", extProc: {profile: %s, failureMode: failOpen}", chain)
	case "guard":
		fmt.Fprintf(b, ", extProc: {profile: %s}", guard)
	}
	if r.note {
		b.WriteString(", requestHeaderModifier: {set: {x-note: hello}}")
	}
	fmt.Fprintf(b, "%s}\n      backends:\n", r.extras)
	for i, up := range r.to {
		switch up {
		case "first", "second":
			fmt.Fprintf(b, "      - {backend: %s, weight: %d}\n", up, i+1)
		case "tls":
			b.WriteString("      - {host: \"$S\", policies: {backendTLS: {insecure: true}}}\n")
		default:
			fmt.Fprintf(b, "      - {host: \"$%s\", weight: %d}\n", strings.ToUpper(up), i+1)
		}
	}
}

// judge tells whether an answer is one that its spot may give: of a version that
// nobody has seen replaced before the request began, and whole.
func (l *ledger) judge(at spot, low int, resp *http.Response, body string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	versions := l.versions[at]
	if resp.StatusCode == http.StatusNotFound && strings.Contains(body, "route not found") {
		for i := low; i < len(versions); i++ {
			if !versions[i].present {
				l.seen[at] = max(l.seen[at], i)
				return nil
			}
		}
		return fmt.Errorf("404, and the route was there: versions from %d on: %+v", low, versions[low:])
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%d %s", resp.StatusCode, body)
	}
	stamp, err := strconv.Atoi(resp.Header.Get("X-Edit"))
	if err != nil {
		return fmt.Errorf("an answer of no edit: %v", resp.Header)
	}
	i := slices.IndexFunc(versions, func(e expected) bool { return e.edit == stamp && e.present })
	if i < 0 || i < low {
		return fmt.Errorf("an answer of edit %d after one of %+v", stamp, versions[low])
	}
	l.seen[at] = max(l.seen[at], i)
	want := versions[i]
	got := expected{edit: stamp, present: true, to: []string{resp.Header.Get("X-Upstream")}, note: resp.Header.Get("X-Note")}
	got.messages, _ = strconv.Atoi(resp.Header.Get("X-Messages"))
	if !slices.Contains(want.to, got.to[0]) || got.messages != want.messages || got.note != want.note {
		return fmt.Errorf("edit %d gives %+v, want %+v", stamp, got, want)
	}
	if body != "" && body != want.reads.answer() {
		return fmt.Errorf("edit %d says %s", stamp, body)
	}
	return nil
}

func (l *ledger) low(at spot) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seen[at]
}

func (l *ledger) reads(at spot, stamp string) *wording {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.versions[at] {
		if e.present && strconv.Itoa(e.edit) == stamp {
			return e.reads
		}
	}
	return spoken
}

// note adds what an edit makes of the routes with the keys.
func (l *ledger) note(d *draft, edit int, keys []int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range d.routes {
		if !slices.Contains(keys, r.key) {
			continue
		}
		for port := range 2 {
			for _, named := range []bool{true, false} {
				at := spot{r.key, port, named}
				l.versions[at] = append(l.versions[at], r.expect(d, edit, at))
			}
		}
	}
}

// latest tells whether every spot has answered as the latest edit wants.
func (l *ledger) latest() (behind []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for at, versions := range l.versions {
		last := len(versions) - 1
		// One 404 is like another.
		if now := l.seen[at]; now < last && (versions[last].present || versions[now].present) {
			behind = append(behind, fmt.Sprintf("%+v: has %+v, want %+v", at, versions[l.seen[at]], versions[last]))
		}
	}
	return behind
}

func (at spot) request(ctx context.Context, ports []string, stream bool) *http.Request {
	r := where{addr: "127.0.0.1:" + ports[at.port], route: fmt.Sprintf("r%d", at.key)}.request(ctx, stream)
	r.Host = "y.test"
	if at.named {
		r.Host = "x.test"
	}
	return r
}

// ask makes requests at random spots until ctx is done.
func (l *ledger) ask(ctx context.Context, client *http.Client, r *rand.Rand, ports []string, tell func(error)) {
	for ctx.Err() == nil {
		at := spot{r.IntN(draftRoutes), r.IntN(2), r.IntN(2) == 0}
		if err := l.once(ctx, client, at, ports); err != nil && ctx.Err() == nil {
			tell(fmt.Errorf("%+v: %w", at, err))
		}
	}
}

func (l *ledger) once(ctx context.Context, client *http.Client, at spot, ports []string) error {
	low := l.low(at)
	resp, err := client.Do(at.request(ctx, ports, false))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	return l.judge(at, low, resp, string(body))
}

// listen opens streams at random spots, and reads so many events of each.
func (l *ledger) listen(ctx context.Context, client *http.Client, r *rand.Rand, ports []string, tell func(error)) {
	for ctx.Err() == nil {
		at := spot{r.IntN(draftRoutes), r.IntN(2), r.IntN(2) == 0}
		if err := l.stream(ctx, client, at, ports, 20+r.IntN(1000)); err != nil && ctx.Err() == nil {
			tell(fmt.Errorf("a stream of %+v: %w", at, err))
		}
	}
}

func (l *ledger) stream(ctx context.Context, client *http.Client, at spot, ports []string, events int) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	low := l.low(at)
	resp, err := client.Do(at.request(ctx, ports, true))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body := ""
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(resp.Body)
		body = string(text)
	}
	if err := l.judge(at, low, resp, body); err != nil || body != "" {
		return err
	}
	reads, lines := l.reads(at, resp.Header.Get("X-Edit")), bufio.NewScanner(resp.Body)
	for n := 0; n < events; {
		if !lines.Scan() {
			return fmt.Errorf("cut at event %d: %w", n, errors.Join(lines.Err(), io.EOF))
		}
		if lines.Text() == "" {
			continue
		}
		if got := lines.Text(); got != reads.event(n) {
			return fmt.Errorf("got %q for the event %d", got, n)
		}
		n++
	}
	return nil
}

// TestRandomEdits edits a file at random, several ways in a row, while clients ask
// and hold streams. Each answer must be one that an edit has given its route, whole,
// and never one of an edit that was replaced before; and no stream is cut.
func TestRandomEdits(t *testing.T) {
	dir, err := os.MkdirTemp("", "random-") // short enough for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &scene{t: t, dir: dir}
	s.up = [3]string{modelServer(t, "a"), modelServer(t, "b"), modelServer(t, "c")}
	var ports []string
	for _, p := range envoytest.Ports(t, 3) {
		ports = append(ports, strconv.Itoa(p))
	}
	s.port = [4]string{ports[0], ports[1], ports[2]}
	_, portOfA, _ := strings.Cut(s.up[0], ":")
	s.vars = strings.NewReplacer("$A", s.up[0], "$BYNAME", "localhost:"+portOfA, "$B", s.up[1], "$C", s.up[2], "$S", tlsModelServer(t, "tls"), "$PROCESSOR", slowProcessor(t))

	random := rand.New(rand.NewPCG(*randomSeed, 0))
	d := &draft{rules: 1}
	l := &ledger{versions: map[spot][]expected{}, seen: map[spot]int{}}
	stamp := make([]int, draftRoutes)
	var all []int
	for key := range draftRoutes {
		d.routes = append(d.routes, &draftRoute{key: key, name: fmt.Sprintf("route-%d", key), present: true, port: key % 2, named: key%3 == 0, to: []string{"a"}, policy: "none"})
		all = append(all, key)
	}
	l.note(d, 0, all)
	s.write(d.text(stamp, ports))
	s.serve(0, 1, nil)
	s.join(1) // who has seen an edit sees none before it: workers change one after the other
	s.until("live", func() error {
		for at := range l.versions {
			if err := l.once(t.Context(), clientOf(&http.Transport{}), at, ports); err != nil {
				return err
			}
		}
		return nil
	})

	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	var once sync.Once // the others follow from the first
	tell := func(err error) { once.Do(func() { t.Error(err) }) }
	for i := range 10 {
		p := &http.Protocols{}
		p.SetHTTP1(i%2 == 0)
		p.SetUnencryptedHTTP2(i%2 == 1)
		client, r := &http.Client{Transport: &http.Transport{Protocols: p}}, rand.New(rand.NewPCG(*randomSeed, uint64(i)+1))
		wg.Go(func() {
			if i < 6 {
				l.ask(ctx, client, r, ports, tell)
			} else {
				l.listen(ctx, client, r, ports, tell)
			}
		})
	}

	for edit := 1; edit <= *randomEdits; edit++ {
		keys := map[int]bool{}
		var whats []string
		for range 1 + random.IntN(3) {
			what, changed := d.mutate(random)
			whats = append(whats, what)
			for _, key := range changed {
				keys[key] = true
			}
		}
		var changed []int
		for key := range keys {
			changed = append(changed, key)
			stamp[key] = edit
		}
		l.note(d, edit, changed)
		text := d.text(stamp, ports)
		switch random.IntN(6) {
		case 0: // in two halves
			file := filepath.Join(dir, "attache.yaml")
			whole := s.vars.Replace(text)
			half := strings.Index(whole, "rules: [") + len("rules: [") // not YAML
			writeFile(t, file, whole[:half])
			time.Sleep(time.Duration(random.IntN(150)) * time.Millisecond)
			writeFile(t, file, whole)
		case 1: // a mistake first
			s.write(strings.Replace(text, "binds:", []string{"bindz:", "binds: [", "binds:\n- port: 70000"}[random.IntN(3)], 1))
			time.Sleep(time.Duration(random.IntN(300)) * time.Millisecond)
			s.write(text)
		default:
			s.write(text)
		}
		t.Logf("edit %d: %s", edit, strings.Join(whats, ", "))
		if random.IntN(3) > 0 && edit < *randomEdits {
			time.Sleep(time.Duration(random.IntN(250)) * time.Millisecond) // what is tested
			continue
		}
		s.until(fmt.Sprintf("edit %d live", edit), func() error {
			if behind := l.latest(); len(behind) > 0 {
				return errors.New(strings.Join(behind, "\n"))
			}
			return nil
		})
		if t.Failed() {
			break
		}
	}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
