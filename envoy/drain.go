package envoy

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// drainPoll is how often a draining Envoy is asked what it has in hand.
const drainPoll = 20 * time.Millisecond

// drain asks the Envoy behind an admin address to take no new connections and to
// tell the clients that it has to go elsewhere, and returns when it has nothing
// in hand any more, or ctx is done.
func drain(ctx context.Context, admin string) error {
	a := newAdminClient(admin)
	defer a.http.CloseIdleConnections()
	// The first makes every answer the last one of its connection; it would go on
	// listening for the whole of --drain-time-s. The second stops that.
	for _, path := range []string{"/drain_listeners?graceful&skip_exit", "/drain_listeners"} {
		if err := a.call(ctx, "POST", path, nil); err != nil {
			return err
		}
	}
	tick := time.NewTicker(drainPoll)
	defer tick.Stop()
	// A request may be on its way when there is none for the first time.
	for none, last := 0, -1; ; {
		n, err := a.inHand(ctx)
		switch {
		case err != nil && ctx.Err() != nil && last >= 0:
			return cut(last) // the time was up while it was asked again
		case err != nil:
			return err
		}
		if last, none = n, none+1; n > 0 {
			none = 0
		}
		if none == 2 {
			return nil
		}
		select {
		case <-ctx.Done():
			return cut(n)
		case <-tick.C:
		}
	}
}

func cut(requests int) error { return fmt.Errorf("cut requests: %d", requests) }

// adminClient talks to an admin interface.
type adminClient struct {
	http *http.Client
	host string
}

func newAdminClient(addr string) adminClient {
	network, address, host := "tcp", addr, addr
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		network, address, host = "unix", path, "envoy"
	}
	return adminClient{host: host, http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, address)
		},
	}}}
}

// call makes a request and reads the answer into a value, if there is one.
func (a adminClient) call(ctx context.Context, method, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+a.host+path, nil)
	if err != nil {
		return err
	}
	resp, err := a.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("envoy's admin interface answers %s with %s", path, resp.Status)
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

// inHand counts the requests, and the connections that are not for HTTP.
func (a adminClient) inHand(ctx context.Context) (n int, err error) {
	var answer struct {
		Stats []struct {
			Name  string
			Value int
		}
	}
	filter := url.QueryEscape(`^http\..*\.downstream_rq_active$|^tcp\..*\.downstream_cx_active$`)
	if err := a.call(ctx, "GET", "/stats?format=json&filter="+filter, &answer); err != nil {
		return 0, err
	}
	for _, s := range answer.Stats {
		if !strings.HasPrefix(s.Name, "http.admin.") {
			n += s.Value
		}
	}
	return n, nil
}
