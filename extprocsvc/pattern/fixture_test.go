package pattern

import (
	"bytes"
	"math/big"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// fixture is a set of the size and kind that data-security has: personal data
// and the keys of common vendors.
var fixture = []Pattern{
	{Name: "email", Expr: `\b[A-Za-z0-9][A-Za-z0-9._%+\-]{0,63}@(?:[A-Za-z0-9\-]{1,63}\.){1,8}[A-Za-z]{2,24}\b`},
	{Name: "phone", Expr: `(?:\+\d{1,3}[ .\-]?)?(?:\(\d{3}\) ?|\b\d{3}[ .\-])\d{3}[ .\-]\d{4}\b`},
	{Name: "phone-intl", Expr: `\+\d{1,3}(?:[ .\-]?\d{2,4}){2,5}\b`},
	{Name: "ssn", Expr: `\b\d{3}-\d{2}-\d{4}\b`},
	{Name: "card", Expr: `\b\d(?:[ \-]?\d){12,18}\b`, Valid: luhn},
	{Name: "iban", Expr: `\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b`, Valid: iban},
	{Name: "ipv4", Expr: `\b(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)\b`},
	{Name: "ipv6", Expr: `(?i)\b(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}\b|\b(?:[0-9a-f]{1,4}:){1,6}(?::[0-9a-f]{1,4}){1,6}\b`},
	{Name: "mac", Expr: `(?i)\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b`},
	{Name: "passport", Expr: `\b[A-Z]{1,2}\d{6,8}\b`},
	{Name: "aws-id", Expr: `\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16}\b`},
	{Name: "github", Expr: `\bgh[pousr]_[A-Za-z0-9]{36,255}\b`},
	{Name: "github-pat", Expr: `\bgithub_pat_[A-Za-z0-9_]{22,255}\b`},
	{Name: "slack", Expr: `\bxox[abeoprs]-[A-Za-z0-9\-]{10,250}`},
	{Name: "anthropic", Expr: `\bsk-ant-[a-z0-9]{3,12}-[A-Za-z0-9_\-]{20,200}`},
	{Name: "openai", Expr: `\bsk-(?:proj-|svcacct-)?[A-Za-z0-9_\-]{20,200}`},
	{Name: "google", Expr: `\bAIza[A-Za-z0-9_\-]{35}`},
	{Name: "stripe", Expr: `\b[sr]k_(?:live|test)_[A-Za-z0-9]{16,128}\b`},
	{Name: "gitlab", Expr: `\bglpat-[A-Za-z0-9_\-]{20,64}`},
	{Name: "npm", Expr: `\bnpm_[A-Za-z0-9]{36}\b`},
	{Name: "sendgrid", Expr: `\bSG\.[A-Za-z0-9_\-]{22}\.[A-Za-z0-9_\-]{43}`},
	{Name: "twilio", Expr: `\b(?:AC|SK)[0-9a-f]{32}\b`},
	{Name: "jwt", Expr: `\beyJ[A-Za-z0-9_\-]{8,}\.eyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{10,}`, MaxMatch: 4096},
	{Name: "pem", Expr: `-----BEGIN (?:[A-Z]{1,12} ){0,3}PRIVATE KEY-----[A-Za-z0-9+/=\s]*(?:-----END (?:[A-Z]{1,12} ){0,3}PRIVATE KEY-----)?`, MaxMatch: 4096},
	{Name: "bearer", Expr: `(?i)\bbearer [a-z0-9._~+/\-]{16,500}=*`, MaxMatch: 600},
	{Name: "url-password", Expr: `\b[a-z][a-z0-9+]{1,15}://[^\s/:@]{1,64}:[^\s/:@]{1,64}@`},
}

func luhn(match []byte) bool {
	sum, n := 0, 0
	for i := len(match) - 1; i >= 0; i-- {
		d := int(match[i]) - '0'
		if d < 0 || d > 9 {
			continue
		}
		if n%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum, n = sum+d, n+1
	}
	return sum%10 == 0
}

func iban(match []byte) bool {
	m := bytes.ReplaceAll(match, []byte(" "), nil)
	if len(m) < 15 || len(m) > 34 {
		return false
	}
	var digits strings.Builder
	for _, c := range append(append([]byte(nil), m[4:]...), m[:4]...) {
		if c >= 'A' {
			digits.WriteString(big.NewInt(int64(c - 'A' + 10)).String())
		} else {
			digits.WriteByte(c)
		}
	}
	n, _ := new(big.Int).SetString(digits.String(), 10)
	return n.Mod(n, big.NewInt(97)).Int64() == 1
}

// samples match patterns of the fixture, some more than one, some almost one.
var samples = []string{
	"ada@example.com", "a.b+c@mail.example.co.uk", "x@y", "@", "ada@example",
	"555-867-5309", "(555) 867-5309", "+1 555.867.5309", "+49 30 1234567",
	"078-05-1120", "078-05-11201",
	"4111 1111 1111 1111", "4111-1111-1111-1112", "5500005555555559 123", "4111111111111111",
	"GB29 NWBK 6016 1331 9268 19", "DE89370400440532013000", "DE89370400440532013001",
	"192.168.0.1", "256.1.1.1", "2001:0db8:0000:0000:0000:ff00:0042:8329", "fe80::1", "00:1A:2b:3c:4d:5e",
	"C01234567", "AKIAIOSFODNN7EXAMPLE", "ghp_" + strings.Repeat("aB3", 12), "github_pat_" + strings.Repeat("x1_", 8),
	"xoxb-123456789012-abcdefghij", "sk-proj-" + strings.Repeat("Ab1", 8), "sk-ant-api03-" + strings.Repeat("z9_", 8),
	"AIza" + strings.Repeat("SyD-9", 7), "sk_live_" + strings.Repeat("4eC3", 5), "glpat-" + strings.Repeat("AbCd1", 4),
	"npm_" + strings.Repeat("a1B2", 9), "SG." + strings.Repeat("a", 22) + "." + strings.Repeat("b", 43),
	"AC" + strings.Repeat("0f", 16), "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJlMTIz",
	"-----BEGIN RSA PRIVATE KEY-----\nMIIB" + strings.Repeat("Ab+/", 20) + "\n-----END RSA PRIVATE KEY-----",
	"Authorization: Bearer abcdef.0123456789", "postgres://user:secret@db",
}

// fragments returns a text of pieces of samples, words, and what may lie
// between them.
func fragments(rnd *rand.Rand, n int) []byte {
	glue := []string{" ", "", "", "\n", ".", "-", ", ", "é", "\xff", "世", "_", ":", "\xe4\xb8"}
	words := []string{"the", "Key", "and", "12", "7", "e", "0.1", "sk-", "eyJ", "Ünï", "K"}
	var b bytes.Buffer
	for b.Len() < n {
		switch s := samples[rnd.IntN(len(samples))]; rnd.IntN(4) {
		case 0:
			b.WriteString(s)
		case 1:
			b.WriteString(s[:rnd.IntN(len(s)+1)])
		case 2:
			b.WriteString(s[rnd.IntN(len(s)):])
		default:
			b.WriteString(words[rnd.IntN(len(words))])
		}
		b.WriteString(glue[rnd.IntN(len(glue))])
	}
	return b.Bytes()
}

// source returns what the standard library says about itself, without lines in
// which the fixture finds something: its comments are English prose, the rest
// is code.
func source(tb testing.TB) (prose, code []byte) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		tb.Fatal(err)
	}
	s := compile(tb, fixture...)
	for _, dir := range []string{"regexp", "net/http", "text/template"} {
		files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(root)), "src", dir, "*.go"))
		if err != nil || len(files) == 0 {
			tb.Fatal("no source of the standard library", err)
		}
		for _, f := range files {
			if strings.HasSuffix(f, "_test.go") {
				continue
			}
			b, err := os.ReadFile(f)
			if err != nil {
				tb.Fatal(err)
			}
			for line := range bytes.Lines(b) {
				text, comment := bytes.CutPrefix(line, []byte("// "))
				switch {
				case len(s.Find(nil, line)) > 0:
				case comment:
					prose = append(prose, text...)
				default:
					code = append(code, line...)
				}
			}
		}
	}
	return prose, code
}

func compile(tb testing.TB, patterns ...Pattern) *Set {
	tb.Helper()
	s, err := Compile(patterns)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}
