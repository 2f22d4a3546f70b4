package config

import "testing"

func TestRespell(t *testing.T) {
	src := "# ünïcode\nä: {old: 1, 'old': 2, \"old\" : old}\nold: x\n"
	at := func(line, column int32) rename { return rename{keyPlace{"old", line, column}, "current"} }
	got := string(respell([]byte(src), []rename{at(2, 5), at(2, 13), at(2, 23), at(3, 1), at(9, 1), at(3, 99)}))
	if want := "# ünïcode\nä: {current: 1, 'current': 2, \"current\" : old}\ncurrent: x\n"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
