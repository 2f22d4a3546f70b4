package watch

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// told never looks unless it is told to, and waits for longer than a busy machine
// takes to write a file.
var told = Options{Quiet: 100 * time.Millisecond, MaxHold: time.Minute, Poll: time.Hour}

// folder is a directory with a Watcher of some of its files.
type folder struct {
	*testing.T
	*Watcher
	dir     string
	changed *changedPaths
}

// changedPaths is a log that keeps the paths whose content changed.
type changedPaths struct {
	slog.Handler
	mu    sync.Mutex
	paths []string
}

func (c *changedPaths) Enabled(context.Context, slog.Level) bool { return true }

func (c *changedPaths) Handle(_ context.Context, r slog.Record) error {
	if r.Message != "file changed" {
		return nil
	}
	r.Attrs(func(a slog.Attr) bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.paths = append(c.paths, a.Value.String())
		return true
	})
	return nil
}

// take returns the paths since the last take.
func (c *changedPaths) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	paths := c.paths
	c.paths = nil
	return paths
}

// newFolder makes a folder with one file, attache.yaml, that is watched.
func newFolder(t *testing.T, opts Options) *folder {
	t.Helper()
	changed := &changedPaths{Handler: slog.DiscardHandler}
	w, err := New(slog.New(changed), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	f := &folder{T: t, Watcher: w, dir: filepath.Join(t.TempDir(), "cfg"), changed: changed}
	f.mkdir("")
	f.write("attache.yaml", "one")
	f.watch("attache.yaml")
	return f
}

func (f *folder) path(name string) string { return filepath.Join(f.dir, name) }

func (f *folder) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

func (f *folder) mkdir(name string) { f.Helper(); f.must(os.MkdirAll(f.path(name), 0o700)) }
func (f *folder) write(name, text string) {
	f.Helper()
	f.must(os.WriteFile(f.path(name), []byte(text), 0o600))
}
func (f *folder) rename(from, to string) { f.Helper(); f.must(os.Rename(f.path(from), f.path(to))) }
func (f *folder) remove(name string)     { f.Helper(); f.must(os.RemoveAll(f.path(name))) }
func (f *folder) link(target, name string) {
	f.Helper()
	f.must(os.Symlink(target, f.path(name)))
}

func (f *folder) watch(names ...string) {
	paths := make([]string, len(names))
	for i, name := range names {
		paths[i] = f.path(name)
	}
	f.Set(paths)
}

// event waits until the watcher says that something changed.
func (f *folder) event(after string) {
	f.Helper()
	f.await(after)
	f.changed.take()
}

func (f *folder) await(after string) {
	f.Helper()
	ctx, cancel := context.WithTimeout(f.Context(), 20*time.Second)
	defer cancel()
	select {
	case <-f.Events():
	case <-ctx.Done():
		f.Fatalf("no event after: %s", after)
	}
}

// silence checks that nothing since the last event makes another one, by the
// event of a file that changes later.
func (f *folder) silence(after string) {
	f.Helper()
	f.watch("attache.yaml", "sentinel")
	f.await("a new path")
	f.write("sentinel", after)
	f.await("the change that ends the silence")
	if diff := cmp.Diff([]string{f.path("sentinel")}, f.changed.take()); diff != "" {
		f.Errorf("after %s: %s", after, diff)
	}
	f.watch("attache.yaml")
	f.remove("sentinel")
}

func TestWriteStyles(t *testing.T) {
	f := newFolder(t, told)

	f.write("attache.yaml", "two")
	f.event("a write in place")

	f.must(os.Truncate(f.path("attache.yaml"), 0))
	f.event("truncation")
	f.write("attache.yaml", "three")
	f.event("the write after it")

	f.write("attache.yaml.tmp", "four")
	f.rename("attache.yaml.tmp", "attache.yaml")
	f.event("a rename over the file, as atomic writers do")

	f.rename("attache.yaml", "attache.yaml~")
	f.event("the file moved away, as vim does first")
	f.write("attache.yaml", "five")
	f.event("the file written anew")

	f.remove("attache.yaml")
	f.event("removal")
	f.write("attache.yaml", "six")
	f.event("return")

	f.must(os.Chmod(f.path("attache.yaml"), 0o644))
	f.silence("other permissions, the same content")
}

func TestSameSizeSameTime(t *testing.T) {
	f := newFolder(t, told)
	info, err := os.Stat(f.path("attache.yaml"))
	f.must(err)
	f.write("attache.yaml", "eno")
	f.must(os.Chtimes(f.path("attache.yaml"), info.ModTime(), info.ModTime()))
	f.event("other bytes, but the size and time of before")
}

func TestDirectoryRemovedAndMadeAgain(t *testing.T) {
	f := newFolder(t, told)
	for i := range 5 {
		f.remove("")
		f.event("removal of the directory")
		f.mkdir("")
		f.write("attache.yaml", fmt.Sprintf("again %d", i))
		f.event("its return")
	}

	f.rename("", "../old")
	f.mkdir("")
	f.write("attache.yaml", "in a new directory of the same name")
	f.event("a directory in the other's place")
	f.write("attache.yaml", "seen there too")
	f.event("a write there")
}

func TestDirectoryThatIsNotThereYet(t *testing.T) {
	f := newFolder(t, told)
	f.watch("attache.yaml", "certs/live/tls.key")
	f.event("a new path")
	f.mkdir("certs/live")
	f.write("certs/live/tls.key", "key")
	f.event("the file and its directories")
	f.write("certs/live/tls.key", "another key")
	f.event("a write to it")
}

func TestKubernetesMount(t *testing.T) {
	f := newFolder(t, told)
	for i, version := range []string{"..2026_1", "..2026_2", "..2026_3"} {
		f.mkdir("mount/" + version)
		f.write("mount/"+version+"/attache.yaml", version)
		f.write("mount/"+version+"/tls.key", "the same key")
		f.link(version, "mount/..data_tmp")
		f.rename("mount/..data_tmp", "mount/..data")
		if i == 0 {
			f.link("..data/attache.yaml", "mount/attache.yaml")
			f.link("..data/tls.key", "mount/tls.key")
			f.watch("mount/attache.yaml", "mount/tls.key")
			f.event("new paths")
			continue
		}
		f.event("the swap of ..data")
		f.remove(fmt.Sprintf("mount/..2026_%d", i))
	}
	f.write("mount/..2026_3/attache.yaml", "in place, behind two links")
	f.event("a write behind the links")
}

func TestLinkedDirectory(t *testing.T) {
	f := newFolder(t, told)
	f.mkdir("blue")
	f.mkdir("green")
	f.write("blue/attache.yaml", "blue")
	f.write("green/attache.yaml", "green")
	f.link("blue", "current")
	f.watch("current/attache.yaml")
	f.event("a new path")

	f.link("green", "next")
	f.rename("next", "current")
	f.event("the link points elsewhere")
	f.write("green/attache.yaml", "greener")
	f.event("a write in the new target")
}

func TestOthersWakeNobody(t *testing.T) {
	// The quiet time is longer than a busy machine takes to write a file.
	f := newFolder(t, Options{Quiet: 500 * time.Millisecond, MaxHold: time.Minute, Poll: time.Hour})
	for i := range 200 {
		f.write(fmt.Sprintf("neighbour-%d", i%3), fmt.Sprint(i))
		f.write("attache.yaml", "one")
	}
	f.silence("neighbours, and the same bytes again")
}

func TestSet(t *testing.T) {
	f := newFolder(t, told)
	f.write("tls.key", "key")
	f.watch("attache.yaml", "tls.key")
	f.event("a path that an earlier set did not have")

	f.watch("tls.key", "attache.yaml", "attache.yaml")
	f.silence("the same paths again")

	f.watch("attache.yaml")
	f.write("tls.key", "no longer watched")
	f.silence("a change of a file that is not watched any more")

	f.write("attache.yaml", "edited while nobody waits")
	f.watch("attache.yaml")
	f.event("an edit just before the same path is set again")
}

// With neither a pause between the edits nor an end of them, events still come.
func TestNeverQuiet(t *testing.T) {
	f := newFolder(t, Options{Quiet: 50 * time.Millisecond, MaxHold: 100 * time.Millisecond, Poll: time.Hour})
	ctx, stop := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		var err error
		for i := 0; err == nil && ctx.Err() == nil; i++ {
			err = os.WriteFile(f.path("attache.yaml"), fmt.Append(nil, i), 0o600)
		}
		failed <- err
	}()
	for range 3 {
		f.event("edits without end")
	}
	stop()
	f.must(<-failed)
}

