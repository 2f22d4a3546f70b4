package watch

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Options says how patient a Watcher is. A zero field means the default.
type Options struct {
	Quiet   time.Duration // how long the files must be quiet before an event; default 100 ms
	MaxHold time.Duration // how long an event waits for quiet at most; default 1 s
	Poll    time.Duration // how often to look without having been told; default 2 s
}

func (o Options) withDefaults() Options {
	for _, field := range []struct {
		value    *time.Duration
		fallback time.Duration
	}{
		{&o.Quiet, 100 * time.Millisecond},
		{&o.MaxHold, time.Second},
		{&o.Poll, 2 * time.Second},
	} {
		if *field.value == 0 {
			*field.value = field.fallback
		}
	}
	return o
}

// Watcher watches a set of files. Its methods may be called from any goroutine.
type Watcher struct {
	log    *slog.Logger
	pauses chan struct{}
	events chan struct{}
	sets   chan request
	stop   context.CancelFunc
	done   <-chan struct{}
	all    sync.WaitGroup
}

// New returns a Watcher that watches nothing yet. If the system has no
// notifications to give (the limit of inotify instances is reached, say), it
// warns and polls.
func New(log *slog.Logger, opts Options) (*Watcher, error) {
	opts = opts.withDefaults()
	if opts.Quiet < 0 || opts.MaxHold < opts.Quiet || opts.Poll < 0 {
		return nil, fmt.Errorf("watch: want 0 < quiet ≤ hold and 0 < poll, got quiet %s, hold %s, poll %s",
			opts.Quiet, opts.MaxHold, opts.Poll)
	}

	ctx, stop := context.WithCancel(context.Background())
	w := &Watcher{
		log:    log,
		pauses: make(chan struct{}, 1),
		events: make(chan struct{}, 1),
		sets:   make(chan request),
		stop:   stop,
		done:   ctx.Done(),
	}
	l := &loop{
		log:     log,
		watched: map[string]fs.FileInfo{},
		refused: map[string]bool{},
	}
	if notify, err := fsnotify.NewWatcher(); err == nil {
		l.notify = notify
	} else {
		log.Warn("no file notifications, polling instead", "every", opts.Poll, "error", err)
	}
	w.all.Go(func() { w.run(l, opts) })
	return w, nil
}

// Set replaces the set of files to watch: the configuration and the files it
// names. A file need not exist. Call it before reading the files, so that no
// change falls between reading and watching.
//
// A path that an earlier Set did not have causes one event: the caller learnt
// of it from a file, and has probably read it before it was watched. The first
// Set causes none.
func (w *Watcher) Set(paths []string) {
	r := request{paths: paths, watched: make(chan struct{})}
	select {
	case w.sets <- r:
		<-r.watched
	case <-w.done:
	}
}

// request asks the goroutine for a Set.
type request struct {
	paths   []string
	watched chan struct{} // closed when the files are watched
}

// Events returns the channel that says: something may have changed. Several
// changes before it is received from are one event. It is never closed.
func (w *Watcher) Events() <-chan struct{} { return w.events }

// Pauses returns a channel that says so earlier: something stirs at the files, and
// there was a pause of 10 ms. They may not be complete yet, or unchanged, but who
// needs time for them can begin. It is never closed.
func (w *Watcher) Pauses() <-chan struct{} { return w.pauses }

// pause is how long a pause is. Many writers are done within it.
const pause = 10 * time.Millisecond

// Close stops watching and waits until all goroutines have ended. It may be
// called more than once.
func (w *Watcher) Close() {
	w.stop()
	w.all.Wait()
}

// run is the only goroutine that touches l.
func (w *Watcher) run(l *loop, opts Options) {
	stirred := make(chan struct{}, 1) // something happened at a place of ours
	paused, settled := debounce(stirred, min(pause, opts.Quiet), opts.Quiet, opts.MaxHold)
	defer func() {
		close(stirred)
		for range settled {
		}
	}()

	var changes <-chan fsnotify.Event
	var failures <-chan error
	if l.notify != nil {
		defer l.notify.Close()
		changes, failures = l.notify.Events, l.notify.Errors
	}
	poll := time.NewTicker(opts.Poll)
	defer poll.Stop()

	changed := false // since the last event
	for {
		select {
		case <-w.done:
			return
		case r := <-w.sets:
			if l.set(r.paths) {
				changed = true
				signal(stirred)
			}
			close(r.watched)
		case change := <-changes:
			if l.concerns(change) {
				signal(stirred)
			}
		case err := <-failures:
			// An overflow, most likely: what was lost may have been ours.
			w.log.Debug("file notifications failed", "error", err)
			signal(stirred)
		case <-paused:
			signal(w.pauses)
		case <-settled:
			if l.check(true) || changed {
				changed = false
				signal(w.events)
			}
		case <-poll.C:
			if l.check(false) { // and perhaps it is being written
				changed = true
				signal(stirred)
			}
		}
	}
}

// loop is the state of a Watcher's goroutine.
type loop struct {
	log     *slog.Logger
	notify  *fsnotify.Watcher      // nil: polling only
	files   map[string]fingerprint // as last looked at; nil before the first set
	places  map[string]bool        // entries whose changes concern us
	watched map[string]fs.FileInfo // directories that notify watches
	refused map[string]bool        // directories that could not be watched, already warned of
}

// set replaces the paths and reports whether there is something to announce.
func (l *loop) set(paths []string) bool {
	first := l.files == nil
	files := map[string]fingerprint{}
	fresh := false
	for _, path := range paths {
		last, known := l.files[path]
		files[path] = last
		fresh = fresh || !known
	}
	l.files = files
	return l.check(true) || (fresh && !first)
}

// check looks at every file and reports whether the content of one is not what
// it was at the last look.
func (l *loop) check(reread bool) bool {
	l.follow()
	changed := false
	for path, last := range l.files {
		now := look(path, last, reread)
		if last.content != "" && now.content != last.content {
			changed = true
			l.log.Debug("file changed", "path", path)
		}
		l.files[path] = now
	}
	return changed
}

// concerns reports whether a change can alter what one of the paths leads to.
func (l *loop) concerns(change fsnotify.Event) bool {
	if _, watched := l.watched[change.Name]; watched {
		// The directory itself is gone, and its watch with it. The next one
		// may have the same name and even the same inode.
		if change.Has(fsnotify.Remove) || change.Has(fsnotify.Rename) {
			delete(l.watched, change.Name)
		}
		return true
	}
	return l.places[change.Name]
}

// follow brings the watched directories in line with where the paths lead now.
func (l *loop) follow() {
	if l.notify == nil {
		return
	}
	l.places = map[string]bool{}
	wanted := map[string]fs.FileInfo{}
	for path := range l.files {
		for _, place := range places(path) {
			l.places[place] = true
			dir := filepath.Dir(place)
			if info, err := os.Stat(dir); err == nil {
				wanted[dir] = info
			}
		}
	}

	for dir, info := range l.watched {
		// A directory of the same name may be another one by now.
		if now, ok := wanted[dir]; !ok || !os.SameFile(now, info) {
			_ = l.notify.Remove(dir) // gone with the directory, perhaps
			delete(l.watched, dir)
		}
	}
	for dir, info := range wanted {
		if _, ok := l.watched[dir]; ok {
			continue
		}
		if err := l.notify.Add(dir); err == nil {
			l.watched[dir] = info
		} else if !l.refused[dir] {
			l.refused[dir] = true
			l.log.Warn("directory cannot be watched, polling instead", "path", dir, "error", err)
		}
	}
}
