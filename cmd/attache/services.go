package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/config/watch"
	"github.com/attache-dev/attache/envoy"
	"github.com/attache-dev/attache/extprocsvc"
	"github.com/attache-dev/attache/translator"
	"github.com/attache-dev/attache/xds"
)

// shutdownGrace is how long what is in hand may take at the end, unless --drain
// says something else.
const shutdownGrace = 5 * time.Second

// serviceFlags are those that run and serve share.
type serviceFlags struct {
	file                string
	xds, extProc        string
	extProcAs           string
	logLevel, logFormat string
	readyFile, stateDir string
	envoyPath           string
	envoyAdmin          string
	concurrency         int
	drain               time.Duration
	runsEnvoy           bool
	xdsTLS              xdsTLS
	xdsInsecure         bool
	trustedCA           string
	extProcTLS          bool
	extProcInsecure     bool
	limits              limits
}

func serveCommand(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return serviceCommand(ctx, &serviceFlags{}, "serve", args, stdout, stderr)
}

func runCommand(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return serviceCommand(ctx, &serviceFlags{runsEnvoy: true}, "run", args, stdout, stderr)
}

func serviceCommand(ctx context.Context, f *serviceFlags, name string, args []string, stdout, stderr io.Writer) int {
	fs := flags(name, "-f FILE [flags]")
	fs.StringVar(&f.file, "f", "attache.yaml", "the configuration `FILE`")
	fs.StringVar(&f.file, "file", "attache.yaml", "the same `FILE`")
	xdsDefault, extProcDefault := defaultXDSAddr, defaultExtProcAddr
	if f.runsEnvoy {
		xdsDefault, extProcDefault = "", ""
		fs.StringVar(&f.envoyPath, "envoy", "", "the Envoy executable, a `PATH`; default $ENVOY_PATH, then envoy on PATH")
		fs.StringVar(&f.envoyAdmin, "envoy-admin", "", "where Envoy's own admin interface listens, an `ADDR`; default a private socket")
		fs.IntVar(&f.concurrency, "concurrency", 0, "worker threads of Envoy; 0 is config.workerThreads, or one per CPU")
	}
	private := ""
	if f.runsEnvoy {
		private = "; default a private socket"
	}
	fs.StringVar(&f.xds, "xds", xdsDefault, "where the xDS service listens, an `ADDR`: host:port or unix:/path"+private)
	f.xdsTLS.flags(fs, "this service", "the Envoys")
	fs.BoolVar(&f.xdsInsecure, "xds-insecure", false, "let anybody who reaches the xDS service read the provider keys, where it listens beyond this machine without TLS")
	fs.StringVar(&f.extProc, "extproc", extProcDefault, "where the ext_proc service listens, an `ADDR`"+private)
	fs.StringVar(&f.extProcAs, "extproc-as", "", "how Envoy reaches the ext_proc service, an `ADDR`, or several with commas for replicas; default the same")
	if !f.runsEnvoy {
		fs.BoolVar(&f.extProcTLS, "extproc-tls", false, "speak TLS on the ext_proc connection too, with the certificates of the xDS connection")
	}
	fs.BoolVar(&f.extProcInsecure, "extproc-insecure", false, "let anybody who reaches the ext_proc service talk to it, where it listens beyond this machine without TLS")
	f.limits.flags(fs)
	fs.StringVar(&f.trustedCA, "trusted-ca", translator.DefaultTrustedCA, "the `FILE`, where Envoy runs, with the certificates that verify backends whose TLS names none")
	fs.StringVar(&f.logLevel, "log-level", "", "debug, info, warn or error; default config.logging.level, or info")
	fs.StringVar(&f.logFormat, "log-format", "", "text or json; default config.logging.format, or text")
	fs.StringVar(&f.readyFile, "ready-file", "", "a `FILE` that is written when everything is ready, with the addresses in use")
	fs.StringVar(&f.stateDir, "state", "", "a `DIR` that keeps the last configuration that Envoy has acknowledged, for a restart")
	fs.DurationVar(&f.drain, "drain", shutdownGrace, "how long requests in hand may take when this ends, a `DURATION`; 0s cuts them at once")
	if code, ok := parseAll(fs, args, stdout, stderr); !ok {
		return code
	}
	if err := f.xdsTLS.check(f.xds); err != nil {
		return fail(stderr, exitUsage, err)
	}
	if f.extProcTLS && !f.xdsTLS.given() {
		return fail(stderr, exitUsage, errors.New("--extproc-tls needs --xds-cert, --xds-key and --xds-ca: its certificates are theirs"))
	}
	if f.extProcTLS && strings.HasPrefix(f.extProc, "unix:") {
		return fail(stderr, exitUsage, errors.New("--extproc-tls: a unix socket has no TLS; its permissions say who may connect"))
	}
	if err := f.limits.mistake(); err != nil {
		return fail(stderr, exitUsage, err)
	}
	read := f.logDefaults()
	log, err := newLogger(stderr, f.logLevel, f.logFormat)
	if err != nil {
		return fail(stderr, exitUsage, err)
	}
	s := &services{flags: f, log: log, stderr: stderr, read: read}
	return s.run(ctx, stdout)
}

