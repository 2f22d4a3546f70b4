package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"

	"github.com/attache-dev/attache/config/watch"
)

// tlsFiles are the PEM files of a gRPC port. clientCA may be empty.
type tlsFiles struct{ cert, key, clientCA string }

func (f tlsFiles) names() []string {
	if f.clientCA == "" {
		return []string{f.cert, f.key}
	}
	return []string{f.cert, f.key, f.clientCA}
}

// load reads the files.
func (f tlsFiles) load() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(f.cert, f.key)
	if err != nil {
		return nil, fmt.Errorf("--tls-cert %s, --tls-key %s: %w", f.cert, f.key, err)
	}
	c := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2"}}
	if f.clientCA != "" {
		text, err := os.ReadFile(f.clientCA)
		if err != nil {
			return nil, fmt.Errorf("--tls-client-ca: %w", err)
		}
		c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
		if !c.ClientCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("--tls-client-ca %s: expected certificates in PEM", f.clientCA)
		}
	}
	return c, nil
}

// reloadedTLS is how a port is encrypted, by files that may change. New
// connections get what the files said when they were last good.
type reloadedTLS struct {
	files   tlsFiles
	log     *slog.Logger
	watcher *watch.Watcher
	current atomic.Pointer[tls.Config]
}

func newReloadedTLS(files tlsFiles, log *slog.Logger) (*reloadedTLS, error) {
	w, err := watch.New(log, watch.Options{})
	if err != nil {
		return nil, err
	}
	w.Set(files.names()) // before they are read, so that no edit is missed
	r := &reloadedTLS{files: files, log: log, watcher: w}
	c, err := files.load()
	if err != nil {
		w.Close()
		return nil, err
	}
	r.current.Store(c)
	return r, nil
}

// config is for a server.
func (r *reloadedTLS) config() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return r.current.Load(), nil },
	}
}

// follow reads the files again whenever they change, until ctx is done.
func (r *reloadedTLS) follow(ctx context.Context) {
	defer r.watcher.Close()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.watcher.Events():
		}
		c, err := r.files.load()
		if err != nil {
			r.log.Error("the TLS files are refused; the last good ones keep serving", "error", err)
			continue
		}
		r.current.Store(c)
		r.log.Info("TLS files applied", "certificate", r.files.cert)
	}
}
