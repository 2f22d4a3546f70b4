package e2e

import (
	"fmt"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/attache-dev/attache/e2e/pythontest"
)

// pythonCommand runs a program of Python's with the packages of a file of
// requirements.
func pythonCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: python REQUIREMENTS ARG...")
	}
	cmd, err := pythontest.Command(ts.MkAbs(args[0]), args[1:]...)
	ts.Check(err)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = append(cmd.Env, scriptEnv(ts)...)
	out, err := cmd.CombinedOutput()
	fmt.Fprintf(ts.Stdout(), "%s", out)
	if err != nil {
		ts.Fatalf("%v\n%s%s", err, out, allLogs(ts))
	}
}