// A pause is told, too. That it comes before the event is in TestDebounce.
func TestPauses(t *testing.T) {
	f := newFolder(t, Options{Quiet: time.Second, MaxHold: time.Minute, Poll: time.Hour})
	f.write("attache.yaml", "two")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	select {
	case <-f.Pauses():
	case <-ctx.Done():
		t.Error("no pause")
	}
	f.event("the end of the pause")
}

func TestPolling(t *testing.T) {
	f := newFolder(t, Options{Quiet: time.Millisecond, MaxHold: time.Millisecond, Poll: 10 * time.Millisecond})
	f.mkdir("a/b/c")
	f.write("a/b/c/file", "content")
	f.watch("a/b/c/file")
	f.event("a new path")
	f.rename("a/b", "a/moved") // no watched directory notices
	f.event("a directory further up moved away")
	f.mkdir("a/b/c")
	f.write("a/b/c/file", "content")
	f.event("and is replaced")
}

func TestWithoutNotifications(t *testing.T) {
	f := &loop{log: slog.New(slog.DiscardHandler)}
	path := filepath.Join(t.TempDir(), "attache.yaml")
	if f.set([]string{path}) {
		t.Error("the first set announced something")
	}
	if f.check(false) {
		t.Error("a file that is still missing was announced")
	}
	if err := os.WriteFile(path, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	if !f.check(false) {
		t.Error("a new file was not announced")
	}
	if f.check(false) {
		t.Error("a file was announced twice")
	}
}

func TestClose(t *testing.T) {
	w, err := New(slog.New(slog.DiscardHandler), Options{})
	if err != nil {
		t.Fatal(err)
	}
	w.Set([]string{filepath.Join(t.TempDir(), "attache.yaml")})
	w.Close()
	w.Close()
	w.Set(nil)
}

func TestOptions(t *testing.T) {
	for _, opts := range []Options{
		{Quiet: -1},
		{Poll: -1},
		{Quiet: time.Second, MaxHold: time.Millisecond},
	} {
		if _, err := New(slog.New(slog.DiscardHandler), opts); err == nil {
			t.Errorf("%+v was accepted", opts)
		}
	}
}
