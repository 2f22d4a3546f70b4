package e2e

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	kjson "sigs.k8s.io/json"

	"github.com/attache-dev/attache/envoy"
	"github.com/attache-dev/attache/envoy/envoytest"
)

// manifest is one file of deploy/kubernetes, by kind and name.
type manifest struct {
	configs     map[string]*corev1.ConfigMap
	deployments map[string]*appsv1.Deployment
	services    map[string]*corev1.Service
	budgets     map[string]*policyv1.PodDisruptionBudget
	policies    map[string]*networkingv1.NetworkPolicy
}

var manifestFiles = []string{"../deploy/kubernetes/sidecar.yaml", "../deploy/kubernetes/shared.yaml"}

// readManifest decodes each document into the type that the API server decodes
// it into, and refuses what the API server would: with the same strict decoder, a
// field that is unknown, there twice or spelt with another case.
func readManifest(t *testing.T, path string) *manifest {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m, err := parseManifest(text)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return m
}

func parseManifest(text []byte) (*manifest, error) {
	m := &manifest{
		configs:     map[string]*corev1.ConfigMap{},
		deployments: map[string]*appsv1.Deployment{},
		services:    map[string]*corev1.Service{},
		budgets:     map[string]*policyv1.PodDisruptionBudget{},
		policies:    map[string]*networkingv1.NetworkPolicy{},
	}
	documents := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var tree map[string]any
		if err := documents.Decode(&tree); errors.Is(err, io.EOF) {
			return m, nil
		} else if err != nil {
			return nil, err
		}
		object, err := json.Marshal(tree)
		if err != nil {
			return nil, err
		}
		switch kind := strings.TrimSpace(asString(tree["apiVersion"]) + " " + asString(tree["kind"])); kind {
		case "v1 ConfigMap":
			err = decodeInto(m.configs, object)
		case "apps/v1 Deployment":
			err = decodeInto(m.deployments, object)
		case "v1 Service":
			err = decodeInto(m.services, object)
		case "policy/v1 PodDisruptionBudget":
			err = decodeInto(m.budgets, object)
		case "networking.k8s.io/v1 NetworkPolicy":
			err = decodeInto(m.policies, object)
		default:
			err = errors.New("no test knows a " + kind)
		}
		if err != nil {
			return nil, err
		}
	}
}

func asString(v any) string {
	s, _ := v.(string)
	return s
}

// decodeInto adds an object to those of its kind.
func decodeInto[T any, P interface {
	*T
	GetName() string
}](all map[string]*T, object []byte) error {
	decoded := P(new(T))
	strict, err := kjson.UnmarshalStrict(object, decoded)
	if err = errors.Join(append(strict, err)...); err != nil {
		return err
	}
	if decoded.GetName() == "" || all[decoded.GetName()] != nil {
		return errors.New("an object without a name of its own: " + decoded.GetName())
	}
	all[decoded.GetName()] = decoded
	return nil
}

