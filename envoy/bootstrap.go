package envoy

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"
	"unicode"
	"unicode/utf8"
)

//go:embed bootstrap.yaml.tmpl
var bootstrapText string

var bootstrapTemplate = template.Must(template.New("bootstrap").
	Funcs(template.FuncMap{"quote": quote}).Parse(bootstrapText))

// BootstrapOptions says who the Envoy is and whom it talks to. An address is
// host:port, or unix: and an absolute path.
type BootstrapOptions struct {
	NodeID      string // names this Envoy in `attache status`; default "envoy"
	NodeCluster string // default "attache"

	XDS   string     // where the control plane listens; required
	TLS   *ClientTLS // how to talk to it; nil is plain text
	Admin string     // where Envoy's admin interface listens, a socket with mode 0600; empty is none

	MaxConnections int // of all clients together; default 50,000
}

// What an Envoy with a certificate also has as secrets, for other connections to the
// control plane: the certificate, and what verifies that of others.
const (
	CertificateSecret = "attache_certificate"
	RootsSecret       = "attache_roots"
)

// ClientTLS names the files with which Envoy and the control plane recognise
// each other. They are read where Envoy runs.
type ClientTLS struct {
	CA        string // signed the control plane's certificate, which must be for the host of the xDS address
	Cert, Key string // Envoy's own, if the control plane asks for one
}

// Bootstrap returns the YAML with which an Envoy joins the control plane.
func Bootstrap(opts BootstrapOptions) ([]byte, error) {
	view := struct {
		NodeID, NodeCluster string
		XDS                 address
		TLS                 *tlsView
		Admin               *address
		MaxConnections      int
		CertificateSecret   string
		RootsSecret         string
	}{
		CertificateSecret: CertificateSecret,
		RootsSecret:       RootsSecret,

		NodeID:         orDefault(opts.NodeID, "envoy"),
		NodeCluster:    orDefault(opts.NodeCluster, "attache"),
		MaxConnections: orDefault(opts.MaxConnections, 50_000),
	}
	if view.MaxConnections < 0 {
		return nil, fmt.Errorf("bootstrap: limit of %d connections: want a positive number", opts.MaxConnections)
	}
	for _, text := range []string{view.NodeID, view.NodeCluster} {
		if err := printable(text); err != nil {
			return nil, fmt.Errorf("bootstrap: node name %q: %w", text, err)
		}
	}

	var err error
	if view.XDS, err = parseAddress(opts.XDS); err == nil && view.XDS.Path == "" && view.XDS.Port == 0 {
		err = errors.New("port 0 cannot be connected to")
	}
	if err != nil {
		return nil, fmt.Errorf("bootstrap: xDS address %q: %w", opts.XDS, err)
	}
	if view.TLS, err = newTLSView(opts.TLS, view.XDS); err != nil {
		return nil, fmt.Errorf("bootstrap: TLS to the control plane: %w", err)
	}
	if opts.Admin != "" {
		admin, err := parseAddress(opts.Admin)
		if admin.Host == "localhost" { // Envoy listens on addresses, not on names
			admin = address{Host: "127.0.0.1", Port: admin.Port}
		}
		if err == nil && admin.Name() {
			err = errors.New("want an IP address, Envoy cannot listen on a name")
		}
		if err != nil {
			return nil, fmt.Errorf("bootstrap: admin address %q: %w", opts.Admin, err)
		}
		view.Admin = &admin
	}

	var out bytes.Buffer
	if err := bootstrapTemplate.Execute(&out, view); err != nil {
		return nil, fmt.Errorf("bootstrap: %w", err)
	}
	return out.Bytes(), nil
}

// tlsView is ClientTLS as the template needs it.
type tlsView struct {
	*ClientTLS
	Host string // whom the certificate must be for
	IP   bool
}

func newTLSView(files *ClientTLS, xds address) (*tlsView, error) {
	switch {
	case files == nil:
		return nil, nil
	case xds.Path != "":
		return nil, errors.New("a unix socket has none")
	case files.CA == "":
		return nil, errors.New("no CA file")
	case (files.Cert == "") != (files.Key == ""):
		return nil, errors.New("a certificate and its key go together")
	}
	for _, path := range []string{files.CA, files.Cert, files.Key} {
		if err := printable(path); err != nil {
			return nil, fmt.Errorf("file %q: %w", path, err)
		}
	}
	return &tlsView{ClientTLS: files, Host: xds.Host, IP: !xds.Name()}, nil
}

// address is a socket: a path, or a host and a port.
type address struct {
	Path string
	Host string
	Port uint16
}

// Name reports whether the host is a name that must be resolved.
func (a address) Name() bool {
	_, err := netip.ParseAddr(a.Host)
	return a.Path == "" && err != nil
}

// MaxSocketPath is what fits into the address of a unix socket on Linux, in bytes,
// without the final zero.
const MaxSocketPath = 107

func parseAddress(text string) (address, error) {
	if err := printable(text); err != nil {
		return address{}, err
	}
	if path, ok := strings.CutPrefix(text, "unix:"); ok {
		switch {
		case !filepath.IsAbs(path):
			return address{}, errors.New("want unix: and an absolute path")
		case len(path) > MaxSocketPath:
			return address{}, fmt.Errorf("the path has %d bytes, a socket may have %d", len(path), MaxSocketPath)
		}
		return address{Path: path}, nil
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil || host == "" {
		return address{}, errors.New("want host:port or unix:/path")
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return address{}, fmt.Errorf("port %q: want a number from 0 to 65535", port)
	}
	return address{Host: host, Port: uint16(number)}, nil
}

// printable refuses what has no business in a name or path, and could not be
// read back from YAML as it was.
func printable(text string) error {
	if !utf8.ValidString(text) {
		return errors.New("not UTF-8")
	}
	if strings.ContainsFunc(text, unicode.IsControl) {
		return errors.New("has control characters")
	}
	return nil
}

// quote returns text as a YAML scalar that is a string whatever it looks like.
func quote(text string) (string, error) {
	var out bytes.Buffer
	json := json.NewEncoder(&out)
	json.SetEscapeHTML(false)
	err := json.Encode(text)
	return strings.TrimSuffix(out.String(), "\n"), err
}

func orDefault[T comparable](value, fallback T) T {
	var zero T
	if value == zero {
		return fallback
	}
	return value
}
