package envoy

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// An Envoy that does not answer any more when its time is up had in hand what it
// said last.
func TestDrainTellsWhatIsCut(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	asked := 0
	admin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/stats" {
			return
		}
		if asked++; asked == 2 {
			cancel()
			<-r.Context().Done()
		}
		fmt.Fprint(w, `{"stats":[{"name":"http.admin.downstream_rq_active","value":1},{"name":"http.a.downstream_rq_active","value":2}]}`)
	}))
	defer admin.Close()
	if err := drain(ctx, strings.TrimPrefix(admin.URL, "http://")); err == nil || err.Error() != "cut requests: 2" {
		t.Errorf("got %v", err)
	}
}
