package envoy

import (
	"log/slog"
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
			"level=WARN msg=\"envoy: one\" component=main\nlevel=ERROR msg=\"envoy: two\" component=config\nlevel=ERROR msg=\"envoy: three\" component=x\n",
		},
		{
			"what comes before the log",
			[]string{"PARSE ERROR: no\n\n  such option\r\n"},
			"level=WARN msg=\"envoy: PARSE ERROR: no\"\nlevel=WARN msg=\"envoy:   such option\"\n",
		},
		{
			"what a crash leaves",
			[]string{
				"[critical][backtrace] Caught Segmentation fault\n",
				"ActiveStream 0x1, request_headers_:\n'authorization', 'Bearer SECRET'\n",
				"[critical][backtrace] #1: main\nmore SECRET\n",
			},
			"level=ERROR msg=\"envoy: Caught Segmentation fault\" component=backtrace\n" +
				"level=WARN msg=\"envoy: (lines that are not of its log are left out, they may quote requests)\"\n" +
				"level=ERROR msg=\"envoy: #1: main\" component=backtrace\n",
		},
		{
			"why it gives up, without what it quotes",
			[]string{"[critical][main] error `no` initializing config 'goo.gle/debugstr   \\n secret: SECRET \\n'\n"},
			"level=ERROR msg=\"envoy: error `no` initializing config '…'\" component=main\n",
		},
		{
			"a line without end",
			[]string{long, long, "\n[info][x] next\n"},
			"level=WARN msg=\"envoy: " + long[:maxLine] + "…\"\nlevel=INFO msg=\"envoy: next\" component=x\n",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out strings.Builder
			w := &logWriter{to: slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
				if a.Key == slog.TimeKey {
					return slog.Attr{}
				}
				return a
			}}))}
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
