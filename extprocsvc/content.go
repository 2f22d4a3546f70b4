package extprocsvc

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/attache-dev/attache/config"
)

// encode is the text that a hash is made of: the content as JSON. What most chains
// have is written by hand, into the same bytes.
func encode(name string, content []any) []byte {
	return appendContent(make([]byte, 0, 512), name, content)
}

func appendContent(b []byte, name string, content any) []byte {
	switch c := content.(type) {
	case nil:
		return append(b, "null"...)
	case string:
		if plainJSON(c) {
			return append(append(append(b, '"'), c...), '"')
		}
	case config.APIType:
		return appendContent(b, name, string(c))
	case bool:
		return strconv.AppendBool(b, c)
	case uint64:
		return strconv.AppendUint(b, c, 10)
	case time.Duration:
		return strconv.AppendInt(b, int64(c), 10)
	case json.RawMessage: // which encode has made
		return append(b, c...)
	case []any:
		if c == nil {
			return append(b, "null"...)
		}
		b = append(b, '[')
		for i, one := range c {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendContent(b, name, one)
		}
		return append(b, ']')
	}
	text, err := json.Marshal(content)
	if err != nil {
		// Raw marshals itself and everything else is plain.
		panic(fmt.Sprintf("extprocsvc: content of %s: %v", name, err))
	}
	return append(b, text...)
}

// plainJSON tells whether JSON writes a text as it is.
func plainJSON(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || strings.IndexByte(`"\<>&`, c) >= 0 {
			return false
		}
	}
	return true
}
