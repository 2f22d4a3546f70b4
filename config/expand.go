package config

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// expand replaces variables by the rules of the Rust crate shellexpand, which
// agentgateway uses:
//
//	$NAME           the longest run of letters, digits and _ (any script)
//	${NAME}         up to the next }
//	${NAME:-value}  the value if NAME is not set; a set but empty NAME is empty
//	$$              a dollar sign
//	$ and anything else, or ${ without a }, stays as it is
//
// It returns the names that are not set and have no default. They expand to
// nothing.
func expand(s string, lookup func(string) (string, bool)) (out string, missing []string) {
	var b strings.Builder
	for {
		i := strings.IndexByte(s, '$')
		if i < 0 {
			b.WriteString(s)
			return b.String(), missing
		}
		b.WriteString(s[:i])
		s = s[i+1:]
		var name, fallback string
		hasFallback := false
		switch {
		case strings.HasPrefix(s, "$"):
			b.WriteByte('$')
			s = s[1:]
			continue
		case strings.HasPrefix(s, "{"):
			end := strings.IndexByte(s, '}')
			if end < 0 {
				b.WriteByte('$')
				continue
			}
			name, fallback, hasFallback = strings.Cut(s[1:end], ":-")
			s = s[end+1:]
		default:
			n := nameLength(s)
			if n == 0 {
				b.WriteByte('$')
				continue
			}
			name, s = s[:n], s[n:]
		}
		value, ok := lookup(name)
		switch {
		case ok:
			b.WriteString(value)
		case hasFallback:
			b.WriteString(fallback)
		default:
			missing = append(missing, name)
		}
	}
}

func nameLength(s string) int {
	for i, r := range s {
		if r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) || r == utf8.RuneError {
			return i
		}
	}
	return len(s)
}

// soleVariable returns the name of the variable that s consists of, as in
// $NAME, ${NAME} and ${NAME:-value}.
func soleVariable(s string) (string, bool) {
	if inner, ok := strings.CutPrefix(s, "${"); ok {
		name, isLast := strings.CutSuffix(inner, "}")
		name, _, _ = strings.Cut(name, ":-")
		return name, isLast && name != "" && !strings.ContainsAny(inner[:len(inner)-1], "}")
	}
	name, ok := strings.CutPrefix(s, "$")
	return name, ok && name != "" && nameLength(name) == len(name)
}
