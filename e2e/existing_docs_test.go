package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// printedBlock is an example that a command prints: its fence tells which.
var printedBlock = regexp.MustCompile("(?ms)^```yaml attache (extproc [^\n]+)\n(.*?)^```$")

// TestPrintedExamples: what docs/existing-envoy.md shows is what the commands of
// its fences print for the file that it begins with. With -update it is rewritten.
func TestPrintedExamples(t *testing.T) {
	const doc = "../docs/existing-envoy.md"
	text, err := os.ReadFile(doc)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	first := fence.FindSubmatch(text)
	if first == nil || string(first[1]) != "yaml" {
		t.Fatalf("%s does not begin with a file", doc)
	}
	write(t, filepath.Join(dir, "attache.yaml"), string(first[2]))
	homes := map[string]bool{}
	got := printedBlock.ReplaceAllFunc(text, func(block []byte) []byte {
		args := strings.Fields(string(printedBlock.FindSubmatch(block)[1]))
		for i, a := range args[:len(args)-1] {
			if a == "--print-filter" {
				homes[args[i+1]] = true
			}
		}
		cmd := exec.Command(attache, args...)
		cmd.Dir = dir
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%q: %v", args, err)
		}
		head, _, _ := bytes.Cut(block, []byte("\n"))
		return append(append(append(bytes.Clone(head), '\n'), out...), "```"...)
	})
	if len(homes) != 4 {
		t.Errorf("%s shows %v, want all four homes", doc, homes)
	}
	if bytes.Equal(got, text) {
		return
	}
	if !*update {
		t.Errorf("%s is not what is printed; go test ./e2e -run TestPrintedExamples -update", doc)
		return
	}
	if err := os.WriteFile(doc, got, 0o644); err != nil {
		t.Fatal(err)
	}
}

// wholeEnvoy is the Envoy that docs/existing-envoy.md shows, and places are the
// lines in it that tell what goes there.
var (
	wholeEnvoy = regexp.MustCompile("(?ms)^```yaml envoy.yaml\n(.*?)^```$")
	places     = regexp.MustCompile(`(?m)^( +)# what is below (\w+) goes here.*$`)
)

// TestWalkThrough follows docs/existing-envoy.md: the file that it begins with,
// its Envoy, what the command prints put in its places, and the request.
func TestWalkThrough(t *testing.T) {
	text, err := os.ReadFile("../docs/existing-envoy.md")
	if err != nil {
		t.Fatal(err)
	}
	first, whole := fence.FindSubmatch(text), wholeEnvoy.FindSubmatch(text)
	if first == nil || whole == nil {
		t.Fatal("the page has no file, or no Envoy")
	}
	s := extProcService(t, string(first[2]))
	doc, _ := printed(t, "envoy", string(first[2]), "--extproc", s.addresses["extproc"])
	filled := map[string]bool{}
	bootstrap := places.ReplaceAllStringFunc(string(whole[1]), func(place string) string {
		m := places.FindStringSubmatch(place)
		filled[m[2]] = true
		var lines strings.Builder
		for _, part := range asList(doc[m[2]]) {
			one, err := json.Marshal(part)
			if err != nil {
				t.Fatal(err)
			}
			lines.WriteString(m[1] + "- " + string(one) + "\n")
		}
		return strings.TrimSuffix(lines.String(), "\n")
	})
	for _, key := range []string{"http_filters", "clusters", "routes"} {
		if !filled[key] {
			t.Errorf("there is no place for %s", key)
		}
	}
	ports := freePorts(2)
	model := fmt.Sprintf("127.0.0.1:%d", ports[1])
	bootstrap = strings.NewReplacer("10000", fmt.Sprint(ports[0]), "8080", fmt.Sprint(ports[1])).Replace(bootstrap)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "envoy.yaml"), bootstrap)
	mock := &service{log: filepath.Join(dir, "model.log"), process: exec.Command(attache, "mock-llm", "--addr", model)}
	mock.run(t)
	envoy := &service{log: filepath.Join(dir, "envoy.log"), process: exec.Command(envoyPath(t), "-c", filepath.Join(dir, "envoy.yaml"), "--disable-hot-restart", "--concurrency", "1", "-l", "warning", "--file-flush-interval-msec", "10")}
	envoy.run(t)

	const question = `{"model": "any", "messages": [{"role": "user", "content": "Hello!"}]}`
	var answered *http.Response
	var body []byte
	post := func() bool {
		answered, err = http.Post(fmt.Sprintf("http://127.0.0.1:%d/v1/chat/completions", ports[0]), "application/json", strings.NewReader(question))
		if err != nil {
			return false
		}
		defer answered.Body.Close()
		body, err = io.ReadAll(answered.Body)
		return err == nil && answered.StatusCode != http.StatusServiceUnavailable // the model is not there yet
	}
	wait(t, "an answer", post)
	if answered.StatusCode != 200 || !bytes.Contains(body, []byte("Answer in one sentence.")) {
		t.Errorf("%s: %s", answered.Status, body)
	}
	if got := run(t, 0, "explain", answered.Header.Get("x-attache-id"), "--admin", s.addresses["admin"]); !strings.Contains(got, "passed") {
		t.Error(got)
	}
	wait(t, "the access log", func() bool { return strings.Contains(envoy.text(t), "200 via_upstream passed -\n") })
}

func asList(v any) []any {
	list, _ := v.([]any)
	return list
}