// TestManifestsAreStrict: the reader of the manifests refuses what an API server
// would.
func TestManifestsAreStrict(t *testing.T) {
	text, err := os.ReadFile(manifestFiles[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range []struct{ old, wrong string }{
		{"replicas: 2", "replica: 2"},
		{"replicas: 2", "replicas: two"},
		{"replicas: 2", "replicas: 2\n  Replicas: 2"},
		{"containerPort: 3000", "containerport: 3000"},
		{"runAsUser: 101", "runAsUser: envoy"},
		{"type: ClusterIP", "type: [ClusterIP]"},
		{"kind: PodDisruptionBudget", "kind: PodDisruptionBudgets"},
	} {
		if !bytes.Contains(text, []byte(change.old)) {
			t.Errorf("%s is not there any more", change.old)
		}
		if _, err := parseManifest(bytes.Replace(text, []byte(change.old), []byte(change.wrong), 1)); err == nil {
			t.Errorf("%q is accepted", change.wrong)
		}
	}
}

// TestManifests: what one object says of another is true, and what the pods
// promise holds.
func TestManifests(t *testing.T) {
	for _, path := range manifestFiles {
		t.Run(filepath.Base(path), func(t *testing.T) {
			m := readManifest(t, path)
			for name, c := range m.configs {
				if made, ok := c.Annotations["attache.dev/made-by"]; ok {
					args := strings.Fields(made)
					want, err := exec.Command(attache, args[1:]...).Output()
					if err != nil || args[0] != "attache" {
						t.Errorf("%s: %v", made, err)
					}
					if got := c.Data["envoy.yaml"]; got != string(want) {
						t.Errorf("ConfigMap %s is not what `%s` prints:\n%s", name, made, want)
					}
				}
			}
			for name, d := range m.deployments {
				if *d.Spec.Replicas < 2 {
					t.Errorf("Deployment %s has no second replica", name)
				}
				if !selects(d.Spec.Selector.MatchLabels, d.Spec.Template.Labels) {
					t.Errorf("Deployment %s does not select its own pods", name)
				}
				m.checkPod(t, name, &d.Spec.Template.Spec)
				if !slices.ContainsFunc(mapValues(m.budgets), func(b *policyv1.PodDisruptionBudget) bool {
					return selects(b.Spec.Selector.MatchLabels, d.Spec.Template.Labels)
				}) {
					t.Errorf("Deployment %s has no PodDisruptionBudget", name)
				}
			}
			for name, s := range m.services {
				d := m.podsOf(s.Spec.Selector)
				if d == nil {
					t.Errorf("Service %s selects no pods", name)
					continue
				}
				for _, p := range s.Spec.Ports {
					if containerPort(&d.Spec.Template.Spec, p.TargetPort) == 0 {
						t.Errorf("Service %s: no container has the port %s", name, p.TargetPort.String())
					}
				}
			}
			for name, p := range m.policies {
				d := m.podsOf(p.Spec.PodSelector.MatchLabels)
				if d == nil {
					t.Errorf("NetworkPolicy %s selects no pods", name)
					continue
				}
				for _, in := range p.Spec.Ingress {
					for _, from := range in.From {
						if m.podsOf(from.PodSelector.MatchLabels) == nil {
							t.Errorf("NetworkPolicy %s lets in pods that are not there", name)
						}
					}
					for _, port := range in.Ports {
						n := containerPort(&d.Spec.Template.Spec, *port.Port)
						if n == 0 {
							t.Errorf("NetworkPolicy %s: no container has the port %s", name, port.Port)
						}
						if (n == 18000 || n == 18001) && len(in.From) == 0 {
							t.Errorf("NetworkPolicy %s lets everybody in at %s, where keys or prompts travel", name, port.Port)
						}
					}
				}
			}
		})
	}
}

func selects(selector, labels map[string]string) bool {
	for k, v := range selector {
		if labels[k] != v {
			return false
		}
	}
	return len(selector) > 0
}

func mapValues[V any](m map[string]V) (all []V) {
	for _, v := range m {
		all = append(all, v)
	}
	return all
}

func (m *manifest) podsOf(selector map[string]string) *appsv1.Deployment {
	for _, d := range m.deployments {
		if selects(selector, d.Spec.Template.Labels) {
			return d
		}
	}
	return nil
}

func allContainers(spec *corev1.PodSpec) []corev1.Container {
	return slices.Concat(spec.InitContainers, spec.Containers)
}

// containerPort finds a port by its name or number; 0 if there is none.
func containerPort(spec *corev1.PodSpec, port intstr.IntOrString) int32 {
	for _, c := range allContainers(spec) {
		for _, p := range c.Ports {
			if p.Name == port.StrVal && p.Name != "" || p.ContainerPort == port.IntVal {
				return p.ContainerPort
			}
		}
	}
	return 0
}

func (m *manifest) checkPod(t *testing.T, name string, spec *corev1.PodSpec) {
	volumes := map[string]bool{}
	for _, v := range spec.Volumes {
		volumes[v.Name] = true
		if v.ConfigMap != nil && m.configs[v.ConfigMap.Name] == nil {
			t.Errorf("Deployment %s mounts ConfigMap %s, which is not there", name, v.ConfigMap.Name)
		}
	}
	s := spec.SecurityContext
	if s == nil || s.RunAsNonRoot == nil || !*s.RunAsNonRoot || *s.RunAsUser != 101 || *s.FSGroup != 101 || s.SeccompProfile == nil || *spec.AutomountServiceAccountToken {
		t.Errorf("Deployment %s is not confined", name)
	}
	for _, c := range allContainers(spec) {
		s := c.SecurityContext
		if s == nil || *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) {
			t.Errorf("container %s of %s is not confined", c.Name, name)
		}
		if c.Resources.Limits.Memory().IsZero() || c.Resources.Requests.Memory().Cmp(*c.Resources.Limits.Memory()) > 0 {
			t.Errorf("container %s of %s has no bounds for memory", c.Name, name)
		}
		for _, v := range c.VolumeMounts {
			if !volumes[v.Name] {
				t.Errorf("container %s of %s mounts volume %s, which is not there", c.Name, name, v.Name)
			}
			if v.SubPath != "" {
				t.Errorf("container %s of %s mounts a file: it would stay the old one", c.Name, name)
			}
		}
		for _, p := range []*corev1.Probe{c.StartupProbe, c.ReadinessProbe} {
			if p != nil && containerPort(spec, probedPort(p)) == 0 {
				t.Errorf("container %s of %s: its probe is for a port that is not there", c.Name, name)
			}
		}
		if strings.Contains(c.Image, "envoy") {
			if want := "envoyproxy/envoy:distroless-v" + envoy.Pinned.String(); c.Image != want {
				t.Errorf("image %s, want %s", c.Image, want)
			}
			if n := len(c.Args) - len(envoy.Flags); n < 0 || !slices.Equal(c.Args[n:], envoy.Flags) {
				t.Errorf("container %s of %s does not have the usual flags: %q", c.Name, name, c.Args)
			}
		}
		// Nobody is killed before what it waits for is over.
		needs := max(duration(t, c.Args, "--limit"), duration(t, c.Args, "--drain"))
		if c.Lifecycle != nil {
			needs += time.Duration(c.Lifecycle.PreStop.Sleep.Seconds) * time.Second
		}
		if grace := time.Duration(*spec.TerminationGracePeriodSeconds) * time.Second; grace < needs+10*time.Second {
			t.Errorf("container %s of %s may need %v, and is killed after %v", c.Name, name, needs, grace)
		}
	}
	for _, c := range spec.InitContainers {
		if c.RestartPolicy == nil || *c.RestartPolicy != corev1.ContainerRestartPolicyAlways {
			t.Errorf("container %s of %s would have to end before the others start", c.Name, name)
		}
	}
}

func probedPort(p *corev1.Probe) intstr.IntOrString {
	if p.HTTPGet != nil {
		return p.HTTPGet.Port
	}
	return p.TCPSocket.Port
}

// duration is the value of a flag; 0 without it.
func duration(t *testing.T, args []string, flag string) time.Duration {
	i := slices.Index(args, flag)
	if i < 0 {
		return 0
	}
	d, err := time.ParseDuration(args[i+1])
	if err != nil {
		t.Error(err)
	}
	return d
}

var (
	kubectlApply  = regexp.MustCompile(`^kubectl apply -f (deploy/kubernetes/\w+\.yaml)$`)
	kubectlSecret = regexp.MustCompile(`^kubectl create secret generic ([\w-]+) --from-literal=([\w-]+)="\$\w+"$`)
	kubectlFiles  = regexp.MustCompile(`^kubectl create secret generic ([\w-]+) --from-file=ca\.crt --from-file=tls\.crt=(\S+) --from-file=tls\.key=(\S+)$`)
	kubectlExec   = regexp.MustCompile(`^kubectl exec deploy/([\w-]+) -c ([\w-]+) -- /usr/local/bin/attache (.*)$`)
	kubectlOn     = regexp.MustCompile(`^kubectl (?:rollout restart|rollout status|logs) deploy/([\w-]+)(?: -c ([\w-]+))?$`)
	kubectlConfig = regexp.MustCompile(`^kubectl create configmap ([\w-]+) --from-file=([\w.-]+) --dry-run=client -o yaml \| kubectl apply -f -$`)
	kubectlPorts  = regexp.MustCompile(`^kubectl port-forward service/([\w-]+) \d+:(\d+)$`)
)

// kubectl returns the commands of the documents and manifests.
func kubectl(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for _, file := range append([]string{"../docs/kubernetes.md"}, manifestFiles...) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			line = strings.TrimSpace(strings.TrimPrefix(line, "#"))
			if strings.HasPrefix(line, "kubectl ") {
				all[file] = append(all[file], line)
			}
		}
	}
	return all
}

