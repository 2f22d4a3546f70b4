package e2e

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// A filter is written by hand: what is not said has Envoy's default.
type filter struct {
	profile string
	mode    map[string]string // processing_mode, without the suffix _mode
	more    map[string]any    // of the filter
}

func (f filter) yaml() any {
	mode := map[string]any{}
	for k, v := range f.mode {
		mode[k+"_mode"] = v
	}
	typed := map[string]any{
		"@type": "type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor",
		"grpc_service": map[string]any{
			"envoy_grpc":       map[string]any{"cluster_name": "attache/ext_proc"},
			"initial_metadata": []any{map[string]any{"key": "x-attache-profile", "value": f.profile}},
		},
		"message_timeout": "20s",
		"processing_mode": mode,
	}
	for k, v := range f.more {
		typed[k] = v
	}
	return map[string]any{"name": "ep", "typed_config": typed}
}

// modes are the parts of a processing_mode, "request_body BUFFERED, …".
func modes(text string) map[string]string {
	m := map[string]string{}
	for part := range strings.SplitSeq(text, ", ") {
		k, v, _ := strings.Cut(part, " ")
		m[k] = v
	}
	if m["request_body"] == "FULL_DUPLEX_STREAMED" && m["request_trailer"] == "" {
		m["request_trailer"] = "SEND"
	}
	if m["response_body"] == "FULL_DUPLEX_STREAMED" && m["response_trailer"] == "" {
		m["response_trailer"] = "SEND"
	}
	return m
}

// modesFile has one more profile, which looks at nothing.
const modesFile = existingFile + "- {name: idle}\n"

