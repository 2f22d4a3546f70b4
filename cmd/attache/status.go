package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

func statusCommand(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	fs := flags("status", "[flags]")
	admin := fs.String("admin", "", "the admin `ADDR` of the running process; default $ADMIN_ADDR, then localhost:15000")
	asJSON := fs.Bool("json", false, "print everything, as JSON")
	if code, ok := parseAll(fs, args, stdout, stderr); !ok {
		return code
	}
	addr := adminAddr(*admin)
	body, err := fetch(ctx, addr, "/status")
	if err != nil {
		fail(stderr, exitFailure, err)
		hint(stderr, adminHint)
		return exitFailure
	}
	if *asJSON {
		stdout.Write(body)
	}
	var r statusReport
	if err := json.Unmarshal(body, &r); err != nil {
		return fail(stderr, exitFailure, fmt.Errorf("%s does not answer like attache: %w", addr, err))
	}
	if !*asJSON {
		printStatus(stdout, &r)
	}
	if !r.Config.Synchronized || len(r.XDS.Refused()) > 0 {
		return exitConfig
	}
	return exitGood
}

func printStatus(w io.Writer, r *statusReport) {
	word := "ready"
	if !r.Ready {
		word = "not ready: " + strings.Join(r.Pending, "; ")
	}
	fmt.Fprintf(w, "attache %s, %s\n", r.Version, word)
	fmt.Fprintf(w, "%s: %s serves since %s\n", r.Config.File, r.Config.Hash, r.Config.LoadedAt.Format(time.DateTime))
	if !r.Config.Synchronized {
		by := ""
		if r.Config.RefusedByEnvoy {
			by = " by Envoy"
		}
		fmt.Fprintf(w, "the file as it stands is refused%s:\n", by)
		for _, m := range r.Config.Mistakes {
			fmt.Fprintf(w, "  %s\n", m)
		}
	}
	for _, m := range r.Config.Warnings {
		fmt.Fprintln(w, m)
	}
	for _, n := range r.XDS.Nodes {
		state := "has not acknowledged everything"
		if n.Acknowledged {
			state = "has acknowledged everything"
		}
		fmt.Fprintf(w, "envoy %s (%s) %s\n", n.ID, n.UserAgentVersion, state)
		for _, nack := range n.Nacks {
			fmt.Fprintf(w, "  %s %s, %s: %s\n", refusing(nack), nack.Resource, nack.Place, nack.Message)
		}
	}
	switch {
	case r.Alone:
		fmt.Fprintf(w, "ext_proc streams: %d open, %d so far\n", r.ExtProc.OpenStreams, r.ExtProc.StartedStreams)
	case len(r.XDS.Nodes) == 0:
		fmt.Fprintln(w, "no Envoy is connected")
	}
	for _, p := range r.Processors {
		switch {
		case p.Error != "":
			fmt.Fprintf(w, "processor %s, %s: %s\n", p.Name, p.Where, p.Error)
		case !p.Checked:
			fmt.Fprintf(w, "processor %s, %s: not checked yet\n", p.Name, p.Where)
		}
	}
}

const adminHint = "--admin or $ADMIN_ADDR tells where the process answers (config.adminAddr)"

// adminAddr is where a running process answers: what the flag says, else the
// environment, else the default.
func adminAddr(given string) string {
	return cmp.Or(given, os.Getenv("ADMIN_ADDR"), "localhost:15000")
}

// fetch asks the HTTP server at an ADDR.
func fetch(ctx context.Context, addr, path string) ([]byte, error) {
	client := &http.Client{Timeout: 10 * time.Second}
	if socket, ok := strings.CutPrefix(addr, "unix:"); ok {
		client.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		}}
		addr = "localhost"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s%s answers %s", addr, path, resp.Status)
	}
	return body, err
}