// TestKubectl: the commands of docs/kubernetes.md and of the manifests are about
// objects that are there. Those that run in a container are run below.
func TestKubectl(t *testing.T) {
	var both []*manifest
	for _, path := range manifestFiles {
		both = append(both, readManifest(t, path))
	}
	// has tells whether one of the two manifests has it, for the page is about both.
	has := func(what func(*manifest) bool) bool { return slices.ContainsFunc(both, what) }
	hasContainer := func(deployment, container string) bool {
		return has(func(m *manifest) bool {
			d := m.deployments[deployment]
			return d != nil && (container == "" || slices.ContainsFunc(allContainers(&d.Spec.Template.Spec), func(c corev1.Container) bool { return c.Name == container }))
		})
	}
	for file, lines := range kubectl(t) {
		if len(lines) == 0 {
			t.Errorf("%s has no commands", file)
		}
		for _, line := range lines {
			ok := false
			if w := kubectlApply.FindStringSubmatch(line); w != nil {
				_, err := os.Stat(filepath.Join("..", w[1]))
				ok = err == nil
			} else if w := kubectlSecret.FindStringSubmatch(line); w != nil {
				ok = !has(func(m *manifest) bool { return !m.readsKey(w[1], w[2]) })
			} else if w := kubectlFiles.FindStringSubmatch(line); w != nil {
				ok = has(func(m *manifest) bool { return m.mountsSecret(w[1]) })
			} else if w := kubectlExec.FindStringSubmatch(line); w != nil {
				ok = hasContainer(w[1], w[2])
			} else if w := kubectlOn.FindStringSubmatch(line); w != nil {
				ok = hasContainer(w[1], w[2])
			} else if w := kubectlConfig.FindStringSubmatch(line); w != nil {
				ok = has(func(m *manifest) bool { return m.configs[w[1]] != nil && m.configs[w[1]].Data[w[2]] != "" })
			} else if w := kubectlPorts.FindStringSubmatch(line); w != nil {
				ok = has(func(m *manifest) bool {
					s := m.services[w[1]]
					return s != nil && slices.ContainsFunc(s.Spec.Ports, func(p corev1.ServicePort) bool { return strconv.Itoa(int(p.Port)) == w[2] })
				})
			}
			if !ok {
				t.Errorf("%s: no test knows the command, or what it names is not there: %s", file, line)
			}
		}
	}
}

