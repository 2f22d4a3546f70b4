package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/attache-dev/attache/bench/measuring"
	"github.com/attache-dev/attache/envoy"
)

// programs are the paths of those that are measured.
type programs struct{ attache, envoy string }

// measure runs every size, and tells what it is at.
func measure(ctx context.Context, s sizes, p programs, progress io.Writer) (report, error) {
	version, err := exec.CommandContext(ctx, p.envoy, "--version").Output()
	if err != nil {
		return report{}, fmt.Errorf("%s: %w", p.envoy, err)
	}
	// What is in front of it is the path, which says nothing.
	_, of, _ := strings.Cut(string(version), "version: ")
	r := report{Date: time.Now().UTC().Format(time.DateTime), Machine: measuring.ThisMachine(), Envoy: strings.TrimSpace(of)}
	for _, n := range s.routes {
		for _, hosts := range s.hosts {
			for _, chains := range []bool{false, true} {
				if hosts > n {
					continue
				}
				o := one{Routes: n, Hosts: hosts, Chains: chains}
				if err := inScene(ctx, p, &file{hosts: hosts, chains: chains, versions: make([]int, n)}, func(sc *scene) error { return o.measure(ctx, sc, s) }); err != nil {
					return r, fmt.Errorf("%s: %w", o.title(), err)
				}
				fmt.Fprintln(progress, o)
				r.One = append(r.One, o)
			}
		}
	}
	for _, chains := range []bool{false, true} {
		for _, n := range s.envoys {
			if s.fleetRoutes == 0 {
				continue
			}
			f := fleet{Routes: s.fleetRoutes, Chains: chains, Envoys: n}
			if err := inScene(ctx, p, &file{hosts: 1, chains: chains, versions: make([]int, f.Routes)}, func(sc *scene) error { return f.measure(ctx, sc, s) }); err != nil {
				return r, fmt.Errorf("%s: %w", f.title(), err)
			}
			fmt.Fprintln(progress, f)
			r.Fleet = append(r.Fleet, f)
		}
	}
	return r, nil
}

// off are the ports that nobody here needs.
var off = []string{"ADMIN_ADDR=off", "STATS_ADDR=off", "READINESS_ADDR=off"}

// A scene is an Attaché with its file, and somebody behind it.
type scene struct {
	programs programs
	dir      string
	file     *file
	attache  *measuring.Process
	load     time.Duration // from the start to ready
}

// inScene starts Attaché with a file, and ends it.
func inScene(ctx context.Context, p programs, f *file, do func(*scene) error) (err error) {
	dir, err := os.MkdirTemp("", "scale-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)

	upstream, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: http.HandlerFunc(echo)}
	go server.Serve(upstream)
	defer server.Close()

	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	f.path, f.upstream, f.port = filepath.Join(dir, "attache.yaml"), upstream.Addr().String(), free.Addr().(*net.TCPAddr).Port
	free.Close()
	if err := f.replace(f.text()); err != nil {
		return err
	}

	s := &scene{programs: p, dir: dir, file: f}
	ready, began := filepath.Join(dir, "ready"), time.Now()
	s.attache, err = measuring.Start(dir, off, p.attache, "serve", "-f", f.path, "--xds", "unix:"+s.socket("xds"), "--extproc", "unix:"+s.socket("extproc"), "--ready-file", ready, "--drain", "0s")
	if err != nil {
		return err
	}
	defer s.attache.End()
	defer func() {
		if err != nil {
			err = s.attache.Explain(err)
		}
	}()
	err = measuring.Until(ctx, "attache is ready", time.Millisecond, func() bool { _, err := os.Stat(ready); return err == nil })
	if err != nil {
		return err
	}
	s.load = time.Since(began)
	return do(s)
}

func (s *scene) socket(name string) string { return filepath.Join(s.dir, name) }

// echo answers with what an edit changes: the path, or the model.
func echo(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		_, _ = io.WriteString(w, r.URL.Path)
		return
	}
	var asked struct{ Model string }
	_ = json.NewDecoder(r.Body).Decode(&asked)
	_, _ = io.WriteString(w, asked.Model)
}