// logDefaults fills in what the command line does not say about the log, and returns
// what it had to read for that, or nil. The mistakes of the file are told later.
func (f *serviceFlags) logDefaults() (read *config.Config) {
	var p config.Process
	if f.logLevel == "" || f.logFormat == "" {
		if src, err := readRegular(f.file); err == nil {
			defer frugal(src)()
			read, _ = config.Parse(f.file, src, config.Options{ReadFile: readRegular})
		}
	}
	if read != nil {
		p = read.Process
		read.DropRoutes()
	}
	f.logLevel = cmp.Or(f.logLevel, p.LogLevel, "info")
	f.logFormat = cmp.Or(f.logFormat, p.LogFormat, "text")
	return read
}

func newLogger(w io.Writer, level, format string) (*slog.Logger, error) {
	o := &slog.HandlerOptions{}
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("--log-level %q: expected debug, info, warn or error", level)
	}
	o.Level = l
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, o)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, o)), nil
	}
	return nil, fmt.Errorf("--log-format %q: expected text or json", format)
}

// services are the servers of one process, around an app.
type services struct {
	flags  *serviceFlags
	log    *slog.Logger
	stderr io.Writer
	app    *app
	// read is what was read of the file before there was an app, or nil.
	read *config.Config

	// addresses are those in use, by the names that the ready file has.
	addresses []address
	// envoyAdmin is where the child's admin interface is; empty without one.
	envoyAdmin string

	dialed   dialed
	wasReady atomic.Bool
	// leaving tells that the process is about to end.
	leaving atomic.Bool
}

type address struct{ name, addr string }

// run opens everything, in the order in which nothing is promised too early,
// and closes it in reverse.
func (s *services) run(asked context.Context, stdout io.Writer) int {
	ctx, cancel := context.WithCancelCause(asked)
	defer cancel(nil)

	if s.flags.runsEnvoy {
		dir, err := privateDir()
		if err != nil {
			return fail(s.stderr, exitFailure, err)
		}
		defer os.RemoveAll(dir)
		s.privateAddresses(dir)
	}
	binary, err := s.findEnvoy(ctx)
	if asked.Err() != nil {
		return exitGood // asked to end before anything was there
	}
	if err != nil {
		return fail(s.stderr, exitFailure, err)
	}

	open, code, err := s.openGRPC()
	defer open.close()
	if err != nil {
		return fail(s.stderr, code, err)
	}
	s.app = s.appAround(extprocsvc.NewServer(s.flags.limits.options(s.log)))
	s.app.opts = translator.Options{ExtProc: open.reached[0], Replicas: open.reached[1:], TrustedCA: s.flags.trustedCA, ServiceTLS: s.flags.extProcTLS}
	if s.flags.runsEnvoy {
		s.app.xds.ExpectOne()
		s.app.ask = asking(ctx, *binary, s.log)
	}
	watcher, err := watch.New(s.log, watch.Options{})
	if err != nil {
		return fail(s.stderr, exitFailure, err)
	}
	defer watcher.Close()
	defer s.app.extproc.Close()
	watcher.Set([]string{s.flags.file})
	if err := s.app.start(); err != nil {
		printMistakes(s.stderr, err)
		return exitConfig
	}

	if p := s.app.current().Config.Process; !s.flags.runsEnvoy && cmp.Or(p.WorkerThreads, p.WorkerPercent) > 0 {
		s.log.Warn("config.workerThreads has no effect here: the Envoys that join are started elsewhere, with --concurrency")
	}

	xdsServer := grpc.NewServer(open.xdsOptions...)
	s.app.xds.Register(xdsServer)
	extProcServer := grpc.NewServer(append(open.extProcOptions, s.app.extproc.ServerOptions()...)...)
	s.app.extproc.Register(extProcServer)
	httpServers, err := s.listenHTTP()
	if err != nil {
		return fail(s.stderr, exitFailure, err)
	}
	s.addresses = append([]address{{"xds", addressOf(open.xds)}, {"extproc", addressOf(open.extProc)}}, s.addresses...)
	if s.flags.runsEnvoy {
		free := &ports{own: s.addresses}
		if err := free.wait(s.app.current().Config); err != nil {
			printMistakes(s.stderr, err)
			return exitFailure
		}
		s.app.ports = free
	}
	defer context.AfterFunc(ctx, s.leave)()

	group := tasks{cancel: cancel}
	group.must("the ext_proc service", func() error { return extProcServer.Serve(open.extProc) })
	group.must("the xDS service", func() error { return xdsServer.Serve(open.xds) })
	for _, h := range httpServers {
		group.must("an HTTP server", h.serve)
	}
	group.Go(func() { s.app.follow(ctx, watcher) })
	group.Go(func() { s.app.settle(ctx) })
	group.Go(func() { s.app.forgetChains(ctx) })
	group.Go(func() { s.announce(ctx) })

	if binary != nil {
		err = s.runEnvoy(ctx, *binary, addressOf(open.xds), stdout)
	} else {
		<-ctx.Done()
	}
	if err == nil && asked.Err() == nil {
		err = context.Cause(ctx) // nobody asked us to stop: a server has ended
	}

	cancel(nil)
	xdsServer.Stop() // first, so that Envoys get edits from another replica; its streams never end by themselves
	stopGracefully(extProcServer, s.flags.drain)
	for _, h := range httpServers {
		h.stop()
	}
	group.Wait()
	if s.flags.readyFile != "" {
		os.Remove(s.flags.readyFile)
	}
	if err != nil {
		return fail(s.stderr, exitFailure, err)
	}
	return exitGood
}

