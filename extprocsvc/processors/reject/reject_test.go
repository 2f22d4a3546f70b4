package reject

import (
	"testing"

	"github.com/attache-dev/attache/extprocsvc"
	"github.com/attache-dev/attache/extprocsvc/extproctest"
)

func TestReadme(t *testing.T) { extproctest.README(t) }

func TestParams(t *testing.T) {
	for yaml, want := range map[string]string{
		`{}`:           "",
		`{detail: no}`: "",
		`{detail: ""}`: `f:1:10: detail: must not be empty; leave it out for the standard text`,
	} {
		got := ""
		if _, err := build(extprocsvc.Setup{Params: extproctest.Params(t, yaml)}); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", yaml, got, want)
		}
	}
}

func TestParamsOfTheWrongShape(t *testing.T) {
	for _, yaml := range []string{`{detail: 1}`, `{details: a}`, `[a]`} {
		if _, err := build(extprocsvc.Setup{Params: extproctest.Params(t, yaml)}); err == nil {
			t.Errorf("%s was accepted", yaml)
		}
	}
}

func TestStandardDetail(t *testing.T) {
	p, err := build(extprocsvc.Setup{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := p.(processor).ProcessRequest(t.Context(), nil)
	if err != nil || r.Rejection == nil || r.Rejection.Detail != "Request rejected by policy" {
		t.Errorf("got %+v, %v", r, err)
	}
}
