package main

import "testing"

func TestCutShort(t *testing.T) {
	const before = "binds:\n- port: 3000\n  listeners:\n  - routes: []\n- port: 3001\n"
	for _, test := range []struct {
		name, now string
		want      bool
	}{
		{"the whole", before, false},
		{"nothing", "", false},
		{"cut in a line", before[:len(before)-3], true},
		{"cut behind an edit", "binds:\n- port: 4000\n  listen", true},
		{"a line less", before[:len(before)-len("- port: 3001\n")], false},
		{"blanks at the end", before[:len("binds:\n- port: 3000\n")] + "  ", false},
		{"only without the line break at the end", before[:len(before)-1], false},
		{"another last line without one", before + "- port: 3002", false},
	} {
		if got := cutShort([]byte(before), []byte(test.now)); got != test.want {
			t.Errorf("%s: got %t", test.name, got)
		}
	}
	if cutShort([]byte(before[:len(before)-1]), []byte(before[:len(before)-3])) {
		t.Error("a text without a line break at its end is missed by nobody")
	}
}
