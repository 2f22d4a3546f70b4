package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/attache-dev/attache/envoy/envoytest"
)

// cluster stands in for Kubernetes: a container is a process, a volume is a
// directory of the test, a port is a free one, a Service is a list of addresses.
type cluster struct {
	t        *testing.T
	root     string
	manifest *manifest
	secrets  map[string]map[string]string
	rename   *strings.Replacer // what is of the cluster by what is of this machine
	ports    map[string]string // those that all pods have in common
	pods     []*pod
}

// newCluster replaces names in what the containers are told: pairs of old, new.
func newCluster(t *testing.T, m *manifest, rename ...string) *cluster {
	// Sockets have short names: not below the test's own directory.
	root, err := os.MkdirTemp("", "pods-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	return &cluster{
		t: t, root: root, manifest: m,
		secrets: map[string]map[string]string{"provider-keys": {"openai": "sk-of-the-test"}},
		rename:  strings.NewReplacer(append(rename, "0.0.0.0", "127.0.0.1")...),
		ports:   map[string]string{},
	}
}

// pod is one pod that runs.
type pod struct {
	cluster *cluster
	name    string
	spec    corev1.PodSpec
	volumes map[string]string // their directories
	ports   map[string]string
	running map[string]*daemon
}

// containerPorts are those that occur in the manifests.
var containerPorts = regexp.MustCompile(`\b(3000|15000|15020|15021|18000|18001)\b`)

// start does what a kubelet does for a pod of a Deployment: containers that end
// after the others one after the other, each when the one before has started up,
// then the others.
func (c *cluster) start(d *appsv1.Deployment) *pod {
	p := &pod{
		cluster: c, name: fmt.Sprintf("%s-%d", d.Name, len(c.pods)), spec: d.Spec.Template.Spec,
		volumes: map[string]string{}, ports: map[string]string{}, running: map[string]*daemon{},
	}
	c.pods = append(c.pods, p)
	free := envoytest.Ports(c.t, 6)
	for i, port := range []string{"3000", "15000", "15020", "15021", "18000", "18001"} {
		p.ports[port] = strconv.Itoa(free[i])
		if common, ok := c.ports[port]; ok {
			p.ports[port] = common
		}
	}
	for _, v := range p.spec.Volumes {
		dir := filepath.Join(c.root, strconv.Itoa(len(c.pods)), strconv.Itoa(len(p.volumes)))
		if v.Secret != nil {
			dir = filepath.Join(c.root, v.Secret.SecretName) // the configuration names it: for all pods the same
		}
		p.volumes[v.Name] = dir
		if err := os.MkdirAll(dir, 0o770); err != nil {
			c.t.Fatal(err)
		}
	}
	p.renew()
	for _, container := range p.spec.InitContainers {
		p.run(container)
		if probe := container.StartupProbe; probe != nil {
			c.until(func() bool { return p.probe(probe) == nil })
		}
	}
	for _, container := range p.spec.Containers {
		p.run(container)
	}
	return p
}

// renew writes ConfigMaps and Secrets as a kubelet does: into a new directory,
// which a link is turned to.
func (p *pod) renew() {
	for _, v := range p.spec.Volumes {
		var files map[string]string
		switch {
		case v.ConfigMap != nil:
			files = map[string]string{}
			for name, text := range p.cluster.manifest.configs[v.ConfigMap.Name].Data {
				files[name] = p.local(text)
			}
		case v.Secret != nil:
			files = p.cluster.secrets[v.Secret.SecretName]
		default:
			continue
		}
		dir := p.volumes[v.Name]
		data, err := os.MkdirTemp(dir, "..")
		check := func(err error) {
			if err != nil {
				p.cluster.t.Fatal(err)
			}
		}
		check(err)
		for name, text := range files {
			check(os.WriteFile(filepath.Join(data, name), []byte(text), 0o440))
			if err := os.Symlink(filepath.Join("..data", name), filepath.Join(dir, name)); !os.IsExist(err) {
				check(err)
			}
		}
		check(os.Symlink(filepath.Base(data), filepath.Join(dir, "..data_tmp")))
		check(os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
	}
}

// local replaces what is of the pod by what is of this machine.
func (p *pod) local(s string) string {
	type mount struct{ path, dir string }
	var mounts []mount
	for _, c := range allContainers(&p.spec) {
		for _, m := range c.VolumeMounts {
			mounts = append(mounts, mount{m.MountPath, p.volumes[m.Name]})
		}
	}
	slices.SortFunc(mounts, func(a, b mount) int { return len(b.path) - len(a.path) })
	s = p.cluster.rename.Replace(s)
	s = containerPorts.ReplaceAllStringFunc(s, func(port string) string { return p.ports[port] })
	for _, m := range mounts {
		s = strings.ReplaceAll(s, m.path+"/", m.dir+"/")
		if s == m.path {
			s = m.dir
		}
	}
	return s
}

// run starts a container with the command line and environment of the manifest.
func (p *pod) run(c corev1.Container) {
	t := p.cluster.t
	if len(c.Command) > 0 {
		t.Fatalf("container %s: what does %q start?", c.Name, c.Command)
	}
	program := attache
	if strings.HasPrefix(c.Image, "envoyproxy/envoy:") {
		program = envoyPath(t)
	}
	env := map[string]string{"ADMIN_ADDR": "localhost:15000", "STATS_ADDR": "0.0.0.0:15020", "READINESS_ADDR": "0.0.0.0:15021"}
	for _, e := range c.Env {
		env[e.Name] = e.Value
		if f := e.ValueFrom; f != nil && f.FieldRef != nil && f.FieldRef.FieldPath == "metadata.name" {
			env[e.Name] = p.name
		}
	}
	var args []string
	for i, a := range c.Args {
		for name, value := range env {
			a = strings.ReplaceAll(a, "$("+name+")", value)
		}
		if i > 0 && c.Args[i-1] == "--settle" {
			a = "100ms" // here every client knows at once
		}
		args = append(args, p.local(a))
	}
	cmd := exec.Command(program, args...)
	cmd.Env = []string{"HOME=/", "GORACE=" + goRace}
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+p.local(value))
	}
	p.running[c.Name] = background(t, p.name+"/"+c.Name, cmd)
}