// live asks a route and tells whether its answer is what the file says.
func (s *scene) live(client *http.Client, route int) bool {
	host, path, want := s.file.route(route)
	url := fmt.Sprintf("http://127.0.0.1:%d%s", s.file.port, path)
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if s.file.chains {
		body := `{"model": "any", "messages": [{"role": "user", "content": "Hello!"}]}`
		req, err = http.NewRequest(http.MethodPost, url+"/v1/chat/completions", strings.NewReader(body))
	}
	if err != nil {
		return false
	}
	req.Host = host
	req.Header.Set("content-type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	got, _ := io.ReadAll(resp.Body)
	return string(got) == want
}

// edited is the route that an edit changes: each another, all over the file.
func (f *file) edited(edit int) int { return edit * 7919 % len(f.versions) }

// usage is what an edit costs a process, and what it needs.
type usage struct {
	// CPU is for each edit, in milliseconds.
	CPU float64 `json:"cpu_ms_per_edit"`
	// Idle is the resident memory before the first edit, Peak the most since
	// then, in MB. Start is the most before.
	Start float64 `json:"rss_start_peak_mb"`
	Idle  float64 `json:"rss_idle_mb"`
	Peak  float64 `json:"rss_edits_peak_mb"`
}

// during measures processes while do makes the edits.
func (s sizes) during(do func() error, all ...*measuring.Process) ([]usage, error) {
	list := make([]usage, len(all))
	for i, p := range all {
		_, peak, err := p.Memory()
		if err != nil {
			return nil, err
		}
		list[i].Start = mb(peak)
	}
	time.Sleep(s.idle)
	for i, p := range all {
		if err := p.ResetPeak(); err != nil {
			return nil, err
		}
		now, _, err := p.Memory()
		if err != nil {
			return nil, err
		}
		cpu, err := p.CPU()
		if err != nil {
			return nil, err
		}
		list[i].Idle, list[i].CPU = mb(now), -ms(cpu)
	}
	if err := do(); err != nil {
		return nil, err
	}
	for i, p := range all {
		cpu, err := p.CPU()
		if err != nil {
			return nil, err
		}
		_, peak, err := p.Memory()
		if err != nil {
			return nil, err
		}
		list[i].CPU, list[i].Peak = (list[i].CPU+ms(cpu))/float64(s.edits), mb(peak)
	}
	return list, nil
}

func mb(bytes int64) float64 { return float64(bytes) / (1 << 20) }

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// times are how long edits took, in milliseconds.
type times struct {
	P50 float64   `json:"p50_ms"`
	Max float64   `json:"max_ms"`
	All []float64 `json:"all_ms"`
}

func summary(took []time.Duration) (t times) {
	for _, d := range took {
		t.All = append(t.All, ms(d))
	}
	sorted := slices.Sorted(slices.Values(t.All))
	t.P50, t.Max = sorted[len(sorted)/2], sorted[len(sorted)-1]
	return t
}

// one is a size with one real Envoy.
type one struct {
	Routes int  `json:"routes"`
	Hosts  int  `json:"hosts"`
	Chains bool `json:"chains"`

	LoadAverage float64 `json:"load_average"`
	// Load is from the start of Attaché to the configuration being ready to be
	// sent, Join from the start of Envoy to the first right answer.
	Load float64 `json:"load_ms"`
	Join float64 `json:"join_ms"`
	Live times   `json:"edit_to_live"`
	// FirstBytes went to Envoy before the first answer, EditBytes for each edit.
	FirstBytes int64   `json:"first_bytes"`
	EditBytes  int64   `json:"bytes_per_edit"`
	AckBytes   int64   `json:"bytes_back_per_edit"`
	Resources  float64 `json:"resources_per_edit"`
	Attache    usage   `json:"attache"`
	Envoy      usage   `json:"envoy"`
}

func (o one) title() string {
	return fmt.Sprintf("%d routes, %d hosts, chains %t", o.Routes, o.Hosts, o.Chains)
}

func (o one) String() string {
	return fmt.Sprintf("%s: load %.0f ms, edit to live %.0f ms (max %.0f), %d bytes and %.2f resources per edit, attache %.0f ms CPU %.0f MB, envoy %.0f ms CPU %.0f MB, load average %.1f",
		o.title(), o.Load, o.Live.P50, o.Live.Max, o.EditBytes, o.Resources, o.Attache.CPU, o.Attache.Peak, o.Envoy.CPU, o.Envoy.Peak, o.LoadAverage)
}

func (o *one) measure(ctx context.Context, s *scene, of sizes) error {
	o.Load = ms(s.load)
	w, err := newWire(s.socket("wire"), s.socket("xds"))
	if err != nil {
		return err
	}
	defer w.listener.Close()
	admin := s.socket("admin")
	bootstrap, err := envoy.Bootstrap(envoy.BootstrapOptions{XDS: "unix:" + s.socket("wire"), Admin: "unix:" + admin})
	if err != nil {
		return err
	}
	began := time.Now()
	e, err := measuring.Start(s.dir, nil, s.programs.envoy, append([]string{"--config-yaml", string(bootstrap), "--concurrency", "1"}, envoy.Flags...)...)
	if err != nil {
		return err
	}
	defer e.End()

	client := &http.Client{Transport: &http.Transport{}, Timeout: measuring.Patience}
	defer client.CloseIdleConnections()
	live := func(route int) error {
		return measuring.Until(ctx, "the edit is live", 2*time.Millisecond, func() bool { return s.live(client, route) })
	}
	if err := live(0); err != nil {
		return e.Explain(err)
	}
	o.Join, o.FirstBytes = ms(time.Since(began)), w.down.Load()

	var took []time.Duration
	used, err := of.during(func() error {
		responses, err := accepted(admin)
		if err != nil {
			return err
		}
		down, up := w.down.Load(), w.up.Load()
		for i := 1; i <= of.edits; i++ {
			route := s.file.edited(i)
			s.file.versions[route]++
			text := s.file.text()
			began := time.Now()
			if err := s.file.replace(text); err != nil {
				return err
			}
			if err := live(route); err != nil {
				return e.Explain(err)
			}
			took = append(took, time.Since(began))
		}
		more, err := accepted(admin)
		o.EditBytes = (w.down.Load() - down) / int64(of.edits)
		o.AckBytes = (w.up.Load() - up) / int64(of.edits)
		o.Resources = float64(more-responses) / float64(of.edits)
		return err
	}, s.attache, e)
	if err != nil {
		return err
	}
	o.Live, o.Attache, o.Envoy, o.LoadAverage = summary(took), used[0], used[1], measuring.LoadAverage()
	return nil
}

// accepted asks an Envoy how many responses it has accepted. Each had one
// resource, but for the first with clusters.
func accepted(admin string) (n int, err error) {
	client := &http.Client{Timeout: measuring.Patience, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", admin)
		},
	}}
	resp, err := client.Get("http://envoy/stats?filter=update_success$")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	for line := range bytes.Lines(text) {
		_, count, _ := strings.Cut(strings.TrimSpace(string(line)), ": ")
		i, _ := strconv.Atoi(count)
		n += i
	}
	return n, err
}
