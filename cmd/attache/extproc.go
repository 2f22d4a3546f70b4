package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	extprocfilterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/config/watch"
	"github.com/attache-dev/attache/extprocsvc"
)

// aloneFlags are those of the ext_proc service alone.
type aloneFlags struct {
	serviceFlags
	profile     string
	tls         tlsFiles
	plaintext   bool
	assumed     extprocfilterv3.ProcessingMode_BodySendMode
	printFilter string
}

func extProcCommand(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	f := &aloneFlags{}
	fs := flags("extproc", "-f FILE [flags]")
	fs.StringVar(&f.file, "f", "attache.yaml", "the configuration `FILE`, of which profiles and processors count; it needs no binds")
	fs.StringVar(&f.file, "file", "attache.yaml", "the same `FILE`")
	fs.StringVar(&f.profile, "profile", "", "the profile of streams that name none, a `NAME`; default the only one of the file")
	fs.StringVar(&f.printFilter, "print-filter", "", "print what to paste there instead, and end: "+alternatives(homeNames())+", a `HOME`")
	fs.StringVar(&f.extProc, "extproc", defaultExtProcAddr, "where the ext_proc service listens, an `ADDR`: host:port or unix:/path")
	fs.StringVar(&f.extProcAs, "extproc-as", "", "how Envoy reaches it, an `ADDR` for --print-filter; default the same")
	fs.StringVar(&f.tls.cert, "tls-cert", "", "the certificate of the service, a PEM `FILE`; it is read again when it changes")
	fs.StringVar(&f.tls.key, "tls-key", "", "its private key, a PEM `FILE`")
	fs.StringVar(&f.tls.clientCA, "tls-client-ca", "", "certificates that must have signed those of clients, a PEM `FILE`; default: clients need none")
	fs.BoolVar(&f.plaintext, "plaintext", false, "listen beyond this machine without TLS: whoever reaches the port can read and send")
	f.limits.flags(fs)
	fs.Func("assume-body-mode", "the body mode of an Envoy so old that it does not tell: buffered or fullDuplexStreamed, a `MODE`; default fullDuplexStreamed", f.assume)
	fs.DurationVar(&f.drain, "drain", 30*time.Second, "how long requests in hand may take at the end, a `DURATION`")
	fs.StringVar(&f.logLevel, "log-level", "", "debug, info, warn or error; default config.logging.level, or info")
	fs.StringVar(&f.logFormat, "log-format", "", "text or json; default config.logging.format, or text")
	fs.StringVar(&f.readyFile, "ready-file", "", "a `FILE` that is written when everything is ready, with the addresses in use")
	fs.StringVar(&f.stateDir, "state", "", "a `DIR` that keeps the last good configuration for a restart")
	if code, ok := parseAll(fs, args, stdout, stderr); !ok {
		return code
	}
	if err := f.mistake(); err != nil {
		return fail(stderr, exitUsage, err)
	}
	if f.printFilter != "" {
		return printFilter(f, stdout, stderr)
	}
	if !f.plaintext && f.tls.cert == "" && !loopbackOnly(f.extProc) {
		fail(stderr, exitUsage, fmt.Errorf("--extproc %s: others than this machine would reach the service without TLS, and it holds what clients and models say", f.extProc))
		hint(stderr, "--tls-cert and --tls-key encrypt, --tls-client-ca lets only your Envoys in; --plaintext is for a network that does both already")
		return exitUsage
	}
	read := f.logDefaults()
	log, err := newLogger(stderr, f.logLevel, f.logFormat)
	if err != nil {
		return fail(stderr, exitUsage, err)
	}
	s := &services{flags: &f.serviceFlags, log: log, stderr: stderr, read: read}
	return s.runAlone(ctx, f)
}

// assume reads the flag --assume-body-mode.
func (f *aloneFlags) assume(word string) error {
	for mode, name := range gatewayModes {
		if name == word && mode != extprocfilterv3.ProcessingMode_NONE {
			f.assumed = mode
			return nil
		}
	}
	return errors.New("expected buffered or fullDuplexStreamed")
}

// mistake is what is wrong with the flags together.
func (f *aloneFlags) mistake() error {
	switch {
	case (f.tls.cert == "") != (f.tls.key == ""):
		return errors.New("--tls-cert and --tls-key go together")
	case f.tls.clientCA != "" && f.tls.cert == "":
		return errors.New("--tls-client-ca needs --tls-cert and --tls-key")
	}
	return f.limits.mistake()
}

// alternatives is a list of words for a sentence.
func alternatives(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// runAlone is run for the ext_proc service alone.
func (s *services) runAlone(asked context.Context, f *aloneFlags) int {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)

	listener, err := s.listenExtProc()
	if err != nil {
		return fail(s.stderr, exitFailure, err)
	}
	defer listener.Close()
	options := f.limits.options(s.log)
	options.AssumeBodyMode = f.assumed
	s.app = s.appAround(extprocsvc.NewServer(options)) // nobody joins its xDS
	s.app.alone = &f.profile
	defer s.app.extproc.Close()
	watcher, err := watch.New(s.log, watch.Options{})
	if err != nil {
		return fail(s.stderr, exitFailure, err)
	}
	defer watcher.Close()
	watcher.Set([]string{f.file})
	if err := s.app.start(); err != nil {
		printMistakes(s.stderr, err)
		return exitConfig
	}

	serverOptions := s.app.extproc.ServerOptions()
	var certificates *reloadedTLS
	if f.tls.cert != "" {
		if certificates, err = newReloadedTLS(f.tls, s.log); err != nil {
			return fail(s.stderr, exitUsage, err)
		}
		serverOptions = append(serverOptions, grpc.Creds(credentials.NewTLS(certificates.config())))
	}
	server := grpc.NewServer(serverOptions...)
	s.app.extproc.Register(server)
	healthy := health.NewServer()
	healthy.SetServingStatus(extprocv3.ExternalProcessor_ServiceDesc.ServiceName, healthv1.HealthCheckResponse_SERVING)
	healthv1.RegisterHealthServer(server, healthy)
	httpServers, err := s.listenHTTP()
	if err != nil {
		return fail(s.stderr, exitFailure, err)
	}
	s.addresses = append([]address{{"extproc", addressOf(listener)}}, s.addresses...)

	group := tasks{cancel: cancel}
	group.must("the ext_proc service", func() error { return server.Serve(listener) })
	for _, h := range httpServers {
		group.must("an HTTP server", h.serve)
	}
	group.Go(func() { s.app.follow(ctx, watcher) })
	if certificates != nil {
		group.Go(func() { certificates.follow(ctx) })
	}
	group.Go(func() { s.announce(ctx) })

	select {
	case <-asked.Done():
	case <-ctx.Done():
		err = context.Cause(ctx) // nobody asked us to stop: a server has ended
	}
	s.leave()
	healthy.Shutdown() // whoever asks goes elsewhere
	s.log.Info("no new streams; those that are open may finish", "open", s.app.extproc.Stats().Open, "within", f.drain)
	stopGracefully(server, f.drain)
	cancel(nil)
	for _, h := range httpServers {
		h.stop()
	}
	group.Wait()
	if err != nil {
		return fail(s.stderr, exitFailure, err)
	}
	return exitGood
}

// reachedAt is where Envoy reaches the service.
func (f *aloneFlags) reachedAt() string { return cmp.Or(f.extProcAs, f.extProc) }

func (f *aloneFlags) target() (config.Target, error) {
	t, err := config.ParseTarget(f.reachedAt())
	if err != nil {
		return t, fmt.Errorf("--extproc-as %s: %w", f.reachedAt(), err)
	}
	return t, nil
}
