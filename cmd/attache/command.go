package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/attache-dev/attache/config"
)

// Exit codes, of every command.
const (
	exitGood    = 0
	exitConfig  = 1 // the configuration is bad
	exitUsage   = 2 // the command line is bad
	exitFailure = 3 // something else failed
)

// subcommand is one word of the command line. Its run gets the arguments
// behind the word and returns an exit code.
type subcommand struct {
	name    string
	summary string
	run     func(ctx context.Context, args []string, stdout, stderr io.Writer) int
}

// subcommands returns the table, in the order of the usage text.
func subcommands() []subcommand {
	return []subcommand{
		{"run", "control plane, ext_proc service and an Envoy: one command, one machine", runCommand},
		{"serve", "control plane and ext_proc service; Envoys join over xDS", serveCommand},
		{"extproc", "the ext_proc service alone, for an Envoy that somebody already runs", extProcCommand},
		{"validate", "every mistake of a file, with its place", validateCommand},
		{"convert", "F5's aigw.yaml in Attaché's form", convertCommand},
		{"translate", "the Envoy resources that a file becomes, as YAML", translateCommand},
		{"bootstrap", "the Envoy bootstrap that joins serve", bootstrapCommand},
		{"drain", "wait for SIGTERM, then for the clients of an Envoy to go elsewhere", drainCommand},
		{"schema", "the JSON Schema of the file, for editors", schemaCommand},
		{"status", "what is loaded and what each Envoy has acknowledged", statusCommand},
		{"explain", "one decision: what ran, what it said, which line decided", explainCommand},
		{"mock-llm", "a small OpenAI- and Anthropic-compatible upstream", mockLLM},
		{"version", "the version", versionCommand},
	}
}

// command is the whole program as a function of its arguments.
func command(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		usage(stderr)
		return exitUsage
	}
	switch word := args[0]; {
	case word == "help" && len(args) == 2:
		return command(ctx, []string{args[1], "-h"}, stdout, stderr)
	case word == "help" || word == "-h" || word == "--help":
		usage(stdout)
		return exitGood
	case word == "-V" || word == "--version":
		return versionCommand(ctx, nil, stdout, stderr)
	case slices.Contains(args, "--validate-only"):
		// agentgateway's spelling of validate.
		rest := slices.DeleteFunc(slices.Clone(args), func(a string) bool { return a == "--validate-only" })
		return validateCommand(ctx, rest, stdout, stderr)
	case strings.HasPrefix(word, "-"):
		// agentgateway's command line: no word, and -f FILE.
		return runCommand(ctx, args, stdout, stderr)
	default:
		for _, c := range subcommands() {
			if c.name == word {
				return c.run(ctx, args[1:], stdout, stderr)
			}
		}
		fmt.Fprintf(stderr, "attache: unknown command %q\n", word)
		hint(stderr, "attache help lists the commands")
		return exitUsage
	}
}

func usage(w io.Writer) {
	fmt.Fprint(w, "usage: attache COMMAND [flags]\n       attache -f FILE    (the same as attache run -f FILE)\n\ncommands:\n")
	for _, c := range subcommands() {
		fmt.Fprintf(w, "  %-10s %s\n", c.name, c.summary)
	}
	fmt.Fprint(w, "\nattache COMMAND -h tells the flags of a command\n")
}

// flags returns a flag set that reports in our voice. Its usage line is
// "attache NAME" and the rest.
func flags(name, rest string) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(io.Discard) // parse reports
	fs.Usage = func() {
		out := fs.Output()
		fmt.Fprintln(out, strings.TrimSpace("usage: attache "+name+" "+rest))
		fmt.Fprintln(out)
		fs.PrintDefaults()
	}
	return fs
}

// parse reads the flags. It returns false, with the exit code, when the command
// is over.
func parse(fs *flag.FlagSet, args []string, stdout, stderr io.Writer) (code int, ok bool) {
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fs.SetOutput(stdout)
		fs.Usage()
		return exitGood, false
	case err != nil:
		fmt.Fprintf(stderr, "attache: %v\n", err)
		hint(stderr, "attache "+fs.Name()+" -h tells the flags")
		return exitUsage, false
	}
	return exitGood, true
}

// parseAll is parse for a command that takes flags and nothing else.
func parseAll(fs *flag.FlagSet, args []string, stdout, stderr io.Writer) (code int, ok bool) {
	if code, ok = parse(fs, args, stdout, stderr); !ok || fs.NArg() == 0 {
		return code, ok
	}
	err := fmt.Errorf("unexpected argument %q", fs.Arg(0))
	if fs.Lookup("f") != nil {
		err = fmt.Errorf("%w; the file is given by -f", err)
	}
	return fail(stderr, exitUsage, err), false
}

// fail reports what went wrong and returns the exit code for it. A hint may
// stand on a line of its own.
func fail(stderr io.Writer, code int, err error) int {
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintf(stderr, "attache: %s\n", strings.TrimSuffix(line, "\n"))
	}
	return code
}

func hint(stderr io.Writer, text string) { fmt.Fprintf(stderr, "attache: hint: %s\n", text) }

// printMistakes writes every mistake of a configuration on a line of its own,
// beginning with its place.
func printMistakes(w io.Writer, err error) {
	for _, e := range config.Errors(err) {
		fmt.Fprintln(w, e)
	}
}

// fileList collects the values of a flag that may be given several times.
type fileList []string

func (l *fileList) String() string { return strings.Join(*l, ",") }

func (l *fileList) Set(s string) error {
	*l = append(*l, s)
	return nil
}
