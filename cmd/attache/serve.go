package main

import (
	"cmp"
	"context"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-multierror"

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/extprocsvc"
	"github.com/attache-dev/attache/translator"
	"github.com/attache-dev/attache/xds"
)

// app is the composition root: the one place where the file, the chains, the
// resources and the two services meet.
type app struct {
	path  string
	alone *string // see source
	opts  translator.Options
	log   *slog.Logger
	tell  func(mistakes error) // reports those of a refused edit

	extproc *extprocsvc.Server
	xds     *xds.Server
	keep    stateFile
	// ask has our Envoy check an edit before it is published; nil where Envoy is
	// somewhere else.
	ask func(*built) error
	// ports tells whether our Envoy can have those of an edit; nil at the start, and
	// where Envoy is somewhere else.
	ports *ports

	// turn lets one at a time decide what serves: an edit, or an answer of an
	// Envoy. good is the last that was acknowledged, nil before the first, and
	// kept the last of those that was finally.
	turn                sync.Mutex
	serving, good, kept *built
	rejected            rejection
	waiting             *config.Config // refused for ports that somebody has; only follow knows it
	moved               chan struct{}  // holds one token: we went back, and other files matter

	ahead *built         // see prepare; nil if nothing is
	read  *config.Config // what was read before the first build, which is quicker with it; or nil

	mu    sync.Mutex
	state state
	named []string // the files that the latest attempt to load asked for
}

// state is what has become of the file.
type state struct {
	// Digest, LoadedAt and Config are those of the configuration that serves.
	Digest   string
	LoadedAt time.Time
	Config   *config.Config
	// Refused is why the file as it stands now does not serve; nil if it does.
	Refused   error
	RefusedAt time.Time
	// ByEnvoy tells that it was good for us, and an Envoy has refused it.
	ByEnvoy bool
	// RollBacks counts how often that made us go back.
	RollBacks int
}

func newApp(path string, log *slog.Logger) *app {
	return &app{path: path, log: log, moved: make(chan struct{}, 1)}
}

// apply is the whole reload story. Everything that may fail comes first and has
// touched nothing that runs when it does.
func (a *app) apply() error {
	src := a.source()
	next, err := a.build(src)
	a.setNamed(src.named)
	a.waiting = nil
	if err == nil && a.ports != nil {
		if err = a.ports.take(next.config); err != nil {
			a.waiting = next.config
		}
	}
	if err != nil {
		a.refuse(err)
		return err
	}
	a.turn.Lock()
	defer a.turn.Unlock()
	if a.repeats(next) {
		return a.rejected.err
	}
	if !a.unchanged(next) {
		a.commit(next)
	}
	a.ahead = nil
	return nil
}

// prepare does the work of apply while it is not certain yet that the file is
// complete. If it is, apply finds everything made.
func (a *app) prepare() {
	if next, err := a.build(a.source()); err == nil {
		a.ahead = next
	}
}

// build has our Envoy check what was made of the file, and leaves the resources
// away: the snapshot has their bytes.
func (a *app) build(src *source) (*built, error) {
	b, err := src.build(config.Options{Previous: a.read}, a.opts)
	if err != nil || b.resources == nil { // without them it was here before
		return b, err
	}
	if a.ask != nil {
		if err := a.ask(b); err != nil {
			return nil, err
		}
	}
	b.resources = nil
	return b, nil
}

// source is the file, beside what was made of it last.
func (a *app) source() *source {
	a.turn.Lock()
	defer a.turn.Unlock()
	return &source{path: a.path, alone: a.alone, followed: true, before: cmp.Or(a.ahead, a.serving)}
}

// install lets both services work by a configuration. It cannot fail. The chains
// go first: Envoy must never name a chain that the service does not know.
func (a *app) install(next *built) (changed []string) {
	a.extproc.Install(next.chains)
	if a.alone == nil {
		changed = a.xds.Publish(next.snapshot)
	} else {
		a.extproc.Forget(0) // who names a profile gets its current chain
	}
	a.serving = next
	return changed
}

// commit puts a configuration in force. It cannot fail.
func (a *app) commit(next *built) {
	changed := a.install(next)
	a.accept(next)

	for _, w := range next.config.Warnings {
		a.log.Warn(w.Msg, "place", w.Place())
	}
	if a.alone != nil {
		a.keepText(next) // no Envoy is asked first
	}
	a.log.Info("configuration applied", "file", next.config.File, "hash", next.digest, "changed", len(changed))
}

