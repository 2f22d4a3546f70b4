package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/attache-dev/attache/extprocsvc"
)

// explainCommand prints one decision of a running process, found by the ID in
// the response header x-attache-id, or the latest ones without an ID.
func explainCommand(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	fs := flags("explain", "[flags] [ID]")
	admin := fs.String("admin", "", "the admin `ADDR` of the running process; default $ADMIN_ADDR, then localhost:15000")
	asJSON := fs.Bool("json", false, "print everything, as JSON")
	id := ""
	for rest := args; ; rest = fs.Args()[1:] { // flags may stand behind the ID
		if code, ok := parse(fs, rest, stdout, stderr); !ok {
			return code
		}
		if fs.NArg() == 0 {
			break
		}
		if id != "" {
			return fail(stderr, exitUsage, errors.New("explain takes one ID, that of the response header x-attache-id"))
		}
		id = fs.Arg(0)
	}
	path := "/explain"
	if id != "" {
		path += "/" + url.PathEscape(id)
	}
	addr := adminAddr(*admin)
	body, err := fetch(ctx, addr, path)
	if err != nil {
		fail(stderr, exitFailure, err)
		if strings.Contains(err.Error(), "404") {
			hint(stderr, fmt.Sprintf("the latest %d decisions are remembered; attache explain without an ID lists some", extprocsvc.RingSize))
		} else {
			hint(stderr, adminHint)
		}
		return exitFailure
	}
	if *asJSON {
		stdout.Write(body)
		return exitGood
	}
	if id != "" {
		var r extprocsvc.Record
		if err = json.Unmarshal(body, &r); err == nil {
			printRecord(stdout, &r)
		}
	} else {
		var list []extprocsvc.Record
		if err = json.Unmarshal(body, &list); err == nil {
			for i := range list {
				fmt.Fprintln(stdout, headline(&list[i]))
			}
		}
	}
	if err != nil {
		return fail(stderr, exitFailure, fmt.Errorf("%s does not answer like attache: %w", addr, err))
	}
	return exitGood
}

// headline is a decision in a line.
func headline(r *extprocsvc.Record) string {
	words := []string{r.ID, r.Time.Format(time.DateTime), string(r.Verdict)}
	if r.Reason != "" {
		words = append(words, r.Reason)
	}
	if r.Step != "" {
		words = append(words, "by "+r.Stage+"/"+r.Step)
	}
	return strings.Join(words, " ")
}

// collected tells why a stream came all at once.
func collected(r *extprocsvc.Record) string {
	if !r.Collected {
		return ""
	}
	return "the stream, since a step has to see the whole answer"
}

func printRecord(w io.Writer, r *extprocsvc.Record) {
	fmt.Fprintln(w, headline(r))
	for _, f := range []struct{ name, value string }{
		{"decided by", r.Where}, {"not read", r.Unread}, {"collected", collected(r)}, {"profile", r.Profile}, {"service", r.Service}, {"backend", r.Backend},
		{"tags", strings.Join(r.Tags, ", ")}, {"chain", r.Chain}, {"took", r.Duration.String()},
	} {
		if f.value != "" {
			fmt.Fprintf(w, "  %-11s %s\n", f.name, f.value)
		}
	}
	for _, s := range r.Steps {
		said := string(s.Verdict)
		for _, f := range []struct {
			when bool
			word string
		}{
			{s.Reason != "", s.Reason}, {s.Modified, "modified"}, {s.Observed, "observed only"},
			{s.Dropped != 0, "without the right to " + s.Dropped.String()}, {s.Response, "on the response"},
		} {
			if f.when {
				said += ", " + f.word
			}
		}
		fmt.Fprintf(w, "  %s/%s: %s, %s (%s)\n", s.Stage, s.Step, said, s.Duration.Round(time.Microsecond), s.Where)
	}
	if r.Gateway != nil {
		fmt.Fprintln(w, "before, in the gateway phase:")
		printRecord(w, r.Gateway)
	}
}
