package external

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// An authority issues certificates for 127.0.0.1.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	// file is its own certificate.
	file string
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir()}
	a.cert, a.key, a.file, _ = a.issue(t, "ca", nil)
	return a
}

// leaf issues a certificate and returns the names of its files.
func (a *authority) leaf(t testing.TB, name string) (cert, key string) {
	t.Helper()
	_, _, cert, key = a.issue(t, name, a)
	return cert, key
}

func (a *authority) issue(t testing.TB, name string, by *authority) (*x509.Certificate, *ecdsa.PrivateKey, string, string) {
	t.Helper()
	must := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	from := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
	}
	parent, signer := from, key
	if by == nil {
		from.IsCA, from.KeyUsage = true, x509.KeyUsageCertSign
	} else {
		from.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
		from.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, from, parent, &key.PublicKey, signer)
	must(err)
	cert, err := x509.ParseCertificate(der)
	must(err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	must(err)
	write := func(file, kind string, bytes []byte) string {
		file = filepath.Join(a.dir, file)
		must(os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes}), 0o600))
		return file
	}
	return cert, key, write(name+".pem", "CERTIFICATE", der), write(name+".key", "PRIVATE KEY", private)
}
