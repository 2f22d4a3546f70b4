package config

import (
	"bytes"
	"cmp"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// ServerTLS is how a listener ends TLS.
type ServerTLS struct {
	// Path is the place in the file.
	Path string
	// Certificate is what clients see.
	Certificate *Certificate
	// ClientRoots verify the clients, which must then show a certificate; nil
	// for none.
	ClientRoots *Roots
	// MinVersion and MaxVersion are TLS_V1_2, TLS_V1_3, or empty for the
	// default, which is both.
	MinVersion, MaxVersion string
	// CipherSuites are those of TLS 1.2, by their names in RFC 5289 and 7905,
	// in the order of preference; nil for the default. All those of TLS 1.3
	// come with that version.
	CipherSuites []string
	// KeyExchangeGroups are X25519_MLKEM768, X25519, P-256 or P-384, in the order of
	// preference; nil for the default.
	KeyExchangeGroups []string
}

// Certificate is a certificate and its private key, from two files.
type Certificate struct {
	// Ref names the files. Names are made of it, never of the content.
	Ref string
	// Chain is PEM: the certificate, then those that lead to its root.
	Chain []byte
	Key   *Credential
}

// Roots are the certificates of a file that others are verified with.
type Roots struct {
	// Ref names the file.
	Ref string
	// PEM is its content.
	PEM []byte
}

func (r *resolver) serverTLS(path string, f *fileServerTLS) *ServerTLS {
	t := &ServerTLS{Path: path, MinVersion: f.MinTLSVersion, MaxVersion: f.MaxTLSVersion}
	if f.Cert == "" || f.Key == "" {
		r.missingf(path, "expected cert and key")
	} else {
		t.Certificate = r.certificate(path+".cert", f.Cert, path+".key", f.Key)
	}
	if f.Root != "" {
		t.ClientRoots = r.roots(path+".root", f.Root)
	}
	if t.MinVersion == tlsV13 && t.MaxVersion == tlsV12 {
		r.errorf(path+".maxTLSVersion", Conflict, "lower than minTLSVersion")
		return t
	}
	r.cipherSuites(path+".cipherSuites", f.CipherSuites, t)
	for i, g := range f.KeyExchangeGroups {
		if !slices.Contains(keyExchangeGroups, g) {
			r.errorf(fmt.Sprintf("%s.keyExchangeGroups[%d]", path, i), Invalid, "unknown group; expected %s", alternatives(keyExchangeGroups))
		}
	}
	t.KeyExchangeGroups = f.KeyExchangeGroups
	return t
}

// roots reads certificates that others are verified with.
func (r *resolver) roots(at, name string) *Roots {
	abs, _ := filepath.Abs(name) // what fails is reported when it is read
	return &Roots{Ref: "file:" + abs, PEM: r.certificates(at, name)}
}

// certificate reads a certificate and its key, which may share a file; certAt and
// keyAt are where they are named.
func (r *resolver) certificate(certAt, certName, keyAt, keyName string) *Certificate {
	cert, certPath, certOK := r.readNamed(certAt, certName)
	key, keyPath, keyOK := r.readNamed(keyAt, keyName)
	if !certOK || !keyOK {
		return nil
	}
	c := &Certificate{Ref: "file:" + certPath + "|file:" + keyPath, Key: NewCredential("file:"+keyPath, string(key))}
	var leaf *x509.Certificate
	for i, block := range certificatesOf(cert) {
		parsed, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			r.errorf(certAt, Invalid, "certificate %d of the file cannot be read: %s", i+1, strings.TrimPrefix(err.Error(), "x509: "))
			return nil
		}
		leaf = cmp.Or(leaf, parsed)
		c.Chain = append(c.Chain, pem.EncodeToMemory(block)...)
	}
	if leaf == nil {
		r.errorf(certAt, Invalid, "holds no certificate; expected PEM")
		return nil
	}
	if damaged(cert) {
		r.errorf(certAt, Invalid, "%s", damagedPEM)
		return nil
	}
	if _, err := tls.X509KeyPair(c.Chain, key); err != nil {
		// The error's own text could quote bytes of the key.
		r.errorf(keyAt, Invalid, "not the private key of cert; expected PEM, not encrypted, with the key of its first certificate")
		return nil
	}
	if why := unfit(leaf); why != "" {
		r.errorf(certAt, Unsupported, "%s", why)
	}
	if mustStaple(leaf) {
		r.errorf(certAt, Unsupported, "the certificate says that an OCSP response must come with it, and nothing here gets one; expected one without the TLS feature status_request")
	}
	switch now := r.opts.Now(); {
	case now.After(leaf.NotAfter):
		r.warnf(certAt, Invalid, "the certificate has expired on %s; clients will refuse it", leaf.NotAfter.UTC().Format("2006-01-02 15:04 MST"))
	case now.Before(leaf.NotBefore):
		r.warnf(certAt, Invalid, "the certificate is not valid before %s; clients will refuse it", leaf.NotBefore.UTC().Format("2006-01-02 15:04 MST"))
	}
	return c
}

