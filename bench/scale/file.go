package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
)

// A file is the configuration that is edited.
type file struct {
	path     string
	port     int    // of the listener
	upstream string // host:port
	hosts    int
	// chains gives each route a chain of its own in our service, as every route
	// to a model has one: a processor, and the model that the file names.
	chains bool
	// versions tell how often each route was edited.
	versions []int
}

// route is where requests for a route go, and what they are answered.
func (f *file) route(i int) (host, path, answer string) {
	host = "127.0.0.1"
	if f.hosts > 1 {
		host = f.host(i)
	}
	return host, fmt.Sprintf("/api/%d", i), f.answer(i)
}

func (f *file) host(i int) string { return fmt.Sprintf("host-%d.example.com", i%f.hosts) }

// answer is the path, or the model, that the upstream sees.
func (f *file) answer(i int) string {
	if f.chains {
		return fmt.Sprintf("model-%d-%d", i, f.versions[i])
	}
	return fmt.Sprintf("/version/%d/%d", i, f.versions[i])
}

func (f *file) text() []byte {
	var b bytes.Buffer
	if f.chains {
		b.WriteString(`processors:
- name: rules
  type: system-prompt
  params: {modify: true, rules: [Be brief.]}
profiles:
- name: default
  inputStages:
  - name: enrich
    steps: [{name: rules}]
`)
	}
	fmt.Fprintf(&b, "binds:\n- port: %d\n  listeners:\n  - routes:\n", f.port)
	for i := range f.versions {
		fmt.Fprintf(&b, "    - name: route-%d\n", i)
		if f.hosts > 1 {
			fmt.Fprintf(&b, "      hostnames: [%s]\n", f.host(i))
		}
		fmt.Fprintf(&b, "      matches:\n      - path: {pathPrefix: /api/%d}\n", i)
		if f.chains {
			fmt.Fprintf(&b, `      policies:
        extProc: {profile: default}
      backends:
      - ai:
          name: model
          provider: {openAI: {model: %s}}
          hostOverride: %s
`, f.answer(i), f.upstream)
		} else {
			fmt.Fprintf(&b, "      policies:\n        urlRewrite: {path: {full: %s}}\n      backends:\n      - host: %s\n", f.answer(i), f.upstream)
		}
	}
	return b.Bytes()
}

// replace puts a text in the place of the file, at once.
func (f *file) replace(text []byte) error {
	next := filepath.Join(filepath.Dir(f.path), "next")
	if err := os.WriteFile(next, text, 0o600); err != nil {
		return err
	}
	return os.Rename(next, f.path)
}
