package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"

	"github.com/rogpeppe/go-internal/testscript"
)

// echoCommand starts an upstream that answers with the body, path, headers
// and trailers that it got, and with a trailer of its own.
func echoCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 || args[0] != "start" {
		ts.Fatalf("usage: echo start ADDR")
	}
	l, err := net.Listen("tcp", args[1])
	ts.Check(err)
	s := &http.Server{Handler: http.HandlerFunc(echo)}
	go s.Serve(l)
	of(ts).servers = append(of(ts).servers, s)
}

func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Trailer", "X-Echo")
	fmt.Fprintf(w, "echo: %s\necho path: %s\n", body, r.URL.RequestURI())
	print := func(kind string, h http.Header) {
		for name, values := range h {
			slices.Sort(values)
			for _, v := range values {
				fmt.Fprintf(w, "echo %s: %s: %s\n", kind, name, v)
			}
		}
	}
	print("header", r.Header)
	print("trailer", r.Trailer)
	w.Header().Set("X-Echo", "a trailer")
}