const strongKeys = "expected RSA of 2048 bits or more, ECDSA of P-256, P-384 or P-521, or Ed25519"

// damagedPEM is what is wrong with a text that has more beginnings of blocks than
// blocks, of which Go takes what it can read.
const damagedPEM = "holds a PEM block that cannot be read; expected whole certificates"

func damaged(text []byte) bool {
	blocks := 0
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		blocks++
	}
	return bytes.Count(text, []byte("-----BEGIN ")) > blocks
}

// firstOf is the first certificate of a PEM text that was read before; nil if there
// is none.
func firstOf(text []byte) *x509.Certificate {
	for _, block := range certificatesOf(text) {
		if leaf, err := x509.ParseCertificate(block.Bytes); err == nil {
			return leaf
		}
	}
	return nil
}

// unfit tells why Envoy does not take a certificate of its own, and what it takes;
// empty if it does.
func unfit(leaf *x509.Certificate) string {
	if why := weakKey(leaf.PublicKey); why != "" {
		return why + ", which Envoy refuses; " + strongKeys
	}
	// Of the other kinds it asks nothing.
	if _, ok := leaf.PublicKey.(*ecdsa.PublicKey); ok && leaf.KeyUsage != 0 && leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		return "the key of the certificate may not sign, which Envoy refuses; expected digitalSignature among its key usages"
	}
	return ""
}

// mustStaple tells whether a certificate is worth nothing without an OCSP response
// (RFC 7633).
func mustStaple(c *x509.Certificate) bool {
	feature := asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24}
	return slices.ContainsFunc(c.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(feature) })
}

// certificatesOf returns the certificates of a PEM text, and leaves out what
// else there is.
func certificatesOf(text []byte) (found []*pem.Block) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			found = append(found, &pem.Block{Type: block.Type, Bytes: block.Bytes})
		}
	}
	return found
}

// weakKey says what Envoy does not like about a key.
func weakKey(public any) string {
	switch k := public.(type) {
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < 2048 {
			return fmt.Sprintf("an RSA key of %d bits", bits)
		}
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P224() {
			return "an ECDSA key of P-224"
		}
	case ed25519.PublicKey:
	default:
		return "a key of an unusual kind"
	}
	return ""
}

// The versions of TLS, in agentgateway's words.
const (
	tlsV12 = "TLS_V1_2"
	tlsV13 = "TLS_V1_3"
)

var keyExchangeGroups = []string{"X25519_MLKEM768", "X25519", "P-256", "P-384"}

// tls12Suites are those of TLS 1.2 that are worth their name, tls13Suites all
// of TLS 1.3.
var (
	tls12Suites = []string{
		"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
		"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
		"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
		"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
		"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
		"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
	}
	tls13Suites = []string{
		"TLS13_AES_128_GCM_SHA256",
		"TLS13_AES_256_GCM_SHA384",
		"TLS13_CHACHA20_POLY1305_SHA256",
	}
)

// cipherSuites reads a list of suites. It decides about the versions as well:
// one of which no suite is listed is not spoken.
func (r *resolver) cipherSuites(path string, names []string, t *ServerTLS) {
	if len(names) == 0 {
		return
	}
	known, modern := slices.Concat(tls12Suites, tls13Suites), map[string]bool{}
	for i, name := range names {
		if rest, ok := strings.CutPrefix(name, "TLS_"); ok && slices.Contains(tls13Suites, "TLS13_"+rest) {
			name = "TLS13_" + rest
		}
		switch {
		case slices.Contains(tls12Suites, name):
			t.CipherSuites = append(t.CipherSuites, name)
		case slices.Contains(tls13Suites, name):
			modern[name] = true
		default:
			r.errorf(fmt.Sprintf("%s[%d]", path, i), Invalid, "unknown cipher suite; %s", suggest(name, known, known))
			return
		}
	}
	switch {
	case len(modern) != 0 && len(modern) != len(tls13Suites):
		r.errorf(path, Unsupported, "Envoy has all suites of TLS 1.3 or none; list %s, or none of them", strings.Join(tls13Suites, ", "))
	case len(modern) == 0 && t.MinVersion == tlsV13:
		r.errorf(path, Conflict, "has no suite of TLS 1.3, which minTLSVersion asks for")
	case len(t.CipherSuites) == 0 && t.MaxVersion == tlsV12:
		r.errorf(path, Conflict, "has no suite of TLS 1.2, which is what maxTLSVersion allows")
	case len(modern) == 0:
		t.MaxVersion = tlsV12
	case len(t.CipherSuites) == 0:
		t.MinVersion = tlsV13
	}
}
