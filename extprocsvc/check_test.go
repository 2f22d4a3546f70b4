package extprocsvc_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/attache-dev/attache/extprocsvc"
)

// A checked processor says of itself what its params say.
type checked struct {
	Down    string `yaml:"down"`
	Refuses string `yaml:"refuses"`
}

func (*checked) ProcessRequest(context.Context, *extprocsvc.Request) (extprocsvc.Result, error) {
	return extprocsvc.Result{}, nil
}

func (c *checked) Check(ctx context.Context) error {
	switch {
	case c.Down == "never answers":
		<-ctx.Done()
		return ctx.Err()
	case c.Down != "":
		return errors.New(c.Down)
	case c.Refuses != "":
		return fmt.Errorf("%w: %s", extprocsvc.ErrRefused, c.Refuses)
	}
	return nil
}

var checkers = func() *extprocsvc.Registry {
	var r extprocsvc.Registry
	r.Register(extprocsvc.Kind{
		Name: "checked", Phases: extprocsvc.InputPhase,
		New: func(s extprocsvc.Setup) (extprocsvc.Processor, error) {
			c := &checked{}
			return c, s.Params.Decode(c)
		},
	})
	return &r
}()

// What a processor cannot do is found out in the background, with its line, and
// forgotten with the edit that takes it away.
func TestChecks(t *testing.T) {
	var log lines
	s := start(t, checkers.Build, extprocsvc.Options{Log: slog.New(slog.NewTextHandler(&log, nil))}, stages("failClosed", `
  - {name: s, steps: [{name: well}, {name: down}, {name: refuses}, {name: slow}]}`,
		`{name: well, type: checked}`, `{name: down, type: checked, params: {down: nobody is there}}`,
		`{name: refuses, type: checked, params: {refuses: a param is wrong}}`, `{name: slow, type: checked, params: {down: never answers}}`))
	t.Cleanup(s.Close)
	words := func() (list []string) {
		for _, f := range s.Findings() {
			list = append(list, fmt.Sprintf("%s %s %v %v %v", f.Processor, f.Where, f.Checked, f.Refused, f.Err))
		}
		return list
	}
	want := []string{
		"down f:10:37: profiles[0].inputStages[0].steps[1] true false nobody is there",
		"refuses f:10:51: profiles[0].inputStages[0].steps[2] true true refused: a param is wrong",
		"slow f:10:68: profiles[0].inputStages[0].steps[3] false false <nil>",
		"well f:10:23: profiles[0].inputStages[0].steps[0] true false <nil>",
	}
	until(func() bool {
		return strings.Count(log.String(), "cannot do its work") == 2 && strings.Count(strings.Join(words(), " "), "true") >= 4
	})
	if got := words(); !slices.Equal(got, want) {
		t.Errorf("got  %s\nwant %s", strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
	if text := log.String(); !strings.Contains(text, "where=\"f:10:37: profiles[0].inputStages[0].steps[1]\"") || !strings.Contains(text, "refused=true") {
		t.Errorf("the log says %s", text)
	}

	cfg := parse(t, stages("failClosed", `
  - {name: s, steps: [{name: well}]}`, `{name: well, type: checked}`))
	chains, err := checkers.Build(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.Install(chains)
	until(func() bool { return len(s.Findings()) == 1 && s.Findings()[0].Checked })
}
