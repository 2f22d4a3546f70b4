package config

import (
	"fmt"
	"strings"
	"testing"
)

// TestSourceLine: ^ in the text is where the place is, … what is not shown.
func TestSourceLine(t *testing.T) {
	const route = "binds:\n- port: 1\n  listeners:\n  - routes:\n    - policies:\n"
	for _, tc := range []struct {
		name, src    string
		line, column int
		want         string // with ^ before the column; empty if nothing is shown
	}{
		{"a value", "binds:\n- port: many # really\n", 2, 9, "- port: ^many # really"},
		{"a key", "binds:\n- prot: 1\n", 2, 3, "- ^prot: …"},
		{"a variable", "binds:\n- port: $PORT\n", 2, 9, "- port: ^$PORT"},
		{"a mapping", "binds: {}\n", 1, 8, "binds: ^{}"},
		{"a line of its own", "binds:\n- port: 1\n  listeners:\n    {}\n", 4, 5, ""},
		{"a secret", route + "        backendAuth:\n          key: sk-secret\n", 7, 11, "          ^key: …"},
		{"the place of a secret", route + "        backendAuth:\n          key: sk-secret\n", 7, 16, "          key: ^…"},
		{"a secret's variable", route + "        backendAuth: {key: $SECRET}\n", 6, 23, "        backendAuth: {^key: …"},
		{"a secret in between", route + "        backendAuth: {key: \"sk-secret\", gcp: {}, kye: sk-secret}\n", 6, 50, "        backendAuth: {key: … gcp: {}, ^kye: …"},
		{"a secret that is misplaced", route + "        backendAuth: sk-secret\n", 6, 22, "        backendAuth: ^…"},
		{"a secret in both of its forms", route + "        backendAuth: {key: {value: sk-secret, file: /run/key}}\n", 6, 47, "        backendAuth: {key: {value: … ^file: /run/key}}"},
		{"a secret that is there twice", route + "        backendAuth: {key: sk-secret, key: sk-secret}\n", 6, 39, "        backendAuth: {key: … ^key: …"},
		{"a secret under an unknown key", route + "        backendAht: {key: sk-secret}\n", 6, 9, "        ^backendAht: {key: …"},
		{"a secret under an unsupported key", "config: {caAuthToken: sk-secret}\n", 1, 10, "config: {^caAuthToken: …"},
		{"a secret in params", "processors: [{params: {token: sk-secret}, name: 1}]\n", 1, 49, "processors: [{params: {token: … name: ^1}]"},
		{"a secret in a key that is no key", "? {sk-secret: 1}\n: binds\n", 1, 1, "^? {… …"},
		{"a secret of two lines", route + "        backendAuth: {key: \"sk-\n          secret\", gcp: {}}\n", 7, 20, ""},
		{"a secret in a block", route + "        backendAuth:\n          key: |\n            sk-secret\n          gcp: {}\n", 9, 11, "          ^gcp: {}"},
		{"the line of that", route + "        backendAuth:\n          key: |\n            sk-secret\n          gcp: {}\n", 8, 13, ""},
		{"a secret by alias", "config: {adminAddr: &k sk-secret}\n" + route + "        backendAuth: {key: *k}\n", 1, 10, "config: {^adminAddr: …"},
		{"a secret with a tag", route + "        backendAuth: {key: !!str sk-secret}\n", 6, 23, "        backendAuth: {^key: …"},
		{"what is no YAML", "binds: [\n  key: sk-secret: 1\n", 2, 3, ""},
		{"F5's file", "server: {address: 1, tls: {enabled: 1}}\n", 1, 37, "server: {address: 1, tls: {enabled: ^1}}"},
		{"tabs, letters of two bytes, carriage returns", "processors: [{name: \"ä\tö\u202e\", type: 1}]\r\n", 1, 35, "processors: [{name: \"ä ö \", type: ^1}]"},
		{"a long line", "processors: [{name: " + strings.Repeat("a", 99) + ", type: 1, timeout: " + strings.Repeat("b", 99) + "}]\n", 1, 128, "…" + strings.Repeat("a", 52) + ", type: ^1, timeout: " + strings.Repeat("b", 48) + "…"},
		{"every break of YAML", "a: sk-secret\rb: sk-secret\u2028c: sk-secret\u0085processors: 1\n", 4, 13, "processors: ^…"},
		{"a byte order mark", "\ufeffbinds:\n- port: many\n", 1, 1, "^binds:"},
		{"a line that is not there", "binds: []\n", 9, 1, ""},
		{"no line", "binds: []\n", 0, 0, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text, caret, ok := NewSource([]byte(tc.src)).Line(tc.line, tc.column)
			got := ""
			if ok {
				got = string([]rune(text)[:caret]) + "^" + string([]rune(text)[caret:])
			}
			if got != tc.want {
				t.Errorf("got  %q\nwant %q", got, tc.want)
			}
		})
	}
}

// TestSourceShowsNoSecret: at no place of a file full of secrets.
func TestSourceShowsNoSecret(t *testing.T) {
	src := "x: &s SECRET\nprocessors: [{name: a, params: {k: SECRET, SECRET: *s}, type: [SECRET]}]\n" +
		"llm: {apiKey: SECRET}\nbinds:\n- listeners:\n  - routes:\n    - policies: {backendAuth: {key: {value: SECRET}}, backendTLS: {key: [SECRET]}}\n" +
		"      backends: [{ai: {backendAuth: {key: 'SECRET', kye: \"SECRET\", key: SEC\n  RET}}, policies: {backendAuth: SECRET}}]\n"
	src = strings.ReplaceAll(src, "SECRET: *s", "b: *s") // keys are names, and shown
	s := NewSource([]byte(src))
	shown := 0
	for i, line := range strings.Split(src, "\n") {
		for column := range len(line) + 2 {
			text, _, ok := s.Line(i+1, column)
			if strings.Contains(text, "SEC") || strings.Contains(text, "RET") {
				t.Errorf("%d:%d shows %q", i+1, column, text)
			}
			if ok {
				shown++
			}
		}
	}
	if shown == 0 {
		t.Error("nothing is shown at all")
	}
}

func FuzzSource(f *testing.F) {
	f.Add("binds:\n- port: 1\n  listeners: [{}]\n", 2, 9)
	f.Add("a: \"b\n  c\", d: &e [*e]\n", 2, 6)
	f.Add("\ufeffa: b\rc: d\u2028e: f\u0085", 2, 1)
	f.Fuzz(func(t *testing.T, src string, line, column int) {
		text, caret, ok := NewSource([]byte(src)).Line(line, column)
		if n := len([]rune(text)); ok && (caret < 0 || n > 2*60+2) {
			t.Error(fmt.Sprint(caret, n))
		}
	})
}