func (m *manifest) mountsSecret(name string) bool {
	return slices.ContainsFunc(mapValues(m.deployments), func(d *appsv1.Deployment) bool {
		return slices.ContainsFunc(d.Spec.Template.Spec.Volumes, func(v corev1.Volume) bool { return v.Secret != nil && v.Secret.SecretName == name })
	})
}

// readsKey tells whether a configuration names the file that a key of a Secret is
// mounted as.
func (m *manifest) readsKey(secret, key string) bool {
	for _, d := range m.deployments {
		for _, v := range d.Spec.Template.Spec.Volumes {
			if v.Secret == nil || v.Secret.SecretName != secret {
				continue
			}
			for _, c := range allContainers(&d.Spec.Template.Spec) {
				for _, mount := range c.VolumeMounts {
					if mount.Name == v.Name && strings.Contains(m.configs["attache-config"].Data["attache.yaml"], "file: "+mount.MountPath+"/"+key+"\n") {
						return true
					}
				}
			}
		}
	}
	return false
}

// TestManifestsAgree: one can go from one way to the other without an edit.
func TestManifestsAgree(t *testing.T) {
	sidecar, shared := readManifest(t, manifestFiles[0]), readManifest(t, manifestFiles[1])
	if diff := cmp.Diff(sidecar.configs["attache-config"].Data, shared.configs["attache-config"].Data); diff != "" {
		t.Error("the two manifests begin with different configurations:\n" + diff)
	}
}