// start is the first apply. A bad file is an error, unless an earlier run has
// kept a good one: then that serves, degraded.
func (a *app) start() error {
	err := a.apply()
	a.read = nil
	defer debug.FreeOSMemory() // a whole file takes more to read than to keep
	if err == nil || !a.keep.exists() {
		return err
	}
	kept, keptErr := a.build(&source{path: a.keep.path(), alone: a.alone, followed: true})
	if keptErr != nil {
		return multierror.Append(err, keptErr)
	}
	a.turn.Lock()
	defer a.turn.Unlock()
	a.commit(kept)
	a.refuse(err)
	return nil
}

// repeats tells whether the file says what an Envoy has refused. Then it stays
// refused, and what serves stays.
func (a *app) repeats(next *built) bool {
	if next.digest != a.rejected.digest {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.state.Refused, a.state.RefusedAt, a.state.ByEnvoy = a.rejected.err, a.rejected.at, true
	return true
}

// unchanged tells whether the file says what already serves. It heals a refusal
// that an undone edit has left.
func (a *app) unchanged(next *built) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.state.Digest != next.digest {
		return false
	}
	if a.state.Refused != nil {
		a.state.Refused, a.state.ByEnvoy = nil, false
		a.log.Info("the file is good again; nothing has changed", "file", a.path, "hash", next.digest)
	}
	return true
}

func (a *app) accept(next *built) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if old := a.state.Config; old != nil && old.Process != next.config.Process {
		a.log.Warn("a setting below config changed; it takes effect after a restart", "file", a.path)
	}
	a.state = state{Digest: next.digest, LoadedAt: time.Now(), Config: next.config, RollBacks: a.state.RollBacks}
}

// refuse keeps the last good configuration and tells everybody why.
func (a *app) refuse(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.state.Refused, a.state.RefusedAt, a.state.ByEnvoy = err, time.Now(), false
	if a.state.Config == nil {
		return // at start: the caller prints the mistakes
	}
	mistakes := config.Errors(err)
	a.tell(err)
	a.log.Error("the file is refused; the last good configuration keeps serving", "file", a.path, "mistakes", len(mistakes), "serving", a.state.Digest)
}

func (a *app) current() state {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.state
}

func (a *app) setNamed(files []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.named = files
}

// watched are the files whose edits are edits of the configuration: the file,
// what the configuration that serves names, and what a refused one asked for.
func (a *app) watched() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	files := append([]string{a.path}, a.named...)
	if a.state.Config != nil {
		files = append(files, a.state.Config.Named...)
	}
	return files
}

// An edit that waits for a port looks whether it is free after portPause, then
// after twice as long, and so on up to maxPortPause.
const portPause, maxPortPause = 200 * time.Millisecond, 5 * time.Second

// follow applies every edit until ctx is done, and one that waits for a port when
// the port is free. Two signals that would end everything, with what is in hand, do
// not: SIGHUP has it look at once, as it has other servers, and SIGPIPE only says that
// whoever reads the log has ended.
func (a *app) follow(ctx context.Context, w watcher) {
	hangUp := make(chan os.Signal, 1)
	signal.Notify(hangUp, syscall.SIGHUP)
	defer signal.Stop(hangUp)
	signal.Ignore(syscall.SIGPIPE)
	pause := portPause
	w.Set(a.watched())
	for {
		var again <-chan time.Time
		if a.waiting != nil {
			again = time.After(pause)
		}
		select {
		case <-ctx.Done():
			return
		case <-w.Pauses():
			a.prepare()
			continue
		case <-w.Events():
			pause = portPause
			_ = a.apply() // reported, and kept in the state
		case <-hangUp:
			_ = a.apply()
		case <-again:
			pause = min(2*pause, maxPortPause)
			if a.ports.missing(a.waiting) == nil {
				_ = a.apply()
			}
		case <-a.moved:
		}
		w.Set(a.watched())
	}
}

// watcher is what follow needs of watch.Watcher.
type watcher interface {
	Set(paths []string)
	Pauses() <-chan struct{}
	Events() <-chan struct{}
}

// chainGrace is how long a request may take from its route to its chain.
const chainGrace = 30 * time.Second

// chainMemory is how long the chains of earlier configurations are kept for an
// Envoy that is behind. It is longer than a listener drains.
const chainMemory = time.Hour

// forgetChains lets the service drop the chains of earlier configurations, each
// time that no Envoy has anything of them left, draining listeners included.
func (a *app) forgetChains(ctx context.Context) {
	tick := time.NewTicker(chainGrace)
	defer tick.Stop()
	for {
		changed := a.xds.Changed()
		if a.xds.Status().Synced {
			a.extproc.Forget(chainGrace)
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-tick.C:
			// An Envoy that never catches up gets, in place of a chain that is
			// gone, the current one of the same name.
			a.extproc.Forget(chainMemory)
		}
	}
}