// Every mode that an Envoy may be configured with works, or is refused with the
// reason in the answer and in the log.
func TestEveryModeOfAnEnvoy(t *testing.T) {
	const (
		full    = "FULL_DUPLEX_STREAMED"
		sees    = "response_header SEND, "
		hidden  = "500 the gateway is not shown what it has to read: its ext_proc filter has "
		allowed = "allow_mode_override"
	)
	loop := http.Header{"X-Loop": {"1"}}
	again := "200 " + strings.Repeat("again ", 100)
	yes := func(key string) map[string]any { return map[string]any{key: true} }
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write([]byte(asked))
	z.Close()

	type row struct {
		profile, mode string
		more          map[string]any
		upstream      bool
		body          string
		header        http.Header
		want          string
	}
	rows := []row{
		// A chain that changes requests.
		{profile: "brief", mode: "request_body " + full, want: "200 " + told},
		{profile: "brief", mode: "request_body BUFFERED", want: "200 " + told},
		{profile: "brief", mode: "request_body BUFFERED, request_trailer SEND, response_trailer SEND", want: "200 " + told},
		{profile: "brief", mode: "request_body BUFFERED, response_header SKIP", want: "200 " + told},
		{profile: "brief", mode: "request_body " + full + ", response_body STREAMED", want: "200 " + told},
		{profile: "brief", mode: "request_body " + full + ", response_body BUFFERED", want: "200 " + told},
		{profile: "brief", mode: "request_body BUFFERED", more: yes(allowed), want: "200 " + told},
		{profile: "brief", mode: "request_body " + full, more: yes("allow_content_length_header"), want: "200 " + told},
		{profile: "brief", mode: "request_body STREAMED", want: hidden + "request_body_mode STREAMED"},
		{profile: "brief", mode: "request_body STREAMED", more: yes("send_body_without_waiting_for_header_response"), want: hidden + "request_body_mode STREAMED"},
		{profile: "brief", mode: "request_body BUFFERED_PARTIAL", want: hidden + "request_body_mode BUFFERED_PARTIAL"},
		{profile: "brief", mode: "request_body NONE", want: hidden + "request_body_mode NONE"},
		{profile: "brief", mode: "request_header SKIP, request_body BUFFERED", want: hidden + "request_header_mode SKIP"},
		{profile: "brief", mode: "request_header SKIP, request_body " + full, want: hidden + "request_header_mode SKIP"},
		{profile: "brief", mode: "request_header SKIP, request_body NONE", want: hidden + "request_header_mode SKIP"},
		{profile: "brief", mode: "request_body BUFFERED", upstream: true, want: "200 behind: " + told},
		{profile: "brief", mode: "request_body " + full, body: zipped.String(), header: http.Header{"Content-Encoding": {"gzip"}}, want: "200 " + told},
		{profile: "brief", mode: "request_body BUFFERED", body: zipped.String(), header: http.Header{"Content-Encoding": {"gzip"}}, want: "200 " + told},

		// A chain that reads responses too.
		{profile: "watched", mode: sees + "request_body " + full + ", response_body " + full, want: "200 " + told},
		{profile: "watched", mode: sees + "request_body BUFFERED, response_body BUFFERED", want: "200 " + told},
		{profile: "watched", mode: sees + "request_body BUFFERED, response_body " + full, header: loop, want: "422 "},
		{profile: "watched", mode: sees + "request_body " + full + ", response_body BUFFERED", header: loop, want: "422 "},
		{profile: "watched", mode: sees + "request_body " + full + ", response_body " + full, header: http.Header{"X-Gzip": {"1"}}, want: "200 " + told},
		{profile: "watched", mode: sees + "request_body BUFFERED, response_body STREAMED", want: hidden + "response_body_mode STREAMED"},
		{profile: "watched", mode: sees + "request_body BUFFERED, response_body BUFFERED_PARTIAL", want: hidden + "response_body_mode BUFFERED_PARTIAL"},
		{profile: "watched", mode: sees + "request_body BUFFERED, response_body NONE", want: hidden + "response_body_mode NONE"},
		{profile: "watched", mode: "response_header SKIP, request_body BUFFERED, response_body BUFFERED", want: "unexpected EOF"}, // its headers have left

		{profile: "watched", mode: "request_header SKIP, request_body NONE, response_header SKIP, response_body BUFFERED", want: "unexpected EOF"},
		{profile: "watched", mode: "request_header SKIP, request_body NONE, response_header SKIP, response_body STREAMED", want: "unexpected EOF"},
		{profile: "watched", mode: "request_header SKIP, request_body NONE, response_header SKIP, response_body " + full, want: "unexpected EOF"},

		// A chain that needs no body decides wherever it is asked first.
		{profile: "closed", mode: "request_body NONE", want: "422 Not here"},
		{profile: "closed", mode: "request_body STREAMED", want: "422 Not here"},
		{profile: "closed", mode: "request_body " + full, want: "422 Not here"},
		{profile: "closed", mode: "request_header SKIP, request_body BUFFERED", want: "422 Not here"},
		{profile: "closed", mode: "request_header SKIP, request_body STREAMED", want: "422 Not here"},
		{profile: "closed", mode: "request_header SKIP, request_body NONE", want: "422 Not here"},
		{profile: "idle", mode: "request_header SKIP, request_body NONE", want: "200 " + asked},

		// Looking on: nothing has an effect, and everything is recorded.
		{profile: "watched", mode: sees + "request_body STREAMED, response_body STREAMED", more: yes("observability_mode"), header: loop, want: again},
		{profile: "watched", mode: sees + "request_body BUFFERED, response_body " + full, more: yes("observability_mode"), header: loop, want: again},
		{profile: "closed", mode: "request_body NONE", more: yes("observability_mode"), want: "200 " + asked},
	}
	// Where nothing is to be changed, nothing is, in any pair of modes.
	big := `{"x":"` + strings.Repeat("0123456789", 30_000) + `"}`
	for _, request := range []string{"NONE", "STREAMED", "BUFFERED", "BUFFERED_PARTIAL", full} {
		for _, response := range []string{"NONE", "STREAMED", "BUFFERED", "BUFFERED_PARTIAL", full} {
			for _, header := range []string{"SEND", "SKIP"} {
				mode := fmt.Sprintf("request_body %s, response_body %s, response_header %s", request, response, header)
				rows = append(rows, row{profile: "idle", mode: mode, body: big, want: "200 " + big})
			}
		}
	}
	for _, response := range []string{"NONE", "STREAMED", "BUFFERED", "BUFFERED_PARTIAL", full} {
		for _, trailer := range []string{"SEND", "SKIP"} {
			if trailer == "SKIP" && response == full {
				continue // Envoy refuses it
			}
			mode := fmt.Sprintf("request_body BUFFERED, response_body %s, response_trailer %s", response, trailer)
			rows = append(rows, row{profile: "idle", mode: mode, body: big, header: http.Header{"X-Trailer": {"1"}, "Te": {"trailers"}}, want: "200 " + big})
		}
	}
	rows = append(rows, row{profile: "idle", mode: "request_body STREAMED, response_body STREAMED", more: yes("send_body_without_waiting_for_header_response"), body: big, want: "200 " + big})

	s := extProcService(t, modesFile, "--log-level", "debug")
	doc, _ := printed(t, "envoy", modesFile, "--extproc", s.addresses["extproc"])
	sites := make([]site, len(rows))
	for i, r := range rows {
		sites[i] = site{filter: filter{r.profile, modes(r.mode), r.more}.yaml(), upstream: r.upstream}
	}
	at := staticEnvoy(t, echoModel(t), doc["clusters"].([]any), sites...)
	for i, r := range rows {
		body := r.body
		if body == "" {
			body = asked
		}
		got := ask(t, at[i], body, r.header)
		if got != r.want && (r.want == "" || !strings.HasSuffix(r.want, " ") || !strings.HasPrefix(got, r.want)) {
			t.Errorf("%s, %s, %v: got %.300s, want %.300s", r.profile, r.mode, r.more, got, r.want)
		}
	}
	for _, want := range []string{
		`level=ERROR msg="the ext_proc filter does not show us what the chain must read; requests are refused with 500"`,
		`level=WARN msg="the ext_proc filter is in observability_mode: the chain runs and is recorded, and nothing that it says has an effect"`,
	} {
		wait(t, want, func() bool { return strings.Contains(s.text(t), want) })
	}
	wait(t, "a record of what was looked on at", func() bool {
		return strings.Contains(run(t, 0, "explain", "--json", "--admin", s.addresses["admin"]), `"unheard": true`)
	})
}