// mockModel starts a model and returns what makes a configuration use it in the
// place of the provider.
func mockModel(t *testing.T) (old, changed string) {
	address := "127.0.0.1:" + strconv.Itoa(envoytest.Ports(t, 1)[0])
	background(t, "mock-llm", exec.Command(attache, "mock-llm", "--addr", address))
	return "          name: openai\n", "          name: openai\n          hostOverride: " + address + "\n"
}

const chatPath = "/v1/chat/completions"

// answers tells whether a pod's Envoy is asked a question and says something in
// its answer.
func (p *pod) answers(something string) bool {
	resp, err := client.Post("http://127.0.0.1:"+p.ports["3000"]+chatPath, "application/json",
		strings.NewReader(`{"model":"any","messages":[{"role":"user","content":"Hello!"}]}`))
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return err == nil && resp.StatusCode == http.StatusOK && strings.Contains(string(body), something)
}

// edit changes the configuration and renews the volumes of these pods.
func (c *cluster) edit(old, changed string, pods ...*pod) {
	data := c.manifest.configs["attache-config"].Data
	if !strings.Contains(data["attache.yaml"], old) {
		c.t.Fatalf("the configuration has no %s", old)
	}
	data["attache.yaml"] = strings.ReplaceAll(data["attache.yaml"], old, changed)
	for _, p := range pods {
		p.renew()
	}
}

