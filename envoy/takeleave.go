package envoy

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// Admin is the admin interface of an Envoy that somebody else has started.
type Admin struct{ client adminClient }

// NewAdmin returns the admin interface at host:port, or at unix: and an absolute
// path. Nothing is connected to yet.
func NewAdmin(addr string) (*Admin, error) {
	if _, err := parseAddress(addr); err != nil {
		return nil, fmt.Errorf("admin address %q: %w", addr, err)
	}
	return &Admin{newAdminClient(addr)}, nil
}

// TakeLeave makes Envoy ask its clients, each with its next response, to connect
// again, which leads elsewhere once nothing points here any more. That takes the
// others the time settle, for which new connections are served like the old ones.
// TakeLeave returns when it is over and no connection is left, or when ctx is done,
// then with the number of those that are.
func (a *Admin) TakeLeave(ctx context.Context, settle time.Duration) (open int, err error) {
	defer a.client.http.CloseIdleConnections()
	asked := context.WithoutCancel(ctx) // what is left is to be known at the end, too
	// From here on Envoy answers with connection: close (HTTP/1) or GOAWAY (HTTP/2).
	if err := a.client.call(asked, "POST", "/healthcheck/fail", nil); err != nil {
		return 0, err
	}
	settled := time.After(settle)
	tick := time.NewTicker(drainPoll)
	defer tick.Stop()
	for waiting := true; ; {
		if open, err = a.client.connections(asked); err != nil {
			return 0, err
		}
		if !waiting && open == 0 {
			return 0, nil
		}
		select {
		case <-ctx.Done():
			return open, nil
		case <-settled:
			waiting = false
		case <-tick.C:
		}
	}
}

// connections counts those of the listeners. The admin interface's do not count,
// and those of a worker are in its listener's figure.
func (a adminClient) connections(ctx context.Context) (n int, err error) {
	var answer struct {
		Stats []struct {
			Name  string
			Value int
		}
	}
	filter := url.QueryEscape(`^listener\..*\.downstream_cx_active$`)
	if err := a.call(ctx, "GET", "/stats?format=json&filter="+filter, &answer); err != nil {
		return 0, err
	}
	for _, s := range answer.Stats {
		if !strings.HasPrefix(s.Name, "listener.admin.") && !strings.Contains(s.Name, ".worker_") {
			n += s.Value
		}
	}
	return n, nil
}
