package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// The schemas of Istio's and Envoy Gateway's resources are in these modules. They
// are downloaded as files, by version and sum, and are no dependency of ours.
var schemaModules = []struct{ module, sum, file string }{
	{"istio.io/api@v1.32.0", "h1:37mJvg9I0biYZAEQF+MATs4FNeCpXEIVO3LFpVb6iNM=", "kubernetes/customresourcedefinitions.gen.yaml"},
	{"github.com/envoyproxy/gateway@v1.9.1", "h1:vAVp6/AlBXJ1aOhp1mxL7fNEzVEfjADUguUhm2wzxQY=", "charts/gateway-helm/charts/crds/crds/generated/gateway.envoyproxy.io_envoyextensionpolicies.yaml"},
	{"github.com/envoyproxy/gateway@v1.9.1", "h1:vAVp6/AlBXJ1aOhp1mxL7fNEzVEfjADUguUhm2wzxQY=", "charts/gateway-helm/charts/crds/crds/generated/gateway.envoyproxy.io_backends.yaml"},
}

// A definition is a CustomResourceDefinition.
type definition struct {
	Spec struct {
		Group    string
		Names    struct{ Kind string }
		Versions []struct {
			Name   string
			Schema struct {
				OpenAPIV3Schema *schema `yaml:"openAPIV3Schema"`
			}
		}
	}
}

// schema is what is used of OpenAPI.
type schema struct {
	Type                 string
	Properties           map[string]*schema
	AdditionalProperties *yaml.Node `yaml:"additionalProperties"`
	Items                *schema
	Required             []string
	Enum                 []any
	Pattern              string
	Minimum, Maximum     *float64
	MinItems             *int  `yaml:"minItems"`
	MaxItems             *int  `yaml:"maxItems"`
	MaxLength            *int  `yaml:"maxLength"`
	IntOrString          bool  `yaml:"x-kubernetes-int-or-string"`
	Open                 bool  `yaml:"x-kubernetes-preserve-unknown-fields"`
	Nullable             *bool `yaml:"nullable"`
}

// schemas returns the schemas by group/version/kind.
func schemas(t *testing.T) map[string]*schema {
	t.Helper()
	all := map[string]*schema{}
	for _, m := range schemaModules {
		cmd := exec.Command("go", "mod", "download", "-json", m.module)
		cmd.Dir = t.TempDir() // in no module
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v %s%s", m.module, err, out, stderr.String())
		}
		var got struct{ Dir, Sum string }
		if err := json.Unmarshal(out, &got); err != nil || got.Sum != m.sum {
			t.Fatalf("%s: sum %s, want %s (%v)", m.module, got.Sum, m.sum, err)
		}
		text, err := os.ReadFile(filepath.Join(got.Dir, filepath.FromSlash(m.file)))
		if err != nil {
			t.Fatal(err)
		}
		for dec := yaml.NewDecoder(bytes.NewReader(text)); ; {
			var d definition
			if err := dec.Decode(&d); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", m.file, err)
			}
			for _, v := range d.Spec.Versions {
				all[d.Spec.Group+"/"+v.Name+" "+d.Spec.Names.Kind] = v.Schema.OpenAPIV3Schema
			}
		}
	}
	return all
}

// check lists what the API server would not take, or would drop.
func (s *schema) check(path string, v any) (wrong []string) {
	fail := func(format string, args ...any) { wrong = append(wrong, path+": "+fmt.Sprintf(format, args...)) }
	if len(s.Enum) > 0 && !slices.Contains(s.Enum, v) {
		fail("%v is none of %v", v, s.Enum)
	}
	switch v := v.(type) {
	case map[string]any:
		if s.Type != "object" {
			fail("an object, want %s", s.Type)
		}
		for _, name := range s.Required {
			if _, ok := v[name]; !ok {
				fail("%s is missing", name)
			}
		}
		for name, item := range v {
			switch known := s.Properties[name]; {
			case known != nil:
				wrong = append(wrong, known.check(path+"."+name, item)...)
			case !s.Open && s.AdditionalProperties == nil:
				fail("unknown field %s", name)
			}
		}
	case []any:
		if s.Type != "array" {
			fail("a list, want %s", s.Type)
			return wrong
		}
		if s.MinItems != nil && len(v) < *s.MinItems || s.MaxItems != nil && len(v) > *s.MaxItems {
			fail("%d items", len(v))
		}
		for i, item := range v {
			wrong = append(wrong, s.Items.check(fmt.Sprintf("%s[%d]", path, i), item)...)
		}
	case string:
		if s.Type != "string" && !s.IntOrString {
			fail("a string, want %s", s.Type)
		}
		if s.Pattern != "" && !regexp.MustCompile(s.Pattern).MatchString(v) {
			fail("%q does not match %s", v, s.Pattern)
		}
		if s.MaxLength != nil && utf8.RuneCountInString(v) > *s.MaxLength {
			fail("too long")
		}
	case int:
		if s.Type != "integer" && s.Type != "number" && !s.IntOrString {
			fail("a number, want %s", s.Type)
		}
		if s.Minimum != nil && float64(v) < *s.Minimum || s.Maximum != nil && float64(v) > *s.Maximum {
			fail("%d is out of range", v)
		}
	case bool:
		if s.Type != "boolean" {
			fail("a boolean, want %s", s.Type)
		}
	default:
		fail("%T", v)
	}
	return wrong
}

