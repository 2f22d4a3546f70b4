package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// xdsTLS are the files by which the xDS service and the Envoys recognise each
// other.
type xdsTLS struct{ cert, key, ca string }

// flags adds those of one end; whose is the owner of the certificate.
func (t *xdsTLS) flags(fs *flag.FlagSet, whose, other string) {
	fs.StringVar(&t.cert, "xds-cert", "", "the certificate of "+whose+" on the xDS connection, a `FILE`")
	fs.StringVar(&t.key, "xds-key", "", "its private key, a `FILE`")
	fs.StringVar(&t.ca, "xds-ca", "", "what has signed the certificate of "+other+", a `FILE`")
}

func (t *xdsTLS) given() bool { return t.cert != "" || t.key != "" || t.ca != "" }

// check refuses half of it, and TLS on a socket.
func (t *xdsTLS) check(addr string) error {
	switch {
	case !t.given():
		return nil
	case t.cert == "" || t.key == "" || t.ca == "":
		return errors.New("--xds-cert, --xds-key and --xds-ca go together: both ends prove who they are")
	case addr == "" || strings.HasPrefix(addr, "unix:"):
		return errors.New("--xds-cert: a unix socket has no TLS; its permissions say who may connect")
	}
	return nil
}

// mayListen tells whether an xDS service without TLS may be at addr: where only
// this machine reaches it, or where somebody has said so.
func mayListen(addr string, insecure bool) error {
	if insecure || loopbackOnly(addr) {
		return nil
	}
	return fmt.Errorf("--xds %s can be reached from other machines, and provider keys travel over xDS\n"+
		"hint: give --xds-cert, --xds-key and --xds-ca; or listen on 127.0.0.1 or unix:/path; or say --xds-insecure", addr)
}

// mutualTLS serves with files that are read at each handshake, so that they can
// be exchanged at any time.
type mutualTLS struct {
	files xdsTLS
	log   *slog.Logger

	mu   sync.Mutex
	last *tls.Config // of the files when they were last right
}

func newMutualTLS(files xdsTLS, log *slog.Logger) (*mutualTLS, error) {
	m := &mutualTLS{files: files, log: log}
	var err error
	m.last, err = m.load()
	return m, err
}

// option makes a gRPC server ask for it. A handshake is bounded, so that those
// who say nothing take no room.
func (m *mutualTLS) option() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.ConnectionTimeout(10 * time.Second),
		grpc.Creds(credentials.NewTLS(&tls.Config{
			MinVersion:         tls.VersionTLS13,
			NextProtos:         []string{"h2"},
			GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return m.current(), nil },
		})),
	}
}

// current is the configuration of the files as they are, or as they were when
// they were last right.
func (m *mutualTLS) current() *tls.Config {
	m.mu.Lock()
	defer m.mu.Unlock()
	next, err := m.load()
	if err != nil {
		m.log.Error("the files of the xDS connection cannot be used; the earlier ones are", "error", err)
		return m.last
	}
	m.last = next
	return next
}

func (m *mutualTLS) load() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(m.files.cert, m.files.key)
	if err != nil {
		return nil, fmt.Errorf("--xds-cert, --xds-key: %w", err)
	}
	pem, err := os.ReadFile(m.files.ca)
	if err != nil {
		return nil, fmt.Errorf("--xds-ca: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("--xds-ca: %s holds no certificate", m.files.ca)
	}
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		NextProtos:   []string{"h2"},
		Certificates: []tls.Certificate{pair},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    roots,
	}, nil
}
