package envoy

import (
	"strings"
	"testing"
)

func TestLogWriter(t *testing.T) {
	long := strings.Repeat("x", maxLine+10)
	for _, test := range []struct {
		name   string
		writes []string
		want   string
	}{
		{"nothing", nil, ""},
		{
			"records, however they are cut",
			[]string{"[warning][main] o", "ne\n[error][config] two\n[crit", "ical][x] three"},
			"envoy: [warning][main] one\nenvoy: [error][config] two\nenvoy: [critical][x] three\n",
		},
		{
			"what comes before the log",
			[]string{"PARSE ERROR: no\n\n  such option\r\n"},
			"envoy: PARSE ERROR: no\nenvoy:   such option\n",
		},
		{
			"what a crash leaves",
			[]string{
				"[critical][backtrace] Caught Segmentation fault\n",
				"ActiveStream 0x1, request_headers_:\n'authorization', 'Bearer SECRET'\n",
				"[critical][backtrace] #1: main\nmore SECRET\n",
			},
			"envoy: [critical][backtrace] Caught Segmentation fault\n" +
				"envoy: (lines that are not of its log are left out, they may quote requests)\n" +
				"envoy: [critical][backtrace] #1: main\n",
		},
		{
			"a line without end",
			[]string{long, long, "\n[info][x] next\n"},
			"envoy: " + long[:maxLine] + "…\nenvoy: [info][x] next\n",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out strings.Builder
			w := &logWriter{to: &out}
			for _, text := range test.writes {
				if n, err := w.Write([]byte(text)); n != len(text) || err != nil {
					t.Errorf("wrote %d of %d, %v", n, len(text), err)
				}
			}
			w.flush()
			if out.String() != test.want {
				t.Errorf("got %q\nwant %q", out.String(), test.want)
			}
		})
	}
}