// printings are command lines that print every kind of part.
var printings = []string{
	"--profile closed",
	"--profile brief",
	"--profile watched --extproc-as attache.ai.svc.cluster.local:18001",
	"--profile open --extproc unix:/run/attache/extproc.sock",
	"--profile choosing --extproc-as 10.0.0.1:1",
	"--profile brief --tls-cert c --tls-key k --extproc-as attache.ai.svc:18001",
	"--profile brief --tls-cert c --tls-key k --tls-client-ca a --extproc-as 10.0.0.1:18001",
	"",
}

func print(t *testing.T, home, args string) []map[string]any {
	t.Helper()
	file := filepath.Join(t.TempDir(), "attache.yaml")
	write(t, file, existingFile+routesFile)
	out, err := exec.Command(attache, append([]string{"extproc", "-f", file, "--print-filter", home}, strings.Fields(args)...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	var docs []map[string]any
	for dec := yaml.NewDecoder(bytes.NewReader(out)); ; {
		var doc map[string]any
		if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
			return docs
		} else if err != nil {
			t.Fatal(err)
		}
		docs = append(docs, doc)
	}
}

// What is printed for Kubernetes is valid by the published schemas, which know
// every field of it.
func TestPrintedResourcesFitTheirSchemas(t *testing.T) {
	all := schemas(t)
	for _, home := range []string{"istio", "envoy-gateway"} {
		for _, args := range printings {
			for _, doc := range print(t, home, args) {
				kind := fmt.Sprint(doc["apiVersion"], " ", doc["kind"])
				s := all[kind]
				if s == nil {
					t.Fatalf("no schema of %s", kind)
				}
				s.Properties["metadata"] = &schema{Type: "object", Open: true}
				for _, name := range []string{"apiVersion", "kind"} {
					s.Properties[name] = &schema{Type: "string"}
				}
				for _, wrong := range s.check("", doc) {
					t.Errorf("%s %s: %s", kind, args, wrong)
				}
			}
		}
	}
	// The check finds what is wrong.
	broken := print(t, "envoy-gateway", "--profile brief")[0]
	ext := broken["spec"].(map[string]any)["extProc"].([]any)[0].(map[string]any)
	ext["processingMode"] = map[string]any{"request": map[string]any{"body": "Whole"}, "reply": 1}
	if wrong := all["gateway.envoyproxy.io/v1alpha1 EnvoyExtensionPolicy"].check("", broken); len(wrong) != 2 {
		t.Errorf("%q", wrong)
	}
}

// What Istio puts into Envoy is what an Envoy of one's own is told to take.
func TestIstioGetsEnvoysParts(t *testing.T) {
	for _, args := range printings {
		envoy := print(t, "envoy", args)[0]
		patches := print(t, "istio", args)[0]["spec"].(map[string]any)["configPatches"].([]any)
		for i, key := range []string{"http_filters", "clusters"} {
			want, _ := json.Marshal(envoy[key].([]any)[0])
			got, _ := json.Marshal(patches[i].(map[string]any)["patch"].(map[string]any)["value"])
			if !bytes.Equal(got, want) {
				t.Errorf("%s: %s differs:\n%s\n%s", args, key, got, want)
			}
		}
	}
}

// What is printed for agentgateway is what we take ourselves in its place, and it
// serves there.
func TestAgentgatewaysPartsLoad(t *testing.T) {
	dir := t.TempDir()
	ca := newAuthority(t)
	cert, key := ca.pair("client")
	for name, text := range map[string]string{"ca.pem": block64("CERTIFICATE", ca.cert.Raw), "client.pem": cert, "client.key": key} {
		write(t, filepath.Join(dir, name), text)
	}
	for _, args := range printings {
		doc := print(t, "agentgateway", args)[0]
		text, err := yaml.Marshal(map[string]any{"binds": []any{map[string]any{"port": 3000, "listeners": []any{map[string]any{
			"routes": []any{map[string]any{"policies": doc, "backends": []any{map[string]any{"host": "127.0.0.1:1"}}}}}}}}})
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, "attache.yaml")
		write(t, file, strings.ReplaceAll(string(text), "/etc/attache", dir))
		if out := run(t, 0, "validate", file); strings.Contains(out, "warning") {
			t.Errorf("%s: %s", args, out)
		}
	}
}