// TestSidecarManifest runs sidecar.yaml without Kubernetes: its command lines, its
// bootstrap, its configuration, its volumes, its probes and the order in which it
// starts and ends, with the wheel's Envoy. Only paths, ports and the address of
// the provider are changed to ones of this machine. Clients ask all the time,
// through an edit, a rollout and the crash of a container, and none must notice.
func TestSidecarManifest(t *testing.T) {
	m := readManifest(t, manifestFiles[0])
	old, changed := mockModel(t)
	c := newCluster(t, m, old, changed)
	gateway := m.deployments["gateway"]
	a, b := c.start(gateway), c.start(gateway)
	service := &endpoints{port: "3000"}
	service.add(a.ready())
	service.add(b.ready())
	for _, p := range []*pod{a, b} {
		c.until(func() bool { return p.answers("Answer in one sentence.") && p.answers("gpt-4o-mini") })
	}

	load := startLoad("http://gateway"+chatPath, func() *http.Transport { return &http.Transport{DialContext: service.dial} })

	// An edit of the ConfigMap, and of the Secret.
	c.secrets["provider-keys"]["openai"] = "sk-another"
	c.edit("gpt-4o-mini", "gpt-5", a, b)
	for _, p := range []*pod{a, b} {
		c.until(func() bool { return p.answers("gpt-5") })
	}

	// A rollout: one pod more, then one less, until none is of the old ones.
	for _, leaving := range []*pod{a, b} {
		service.add(c.start(gateway).ready())
		service.remove(leaving)
		leaving.end()
	}

	// The commands of the page that run in a container, in a pod of now.
	last := c.pods[len(c.pods)-1]
	c.until(func() bool {
		out, _ := last.exec("status")
		return strings.Contains(out, "envoy "+last.name+" (") && strings.Contains(out, "has acknowledged everything")
	})
	asked := false
	for _, b := range blocks(t) {
		if b.file == "../docs/kubernetes.md" && strings.HasPrefix(b.text, "curl localhost:8080/") {
			asked = true
			out, err := exec.Command("sh", "-c", strings.Replace(b.text, "localhost:8080", "127.0.0.1:"+last.ports["3000"], 1)).Output()
			if err != nil || !strings.Contains(string(out), "Hello!") {
				t.Errorf("%s: %v\n%s", b.text, err, out)
			}
		}
	}
	ran := 0
	for _, line := range kubectl(t)["../docs/kubernetes.md"] {
		if w := kubectlExec.FindStringSubmatch(line); w != nil {
			ran++
			if out, err := last.exec(strings.Fields(w[3])...); err != nil {
				t.Errorf("%s: %v\n%s", line, err, out)
			}
		}
	}
	if ran == 0 || !asked {
		t.Error("docs/kubernetes.md no longer shows how to ask attache, or a model")
	}

	load.end(t)

	// A container that crashes is started again, on the sockets and the state that
	// the last one has left: Attaché, although the file is bad meanwhile, and Envoy.
	kill := func(name string) {
		_ = last.running[name].cmd.Process.Kill()
		<-last.running[name].ended
		for _, container := range last.spec.InitContainers {
			if container.Name == name {
				last.run(container)
			}
		}
		c.until(func() bool { return last.answers("gpt-5") })
	}
	c.until(func() bool { // kept, once Envoy has acknowledged it
		kept, err := os.ReadFile(filepath.Join(last.volumes["state"], "last-good.yaml"))
		return err == nil && bytes.Contains(kept, []byte("gpt-5"))
	})
	c.edit("profile: default", "profile: nobody", last)
	kill("attache")
	c.until(func() bool {
		out, err := last.exec("status")
		return err != nil && strings.Contains(out, "no profile has this name")
	})
	kill("envoy")
	for _, p := range c.pods[2:] {
		p.end()
	}
}

// end fails the test if a request has failed.
func (l *load) end(t *testing.T) {
	t.Helper()
	l.cancel()
	l.wg.Wait()
	t.Logf("%d requests, %d failed, %d connections closed", l.requests, len(l.failures), l.closed)
	if len(l.failures) > 0 {
		t.Errorf("%d of %d requests failed, the first: %s", len(l.failures), l.requests, l.failures[0])
	}
	if l.requests < loadClients {
		t.Errorf("only %d requests were made", l.requests)
	}
}

