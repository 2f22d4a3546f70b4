package config

import (
	"slices"
	"testing"
)

func TestExpand(t *testing.T) {
	env := map[string]string{"A": "1", "EMPTY": "", "Ünï_2": "u", "1": "one", "a.b": "dot", "D": "$A"}
	for _, tc := range []struct {
		in, out string
		missing []string
	}{
		{"plain", "plain", nil},
		{"$A", "1", nil},
		{"x${A}y", "x1y", nil},
		{"$A$A", "11", nil},
		{"$Ünï_2!", "u!", nil},
		{"$1", "one", nil},
		{"${a.b}", "dot", nil},
		{"$$A", "$A", nil},
		{"$$$A", "$1", nil},
		{"${A:-d}", "1", nil},
		{"${NOPE:-d}", "d", nil},
		{"${NOPE:-}", "", nil},
		{"${EMPTY:-d}", "", nil},
		{"$D", "$A", nil}, // a value is not expanded again
		{"^/a$", "^/a$", nil},
		{`a$"`, `a$"`, nil},
		{"$ x$)", "$ x$)", nil},
		{"${never closed", "${never closed", nil},
		{"$NOPE-${ALSO}", "-", []string{"NOPE", "ALSO"}},
		{"${}", "", []string{""}},
	} {
		out, missing := expand(tc.in, func(name string) (string, bool) { v, ok := env[name]; return v, ok })
		if out != tc.out || !slices.Equal(missing, tc.missing) {
			t.Errorf("expand(%q) = %q, missing %q; want %q, %q", tc.in, out, missing, tc.out, tc.missing)
		}
	}
}

func TestSoleVariable(t *testing.T) {
	for in, want := range map[string]string{
		"$KEY": "KEY", "${KEY}": "KEY", "${KEY:-x}": "KEY",
		"x$KEY": "", "$KEY-x": "", "${A}${B}": "", "$": "", "${": "", "${}": "", "$$KEY": "",
	} {
		if got, ok := soleVariable(in); ok != (want != "") || ok && got != want {
			t.Errorf("soleVariable(%q) = %q, %v; want %q", in, got, ok, want)
		}
	}
}
