package config

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"path/filepath"
	"strings"
)

// readNamed reads a file that the configuration names, relative to the working
// directory. It reports what cannot be read; abs is the file's absolute path.
func (r *resolver) readNamed(path, name string) (content []byte, abs string, ok bool) {
	abs, err := filepath.Abs(name)
	if err != nil {
		r.errorf(path, Invalid, "not a path: %v", err)
		return nil, "", false
	}
	r.cfg.Named = append(r.cfg.Named, abs)
	if content, err = r.opts.ReadFile(abs); err != nil {
		r.errorf(path, Reference, "cannot be read: %v", err)
		return nil, abs, false
	}
	return content, abs, true
}

// credentialFile reads a credential; keyPath is the place of the key as a whole.
func (r *resolver) credentialFile(path, keyPath, name string) *Credential {
	content, abs, ok := r.readNamed(path, name)
	if !ok {
		return nil
	}
	return r.checked(keyPath, NewCredential("file:"+abs, strings.TrimSpace(string(content))))
}

// checked reports a credential that no header can carry.
func (r *resolver) checked(path string, c *Credential) *Credential {
	switch {
	case c.value == "" && !r.opts.AllowUnsetEnv:
		r.errorf(path, Invalid, "the key is empty")
	case strings.ContainsFunc(c.value, func(r rune) bool { return r < ' ' || r == 0x7f }):
		r.errorf(path, Invalid, "the key holds a line break or another control character, which no header can carry")
	}
	return c
}

// tlsMinVersions are F5's words.
var tlsMinVersions = []string{"v1.2", "v1.3"}

// clientTLSKeys are the words of a dialect for the fields of fileBackendTLS.
type clientTLSKeys struct{ root, cert, key, minVersion string }

func (r *resolver) clientTLS(path string, k clientTLSKeys, f *fileBackendTLS) *TLS {
	t := &TLS{MinVersion: f.MinVersion}
	switch f.MinVersion {
	case "", tlsMinVersions[0], tlsMinVersions[1]:
	default:
		r.errorf(path+"."+k.minVersion, Invalid, "expected %s", alternatives(tlsMinVersions))
	}
	if f.Root != "" {
		t.Root = r.roots(path+"."+k.root, f.Root)
	}
	if (f.Cert == "") != (f.Key == "") {
		r.missingf(path, "expected both of %s and %s, or neither", k.cert, k.key)
		return t
	}
	if f.Cert == "" {
		return t
	}
	t.Cert = r.certificates(path+"."+k.cert, f.Cert)
	key, abs, ok := r.readNamed(path+"."+k.key, f.Key)
	if !ok || t.Cert == nil {
		return t
	}
	if _, err := tls.X509KeyPair(t.Cert, key); err != nil {
		// The error's own text could quote bytes of the key.
		r.errorf(path+"."+k.key, Invalid, "not the private key of %s; expected PEM with the key of its first certificate", k.cert)
	}
	if leaf := firstOf(t.Cert); leaf != nil {
		if why := unfit(leaf); why != "" {
			r.errorf(path+"."+k.cert, Unsupported, "%s", why)
		}
	}
	t.Key = NewCredential("file:"+abs, string(key))
	return t
}

// certificates reads PEM with one or more certificates.
func (r *resolver) certificates(path, name string) []byte {
	content, _, ok := r.readNamed(path, name)
	if !ok {
		return nil
	}
	found := 0
	for rest := content; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			r.errorf(path, Invalid, "holds a PEM block that is no certificate; expected certificates only")
			return nil
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			r.errorf(path, Invalid, "certificate %d of the file cannot be read: %s", found+1, strings.TrimPrefix(err.Error(), "x509: "))
			return nil
		}
		found++
	}
	if found == 0 {
		r.errorf(path, Invalid, "holds no certificate; expected PEM")
		return nil
	}
	if damaged(content) {
		r.errorf(path, Invalid, "%s", damagedPEM)
		return nil
	}
	return content
}
