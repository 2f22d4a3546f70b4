package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/attache-dev/attache/bench/measuring"
	"github.com/attache-dev/attache/envoy/envoytest"
)

// TestMeasure runs the smallest sizes, so that the program works when somebody
// needs it, and checks what must hold at every size.
func TestMeasure(t *testing.T) {
	attache := filepath.Join(t.TempDir(), "attache")
	if out, err := exec.Command("go", "build", "-o", attache, "../../cmd/attache").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s := sizes{routes: []int{3}, hosts: []int{1, 2}, envoys: []int{1, 3}, fleetRoutes: 3, edits: 2}
	r, err := measure(t.Context(), s, programs{attache, envoytest.Find(t).Path}, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	if len(r.One) != 4 || len(r.Fleet) != 4 {
		t.Fatalf("%d sizes with one Envoy and %d with several", len(r.One), len(r.Fleet))
	}
	for _, o := range r.One {
		if o.Resources != 1 {
			t.Errorf("%s: an edit sends %v resources, want the one that has changed", o.title(), o.Resources)
		}
		if o.EditBytes <= 0 || o.EditBytes >= o.FirstBytes || len(o.Live.All) != s.edits || o.Load <= 0 || o.Join <= 0 || o.Attache.Idle <= 0 || o.Envoy.Peak <= 0 {
			t.Errorf("%s: %+v", o.title(), o)
		}
	}
	for _, f := range r.Fleet {
		if f.Resources != 1 {
			t.Errorf("%s: an edit sends %v resources to each, want the one that has changed", f.title(), f.Resources)
		}
		if f.EditBytes <= 0 || len(f.Acked.All) != s.edits || f.Attache.Peak <= 0 {
			t.Errorf("%s: %+v", f.title(), f)
		}
	}
}

// TestPage: the tables of the page are those of the latest figures.
func TestPage(t *testing.T) {
	results, err := filepath.Glob("../results/scale-*.json")
	if err != nil || len(results) == 0 {
		t.Fatal("no results", err)
	}
	var r report
	if err := measuring.Read(slices.Max(results), &r); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/scale.md")
	if err != nil {
		t.Fatal(err)
	}
	made, err := measuring.Into(string(page), maker, r.tables())
	if err != nil {
		t.Fatal(err)
	}
	if made != string(page) {
		t.Error("docs/scale.md is not what the latest figures say; run go run ./bench/scale -render FILE -doc docs/scale.md")
	}
}