// appAround is the app around an ext_proc service.
func (s *services) appAround(service *extprocsvc.Server) *app {
	a := newApp(s.flags.file, s.log)
	a.read, s.read = s.read, nil
	a.tell = s.tell
	a.extproc, a.xds = service, xds.NewServer(s.log)
	a.keep = stateFile{dir: s.flags.stateDir}
	return a
}

// leave tells those who ask that this process is about to end.
func (s *services) leave() {
	s.leaving.Store(true)
	if s.flags.readyFile != "" {
		os.Remove(s.flags.readyFile)
	}
}

// tell reports the mistakes of a refused edit: as lines that begin with their
// places, or as records where logs are read by machines.
func (s *services) tell(err error) {
	if s.flags.logFormat != "json" {
		printMistakes(s.stderr, err)
		return
	}
	for _, e := range config.Errors(err) {
		s.log.Error(e.Msg, "file", e.File, "line", e.Line, "column", e.Column, "path", e.Path, "kind", e.Kind)
	}
}

// socketMode is who may connect to sockets: an Envoy of the same user or group,
// which is started elsewhere, or nobody but our own child.
func (s *services) socketMode() fs.FileMode {
	if s.flags.runsEnvoy {
		return 0o600
	}
	return 0o660
}

// findEnvoy returns the Envoy that run needs, or nil for serve.
func (s *services) findEnvoy(ctx context.Context) (*envoy.Binary, error) {
	if !s.flags.runsEnvoy {
		return nil, nil
	}
	b, err := envoy.Find(s.flags.envoyPath)
	if err != nil {
		return nil, err
	}
	v, err := b.Version(ctx)
	if err != nil {
		return nil, err
	}
	if w := v.Warning(); w != "" {
		s.log.Warn(w, "envoy", b.Path)
	}
	return &b, nil
}

// runEnvoy keeps the child alive until ctx is done.
func (s *services) runEnvoy(ctx context.Context, b envoy.Binary, xdsAddr string, stdout io.Writer) error {
	bootstrap, err := envoy.Bootstrap(envoy.BootstrapOptions{XDS: xdsAddr, Admin: s.envoyAdmin})
	if err != nil {
		return err
	}
	p := envoy.Process{
		Binary:      b,
		Bootstrap:   bootstrap,
		Concurrency: cmp.Or(s.flags.concurrency, workerThreads(s.app.current().Config.Process, runtime.NumCPU())),
		Stdout:      stdout,
		Log:         s.log,
		Admin:       s.envoyAdmin,
		Drain:       s.flags.drain,
	}
	return p.Run(ctx)
}

// workerThreads is the number of threads for so many processors; 0 leaves it to
// Envoy. A share is rounded up.
func workerThreads(p config.Process, processors int) int {
	return cmp.Or(p.WorkerThreads, (processors*p.WorkerPercent+99)/100)
}

// stopGracefully lets streams finish, within bounds.
func stopGracefully(g *grpc.Server, grace time.Duration) {
	done := make(chan struct{})
	go func() {
		g.GracefulStop()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(grace):
		g.Stop()
		<-done
	}
}

// announce writes the ready file and says so, once everything is.
func (s *services) announce(ctx context.Context) {
	for {
		changed := s.app.xds.Changed()
		pending := s.pending()
		if len(pending) == 0 {
			break
		}
		s.log.Debug("not ready", "pending", strings.Join(pending, "; "))
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-time.After(readinessPoll): // a port opens a moment after its acknowledgement
		}
	}
	s.app.judge() // so that what is ready is also kept
	args := []any{}
	for _, a := range s.addresses {
		args = append(args, a.name, a.addr)
	}
	if s.flags.readyFile != "" {
		if err := s.writeReadyFile(); err != nil {
			s.log.Error("the ready file cannot be written", "error", err)
		}
	}
	s.log.Info("ready", args...)
}

// writeReadyFile writes a line "name address" for each port, all at once.
func (s *services) writeReadyFile() error {
	var b strings.Builder
	for _, a := range s.addresses {
		fmt.Fprintf(&b, "%s %s\n", a.name, a.addr)
	}
	tmp := s.flags.readyFile + ".tmp"
	if err := os.WriteFile(tmp, []byte(b.String()), 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, s.flags.readyFile)
}
