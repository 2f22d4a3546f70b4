package llm

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"
)

// FuzzAnything: what can be read is sent on as it came, is JSON or a plain
// text, and hides nothing of either.
func FuzzAnything(f *testing.F) {
	for _, body := range []string{`{"error":{"message":"m","message":"n"}}`, `["a",1.5e3]`, `"a\u0040"`, "no \"luck\"\n", "", " null ", `{"a":`, "{\"a\":1}\x00", "},{\"x\":1", `1,"b":"c"`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var d Doc
		plain, err := d.ScanAnything(body)
		if err != nil {
			return
		}
		if got := UnwrapAnything(d.Append(nil), plain); !bytes.Equal(got, body) {
			t.Fatalf("%q became %q", body, got)
		}
		read := texts(&d)
		if plain {
			if json.Valid(body) || len(body) > 0 && !slices.Equal(read, []string{"-1  other: " + string(body)}) {
				t.Fatalf("of %q only %q is read", body, read)
			}
			return
		}
		if !json.Valid(body) {
			t.Fatalf("%q is read as JSON", body)
		}
		var all any
		mustUnmarshal(t, body, &all)
		if said, ok := all.(string); ok && said != "" && !slices.Equal(read, []string{"-1  other: " + said}) {
			t.Fatalf("of %q only %q is read", body, read)
		}
		if _, err := d.ScanAnything(UnwrapAnything(d.Append(nil), plain)); err != nil {
			t.Fatal(err)
		}
	})
}
