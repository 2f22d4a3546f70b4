package external

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/extprocsvc"
)

// material is what a TLS connection is made with: the texts of the files, so
// that a changed file makes another client.
type material struct {
	minVersion    uint16
	ca, cert, key string
}

var tlsVersions = map[string]uint16{"v1.2": tls.VersionTLS12, "v1.3": tls.VersionTLS13}

// readTLS reads the TLS keys of the section and appends what is wrong with
// them. The standard is F5's: TLS 1.3, and the roots of the system.
func readTLS(s extprocsvc.Setup, set settings, errs []*config.Error) (material, []*config.Error) {
	m := material{minVersion: tls.VersionTLS13}
	invalid := func(key, format string, args ...any) {
		errs = append(errs, s.Config.Errorf(key, config.Invalid, format, args...))
	}
	read := func(key string, name *string) string {
		if name == nil {
			return ""
		}
		text, err := s.ReadFile(*name)
		if err != nil {
			var path *fs.PathError
			if errors.As(err, &path) {
				err = path.Err
			}
			invalid(key, "cannot read the file: %v", err)
		} else if len(text) == 0 {
			invalid(key, "the file is empty")
		}
		return string(text)
	}
	if set.TLSMinVersion != nil {
		if v, ok := tlsVersions[*set.TLSMinVersion]; ok {
			m.minVersion = v
		} else {
			invalid("tlsMinVersion", "expected v1.2 or v1.3")
		}
	}
	if m.ca = read("caPath", set.CAPath); m.ca != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(m.ca)) {
		invalid("caPath", "the file holds no certificate in PEM form")
	}
	switch {
	case set.ClientCertPath != nil && set.ClientKeyPath == nil:
		invalid("clientCertPath", "a client certificate needs its key; add clientKeyPath")
	case set.ClientCertPath == nil && set.ClientKeyPath != nil:
		invalid("clientKeyPath", "a client key needs its certificate; add clientCertPath")
	case set.ClientCertPath != nil:
		m.cert, m.key = read("clientCertPath", set.ClientCertPath), read("clientKeyPath", set.ClientKeyPath)
		if m.cert == "" || m.key == "" {
			break
		}
		if _, err := tls.X509KeyPair([]byte(m.cert), []byte(m.key)); err != nil {
			invalid("clientCertPath", "not a certificate with the key of clientKeyPath, both in PEM form")
		}
	}
	return m, errs
}

// config is nil for plain HTTP.
func (m material) config() (*tls.Config, error) {
	if m == (material{}) {
		return nil, nil
	}
	c := &tls.Config{MinVersion: m.minVersion}
	if m.ca != "" {
		c.RootCAs = x509.NewCertPool()
		c.RootCAs.AppendCertsFromPEM([]byte(m.ca))
	}
	if m.cert != "" {
		pair, err := tls.X509KeyPair([]byte(m.cert), []byte(m.key))
		if err != nil {
			return nil, err
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}