// probe asks once.
func (p *pod) probe(probe *corev1.Probe) error {
	port := "127.0.0.1:" + p.ports[strconv.Itoa(int(containerPort(&p.spec, probedPort(probe))))]
	if probe.HTTPGet == nil {
		conn, err := net.Dial("tcp", port)
		if err == nil {
			conn.Close()
		}
		return err
	}
	resp, err := client.Get("http://" + port + probe.HTTPGet.Path)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s", resp.Status)
	}
	return nil
}

// ready waits until all readiness probes agree.
func (p *pod) ready() *pod {
	for _, c := range allContainers(&p.spec) {
		if c.ReadinessProbe != nil {
			p.cluster.until(func() bool { return p.probe(c.ReadinessProbe) == nil })
		}
	}
	return p
}

// end does what a kubelet does at the end of a pod. Whoever is killed because it
// does not end, or ends with an error, fails the test.
func (p *pod) end() {
	p.cluster.t.Helper()
	for _, c := range p.spec.Containers {
		p.endContainer(c)
	}
	for _, c := range slices.Backward(p.spec.InitContainers) {
		p.endContainer(c)
	}
}

func (p *pod) endContainer(c corev1.Container) {
	p.cluster.t.Helper()
	if code := p.running[c.Name].end(patience); code != 0 {
		p.cluster.t.Errorf("%s/%s ends with %d", p.name, c.Name, code)
	}
}

// exec is kubectl exec of attache in a container.
func (p *pod) exec(args ...string) (string, error) {
	cmd := exec.Command(attache, args...)
	cmd.Env = []string{"ADMIN_ADDR=127.0.0.1:" + p.ports["15000"], "GORACE=" + goRace}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (c *cluster) until(done func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(20 * time.Millisecond) { // between two looks
		if time.Now().After(deadline) {
			c.t.Fatal("not in time")
		}
	}
}

// endpoints are the pods of a Service, at one of their ports.
type endpoints struct {
	port string

	mu   sync.Mutex
	pods []*pod
	next int
}

func (e *endpoints) add(p *pod) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.pods = append(e.pods, p)
}

func (e *endpoints) remove(p *pod) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.pods = slices.DeleteFunc(slices.Clone(e.pods), func(other *pod) bool { return other == p })
}

// dial connects to one pod after the other.
func (e *endpoints) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	e.mu.Lock()
	if len(e.pods) == 0 {
		e.mu.Unlock()
		return nil, fmt.Errorf("the Service has no pods")
	}
	e.next++
	p := e.pods[e.next%len(e.pods)]
	e.mu.Unlock()
	return (&net.Dialer{}).DialContext(ctx, network, "127.0.0.1:"+p.ports[e.port])
}

// listen gives the Service one address, as kube-proxy does.
func (e *endpoints) listen(t *testing.T) (address string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		l.Close()
		group.Wait()
	})
	group.Go(func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			to, err := e.dial(ctx, "tcp", "")
			if err != nil {
				from.Close()
				continue
			}
			stop := context.AfterFunc(ctx, func() { from.Close(); to.Close() })
			pipe := func(dst, src net.Conn) {
				_, _ = io.Copy(dst, src)
				from.Close()
				to.Close()
				stop()
			}
			group.Go(func() { pipe(from, to) })
			group.Go(func() { pipe(to, from) })
		}
	})
	return l.Addr().String()
}
