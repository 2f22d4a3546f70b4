package main

import (
	"cmp"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/xds"
)

// readinessPoll is how often a port that should open is tried.
const readinessPoll = 20 * time.Millisecond

// pending lists what stands in the way of readiness. serve is ready when a
// configuration is loaded; run moreover when Envoy has acknowledged all of it
// and listens. Having been ready, run stays so while its Envoy is connected: an
// edit that is under way, or that Envoy refuses, leaves it with what it had.
func (s *services) pending() []string {
	if s.leaving.Load() {
		return []string{"about to end"}
	}
	state := s.app.current()
	if state.Config == nil {
		return []string{"no configuration is loaded"}
	}
	if !s.flags.runsEnvoy {
		return nil
	}
	x := s.app.xds.Status()
	if len(x.Nodes) == 0 {
		return []string{"Envoy has not connected"}
	}
	if s.wasReady.Load() {
		return nil
	}
	pending := refusedResources(x)
	if len(pending) == 0 && !x.Acknowledged {
		pending = []string{"Envoy has not acknowledged the configuration"}
	}
	if len(pending) == 0 {
		pending = s.dialed.pending(x.Version, reachedAt(state.Config))
	}
	if len(pending) == 0 {
		s.wasReady.Store(true)
	}
	return pending
}

// degraded lists what is wrong although we serve.
func (s *services) degraded() (reasons []string) {
	for _, e := range config.Errors(s.app.current().Refused) {
		reasons = append(reasons, "the file is refused: "+e.Error())
	}
	return append(reasons, refusedResources(s.app.xds.Status())...)
}

func refusedResources(x xds.Status) (lines []string) {
	for _, nack := range x.Refused() {
		lines = append(lines, fmt.Sprintf("Envoy %s %s (%s): %s", refusing(nack), nack.Resource, nack.Place, nack.Message))
	}
	return lines
}

// refusing is what an Envoy does with a resource: refuse it, or not be able to
// have it.
func refusing(n xds.Nack) string {
	if n.Content {
		return "refuses"
	}
	return "cannot have"
}

// reachedAt are the addresses at which this machine reaches the listeners.
func reachedAt(c *config.Config) map[string]bool {
	all := map[string]bool{}
	for _, l := range c.Listeners {
		all[net.JoinHostPort(cmp.Or(l.Address, "127.0.0.1"), strconv.Itoa(int(l.Port)))] = true
	}
	return all
}

// dialed remembers which addresses of a version have been seen to accept: Envoy
// acknowledges a listener some milliseconds before it listens.
type dialed struct {
	mu      sync.Mutex
	version string
	open    map[string]bool
}

func (d *dialed) pending(version string, addresses map[string]bool) (pending []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.version != version {
		d.version, d.open = version, map[string]bool{}
	}
	for address := range addresses {
		if d.open[address] {
			continue
		}
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err != nil {
			pending = append(pending, fmt.Sprintf("Envoy does not listen on %s yet", address))
			continue
		}
		conn.Close()
		d.open[address] = true
	}
	return pending
}

// readinessHandler answers /healthz/ready as agentgateway does: 200 "ready", or
// 500 with what is pending. A refused edit is told, but does not make us
// unready: that would take a gateway that serves well out of its service.
func (s *services) readinessHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz/ready", func(w http.ResponseWriter, _ *http.Request) {
		if pending := s.pending(); len(pending) > 0 {
			http.Error(w, strings.Join(pending, "\n"), http.StatusInternalServerError)
			return
		}
		fmt.Fprintln(w, "ready")
		for _, reason := range s.degraded() {
			fmt.Fprintf(w, "degraded: %s\n", reason)
		}
	})
	return mux
}
