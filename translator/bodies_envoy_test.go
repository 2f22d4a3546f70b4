package translator_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// A chain of ours that needs no body stands behind a server that streams it, and
// no byte is lost, however the replies are timed; see bodies.go.
func TestBodyBehindAStreamInEnvoy(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n, err)
	}))
	t.Cleanup(s.Close)
	b := newTestbed(t, fmt.Sprintf(`
binds:
- port: %%d
  listeners:
  - routes:
    - name: r
      policies: {extProc: {host: EXTERNAL}, delay: {duration: 20ms}}
      backends: [{host: %q}]
`, s.Listener.Addr()), chains{"r": {}})
	big := strings.Repeat("0123456789abcdef", 1<<16)
	want := fmt.Sprint(len(big)+len("external"), " <nil>") // which adds its name
	var all sync.WaitGroup
	for range 40 {
		all.Go(func() {
			if got := b.ask(t, "POST", "", "/", big); got.body != want {
				t.Errorf("the backend got %.100s, want %s", got.body, want)
			}
		})
	}
	all.Wait()
}
