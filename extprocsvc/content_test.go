package extprocsvc

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/attache-dev/attache/config"
)

// TestContent: what is written by hand is what package json writes, or refs would
// not be those of other processes.
func TestContent(t *testing.T) {
	for _, content := range [][]any{
		nil,
		{},
		{nil, []any(nil), []any{}, []string(nil), []string{}},
		{"", "plain", "a/b:c*~ d", `"`, `\`, "<", ">", "&", "\n", "\x7f", "é", "\u2028", "\xff"},
		{true, false, uint64(0), uint64(1<<64 - 1), time.Duration(-1), time.Hour, 7, -7, 1.5},
		{config.Completions, config.APIType("<"), config.APIs(nil), config.APIs{{Suffix: "/x", Type: config.Messages}}},
		{[]any{"a", []any{nil, "b"}, []any{}}, config.FailOpen, config.SelectJWT, config.ModelsListed},
		{json.RawMessage(`["inner",{"a":1}]`), map[string]int{"b": 1, "a": 2}, []config.Field{{Name: "n", JSON: json.RawMessage("1")}}},
	} {
		want, err := json.Marshal(content)
		if err != nil {
			t.Fatal(err)
		}
		if got := encode("test", content); string(got) != string(want) {
			t.Errorf("%#v: got %s, want %s", content, got, want)
		}
	}
}
