package main

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/xds"
)

// rejection is a configuration that was published and that an Envoy has refused.
// It is not published again as long as the file says the same.
type rejection struct {
	digest string
	err    error
	at     time.Time
}

// settle acts on what the Envoys answer until ctx is done.
func (a *app) settle(ctx context.Context) {
	for {
		changed := a.xds.Changed() // before the look, so that nothing is missed
		var again <-chan time.Time
		if wait := a.judge(); wait > 0 {
			again = time.After(wait)
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-again:
		}
	}
}

// judge keeps what is accepted and takes back what is refused. It returns when to
// look again at the latest; 0 is when something has changed.
func (a *app) judge() (again time.Duration) {
	a.turn.Lock()
	defer a.turn.Unlock()
	switch v := a.xds.Judge(); {
	case v.Accepted:
		a.acknowledged(v.Final)
		return v.Again
	case len(v.Refused) > 0:
		a.rollBack(v.Refused)
		return 0
	default:
		return v.Again
	}
}

// acknowledged makes what serves the configuration to go back to, now and, if that
// is final, after a restart.
func (a *app) acknowledged(final bool) {
	a.good = a.serving
	if !final || a.good == a.kept {
		return
	}
	a.kept = a.good
	if a.settled(a.good.digest) {
		a.rejected = rejection{}
	}
	a.keepText(a.good)
	a.log.Info("the configuration is acknowledged", "hash", a.good.digest)
}

// keepText keeps a configuration for a restart.
func (a *app) keepText(b *built) {
	if err := a.keep.save(b.text); err != nil {
		a.log.Error("the last good configuration cannot be kept for a restart", "error", err)
	}
}

// settled forgets that a configuration was refused which is now in force. It
// tells whether the file is what serves.
func (a *app) settled(digest string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.rejected.digest == digest {
		a.state.Refused, a.state.ByEnvoy = nil, false
	}
	return a.state.Refused == nil
}

// rollBack puts the last acknowledged configuration in force again, on every
// Envoy and with its chains. Where there is none, what serves is as much of the
// refused one as the Envoys have taken.
func (a *app) rollBack(nacks []xds.Nack) {
	bad := a.serving
	err := refusals(bad.config.File, nacks)
	if a.rejected.digest == bad.digest && a.rejected.err.Error() == err.Error() {
		return // told before; there was nothing to go back to
	}
	a.rejected = rejection{bad.digest, err, time.Now()}
	if a.good == bad {
		a.good = nil // an Envoy that joined later refuses it
	}
	good := a.fallback(bad)
	if good != nil {
		a.install(good)
	}
	a.reject(good)

	a.tell(err)
	if good == nil {
		a.log.Error("Envoy refuses the configuration, and there is none to go back to", "hash", bad.digest, "refused", len(nacks))
		return
	}
	a.log.Error("Envoy refuses the configuration; the last good one serves again", "hash", bad.digest, "refused", len(nacks), "serving", good.digest)
	select {
	case a.moved <- struct{}{}:
	default:
	}
}

// fallback is what to serve instead of a refused configuration: the last that was
// acknowledged, now or in an earlier run; nil if there is none.
func (a *app) fallback(bad *built) *built {
	if a.good != nil || !a.keep.exists() {
		return a.good
	}
	kept, err := a.build(&source{path: a.keep.path(), followed: true})
	switch {
	case err != nil:
		a.log.Error("the configuration that was kept cannot be used", "file", a.keep.path(), "error", err)
		return nil
	case kept.digest == bad.digest:
		return nil
	}
	return kept
}

// reject notes what serves instead of the configuration that was refused; nil is
// that nothing does. A mistake in a file that was edited since goes before.
func (a *app) reject(good *built) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.state.Refused == nil {
		a.state.Refused, a.state.RefusedAt, a.state.ByEnvoy = a.rejected.err, a.rejected.at, true
	}
	if good != nil {
		a.state.Digest, a.state.LoadedAt, a.state.Config = good.digest, time.Now(), good.config
		a.state.RollBacks++
	}
}

// refusals are the mistakes that Envoys have found, each once, whoever found it.
func refusals(file string, nacks []xds.Nack) error {
	type what struct{ resource, place, message string }
	nodes := map[what][]string{}
	var order []what
	for _, n := range nacks {
		w := what{n.Resource, n.Place, n.Message}
		if nodes[w] == nil {
			order = append(order, w)
		}
		nodes[w] = append(nodes[w], n.Node)
	}
	var list []*config.Error
	for _, w := range order {
		who := "Envoy " + nodes[w][0]
		if more := len(nodes[w]) - 1; more > 0 {
			who += fmt.Sprintf(" (and %d more)", more)
		}
		e := placed(file, w.place)
		e.Kind = config.Refused
		e.Msg = fmt.Sprintf("%s refuses what this becomes, %s: %s", who, w.resource, w.message)
		list = append(list, e)
	}
	return config.Join(list)
}

// behindFile is a place without its file: line, column and path.
var behindFile = regexp.MustCompile(`^:(\d+):(\d+)(?:: (.*))?$`)

// placed reads the place of a resource, which config.Error.Place has written.
func placed(file, place string) *config.Error {
	e := &config.Error{File: file}
	rest, _ := strings.CutPrefix(place, file)
	if m := behindFile.FindStringSubmatch(rest); m != nil {
		e.Line, _ = strconv.Atoi(m[1])
		e.Column, _ = strconv.Atoi(m[2])
		e.Path = m[3]
	}
	return e
}
