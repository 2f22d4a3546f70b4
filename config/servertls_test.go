package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"
)

// parseServerTLS reads a file with one HTTPS listener. The files that it names are
// those of the golden server-tls.
func parseServerTLS(t *testing.T, keys string, now time.Time) *Config {
	t.Helper()
	archive, err := txtar.ParseFile(filepath.Join("testdata", "server-tls.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	src := "binds: [{port: 1, listeners: [{protocol: HTTPS, tls: {" + keys + "}}]}]"
	c, err := Parse("c.yaml", []byte(src), Options{Now: func() time.Time { return now }, ReadFile: func(path string) ([]byte, error) {
		for _, f := range archive.Files {
			if f.Name == filepath.Base(path) {
				return f.Data, nil
			}
		}
		return nil, os.ErrNotExist
	}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// What a certificate is called depends on its files alone, the private key stays
// out of the chain, and all files are watched.
func TestServerCertificate(t *testing.T) {
	c := parseServerTLS(t, "cert: both.pem, key: k.pem, root: c.pem", time.Now())
	cert := c.Listeners[0].TLS.Certificate
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if want := "file:" + dir + "/both.pem|file:" + dir + "/k.pem"; cert.Ref != want {
		t.Errorf("the certificate is called %s, want %s", cert.Ref, want)
	}
	if strings.Contains(string(cert.Chain), "PRIVATE") || !strings.Contains(cert.Key.Reveal(), "PRIVATE") {
		t.Error("the key is not where it belongs")
	}
	if want := []string{dir + "/both.pem", dir + "/c.pem", dir + "/k.pem"}; !slices.Equal(c.Named, want) {
		t.Errorf("watched are %q, want %q", c.Named, want)
	}
	if len(c.Warnings) > 0 {
		t.Errorf("warnings: %v", c.Warnings)
	}
}

// Certificates out of their time are warned of: agentgateway takes them too.
func TestCertificateTime(t *testing.T) {
	for _, tc := range []struct {
		year int
		want string
	}{{2020, "is not valid before 2026-"}, {2050, ""}, {2200, "has expired on 2126-"}} {
		c := parseServerTLS(t, "cert: c.pem, key: k.pem", time.Date(tc.year, 1, 1, 0, 0, 0, 0, time.UTC))
		got := report(c, nil)
		if tc.want == "" && got != "" || !strings.Contains(got, tc.want) {
			t.Errorf("in %d: %q, want %q", tc.year, got, tc.want)
		}
	}
}

// A list of suites decides about versions too.
func TestCipherSuites(t *testing.T) {
	const all13 = "TLS_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256"
	for _, tc := range []struct{ suites, minimum, maximum, tls12 string }{
		{"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "", tlsV12, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"},
		{all13, tlsV13, "", ""},
		{"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, " + all13, "", "", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"},
	} {
		got := parseServerTLS(t, "cert: c.pem, key: k.pem, cipherSuites: ["+tc.suites+"]", time.Now()).Listeners[0].TLS
		if got.MinVersion != tc.minimum || got.MaxVersion != tc.maximum || strings.Join(got.CipherSuites, " ") != tc.tls12 {
			t.Errorf("%s: %s to %s, %q", tc.suites, got.MinVersion, got.MaxVersion, got.CipherSuites)
		}
	}
}
