package translator

import (
	"fmt"
	"regexp"
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/attache-dev/attache/config"
)

// queryMatch compares a parameter as agentgateway does, after decoding. Envoy
// looks at the text of the request, so an exact value becomes a pattern of the
// ways to write it. Letters, digits and -._~ are only looked for as they are:
// nobody encodes them.
func queryMatch(q config.ValueMatch) *routev3.QueryParameterMatcher {
	m := &routev3.QueryParameterMatcher{Name: q.Name}
	if !q.Regex {
		if pattern := encodings(q.Value); pattern != q.Value {
			q = config.ValueMatch{Value: pattern, Regex: true}
		}
	}
	m.QueryParameterMatchSpecifier = &routev3.QueryParameterMatcher_StringMatch{StringMatch: stringMatch(q)}
	return m
}

// encodings is the pattern of what decodes to a value; the value itself if that
// is the only way to write it.
func encodings(value string) string {
	var b strings.Builder
	plain := true
	for i := 0; i < len(value); i++ {
		c := value[i]
		if c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || strings.IndexByte("-._~", c) >= 0 {
			b.WriteString(regexp.QuoteMeta(value[i : i+1]))
			continue
		}
		plain = false
		hex := percentEncoded(c)
		switch {
		case c == ' ':
			b.WriteString(`(?:` + hex + `|\+| )`)
		case c == '+' || c == '&' || c == '#' || c >= 0x80 || c == '%' && isHex(value, i+1) && isHex(value, i+2):
			b.WriteString(hex) // as it is, it would mean something else
		default:
			b.WriteString(`(?:` + hex + `|` + regexp.QuoteMeta(value[i:i+1]) + `)`)
		}
	}
	if plain {
		return value
	}
	return b.String()
}

// percentEncoded is the pattern of a byte as %XX, in small or capital letters.
func percentEncoded(c byte) string {
	var b strings.Builder
	b.WriteByte('%')
	for _, digit := range fmt.Sprintf("%02X", c) {
		if digit >= 'A' {
			b.WriteString("[" + string(digit) + string(digit+'a'-'A') + "]")
		} else {
			b.WriteRune(digit)
		}
	}
	return b.String()
}

func isHex(s string, i int) bool {
	return i < len(s) && strings.IndexByte("0123456789abcdefABCDEF", s[i]) >= 0
}
