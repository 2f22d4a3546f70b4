package extprocsvc

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
)

// Whatever the request declared, the length that leaves is that of the body
// that leaves, or there is none.
func TestContentLengthProperty(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	for range 100_000 {
		sent := rng.IntN(1 << rng.IntN(30))
		declared := []string{"", strconv.Itoa(sent), strconv.Itoa(rng.IntN(1000)), "0" + strconv.Itoa(sent), "-1", "x"}[rng.IntN(6)]
		f := framing(rng.IntN(3))
		set, remove := contentLength(f, declared, sent)
		left := declared
		if slices.Contains(remove, "content-length") {
			left = ""
		}
		for _, o := range set {
			if o.GetHeader().GetKey() != "content-length" || o.GetHeader().GetValue() != "" {
				t.Fatalf("sets %v", o)
			}
			left = string(o.GetHeader().GetRawValue())
		}
		want := map[framing]string{untouched: declared, whole: strconv.Itoa(sent), streamed: ""}[f]
		if left != want {
			t.Fatalf("framing %d, declared %q, sent %d: %q leaves, want %q", f, declared, sent, left, want)
		}
	}
}
