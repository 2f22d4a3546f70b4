package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestDrain: what drain says where it cannot do as asked. What it does to the
// clients of a real Envoy is in e2e/kubernetes_test.go.
func TestDrain(t *testing.T) {
	// An Envoy that two connections stay with, whatever it is told. It is no
	// matter to whom its own are, or which worker has the two.
	var asked []string
	stubborn := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.Path)
		fmt.Fprint(w, `{"stats":[{"name":"listener.admin.downstream_cx_active","value":1},
			{"name":"listener.0.0.0.0_3000.downstream_cx_active","value":2},
			{"name":"listener.0.0.0.0_3000.worker_0.downstream_cx_active","value":2}]}`)
	}))
	defer stubborn.Close()
	gone := httptest.NewServer(nil)
	gone.Close()
	at := func(s *httptest.Server) string { return strings.TrimPrefix(s.URL, "http://") }

	ended, end := context.WithCancel(t.Context())
	end()
	for _, test := range []struct {
		args string
		code int
		says string
	}{
		{"--envoy-admin " + at(stubborn) + " --settle 0s --limit 0s", exitFailure, "attache: 2 connections are still open after 0s"},
		{"--envoy-admin " + at(gone), exitFailure, "refused"},
		{"--envoy-admin nowhere", exitUsage, "want host:port or unix:/path"},
		{"--settle 10s --limit 9s", exitUsage, "--limit 9s is less than --settle 10s"},
		{"now", exitUsage, `unexpected argument "now"`},
	} {
		var out, told bytes.Buffer
		if code := drainCommand(ended, strings.Fields(test.args), &out, &told); code != test.code || !strings.Contains(told.String(), test.says) {
			t.Errorf("drain %s: %d, %s", test.args, code, told.String())
		}
	}
	if len(asked) == 0 || asked[0] != "POST /healthcheck/fail" {
		t.Errorf("Envoy was asked %q", asked)
	}
}