// xdsSecrets runs what docs/kubernetes.md says about certificates, in the order
// of the page, and returns the Secrets that come of it.
func xdsSecrets(t *testing.T) map[string]map[string]string {
	t.Helper()
	dir := t.TempDir()
	secrets := map[string]map[string]string{}
	for _, b := range blocks(t) {
		if b.file != "../docs/kubernetes.md" || !strings.Contains(b.text, "openssl ") {
			continue
		}
		var commands []string
		for line := range strings.Lines(b.text) {
			w := kubectlFiles.FindStringSubmatch(strings.TrimSpace(line))
			switch {
			case w != nil:
				secrets[w[1]] = map[string]string{"ca.crt": "ca.crt", "tls.crt": w[2], "tls.key": w[3]}
			case !strings.HasPrefix(line, "kubectl "):
				commands = append(commands, line)
			}
		}
		// The name of the Service is an address here.
		text := strings.ReplaceAll(strings.Join(commands, ""), "DNS:attache", "DNS:attache,IP:127.0.0.1")
		run := exec.Command("sh", "-e", "-c", text)
		run.Dir = dir
		if out, err := run.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	for _, files := range secrets {
		for name, file := range files {
			text, err := os.ReadFile(filepath.Join(dir, file))
			if err != nil {
				t.Fatal(err)
			}
			files[name] = string(text)
		}
	}
	return secrets
}

// TestSharedManifest runs shared.yaml in the same way. All its Envoys are on one
// machine here and have one port in common, so the rollout is that of Attaché;
// that of Envoy is above. Names of Services are the addresses of two places, in
// each of which there is one replica at a time.
func TestSharedManifest(t *testing.T) {
	m := readManifest(t, manifestFiles[1])
	old, changed := mockModel(t)
	xds, places := &endpoints{port: "18000"}, []*endpoints{{port: "18001"}, {port: "18001"}}
	xdsHost, xdsPort, _ := net.SplitHostPort(xds.listen(t))
	c := newCluster(t, m, old, changed,
		"attache:18001", places[0].listen(t)+","+places[1].listen(t),
		`address: "attache", port_value: 18000`, `address: "`+xdsHost+`", port_value: `+xdsPort)
	c.ports["3000"] = strconv.Itoa(envoytest.Ports(t, 1)[0])
	maps.Copy(c.secrets, xdsSecrets(t))

	var replicas []*pod
	for _, place := range places {
		p := c.start(m.deployments["attache"]).ready()
		xds.add(p)
		place.add(p)
		replicas = append(replicas, p)
	}
	envoys := []*pod{c.start(m.deployments["envoy"]).ready(), c.start(m.deployments["envoy"]).ready()}

	// Each replica tells of the Envoys that are connected to it.
	acknowledged := func() bool {
		told := ""
		for _, p := range replicas {
			out, err := p.exec("status")
			if err != nil || strings.Contains(out, "has not acknowledged") {
				return false
			}
			told += out
		}
		return !slices.ContainsFunc(envoys, func(p *pod) bool { return !strings.Contains(told, "envoy "+p.name+" (") })
	}
	serves := func(p *pod) string {
		out, _ := p.exec("status")
		if w := regexp.MustCompile(`: (\w+) serves since`).FindStringSubmatch(out); w != nil {
			return w[1]
		}
		return ""
	}
	c.until(acknowledged)
	if a, b := serves(replicas[0]), serves(replicas[1]); a == "" || a != b {
		t.Errorf("the replicas do not agree: %q, %q", a, b)
	}
	envoy := envoys[0]
	c.until(func() bool { return envoy.answers("Answer in one sentence.") })

	// Whoever has no certificate of ours is told nothing.
	stranger, err := tls.Dial("tcp", "127.0.0.1:"+replicas[0].ports["18000"], &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err == nil { // it is told with the first answer, in TLS 1.3
		_, err = stranger.Read(make([]byte, 1))
		stranger.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "certificate required") {
		t.Errorf("xDS without a certificate: %v", err)
	}

	load := startLoad("http://127.0.0.1:"+c.ports["3000"]+chatPath, func() *http.Transport { return &http.Transport{} })

	// Edits that one replica has some time before the other. Whichever is asked for
	// the chain of a route, it runs the one of that name; and if it has none of that
	// name, for the route is a new one, the other replica is asked.
	edit := func(old, changed, seen string) {
		t.Helper()
		before := load.count()
		c.edit(old, changed, replicas[0])
		c.until(func() bool { return serves(replicas[0]) != serves(replicas[1]) && load.count() > before+200 })
		replicas[1].renew()
		c.until(func() bool {
			return serves(replicas[0]) == serves(replicas[1]) && acknowledged() && envoy.answers(seen)
		})
	}
	edit("Answer in one sentence.", "Answer in one word.", "Answer in one word.")
	edit("    - policies:\n", "    - name: chat\n      policies:\n", "Answer in one word.")

	// A rollout of Attaché.
	for i, place := range places {
		leaving, next := replicas[i], c.start(m.deployments["attache"]).ready()
		for _, service := range []*endpoints{xds, place} {
			service.add(next)
			service.remove(leaving)
		}
		leaving.end()
		replicas[i] = next
		c.until(acknowledged)
	}
	load.end(t)
}

// count is how many requests were made.
func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.requests
}
