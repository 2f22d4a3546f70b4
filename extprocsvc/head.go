package extprocsvc

import (
	"mime"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
)

// A head is what the headers of a request tell about the rest of it.
type head struct {
	method string
	// length is the value of content-length, and bytes the number in it, or -1.
	length string
	bytes  int64
	// refused is why the request must not go through a chain that reads
	// bodies, whether it has a body or not; body is why its body cannot be
	// read.
	refused, body *refusal
	// encoded tells that the body has a content-encoding.
	encoded bool
	headers []*corev3.HeaderValue
	// size is that of all names and values, in bytes.
	size int
	// pseudoLast tells that a pseudo header follows an ordinary one: the peer
	// is agentgateway, not Envoy.
	pseudoLast bool
}

// readHead goes through the headers once. Every occurrence of a header counts:
// a second content-type must not hide what the first one says.
func readHead(headers []*corev3.HeaderValue) head {
	h := head{bytes: -1, headers: headers}
	for i, kv := range headers {
		key := kv.GetKey()
		if len(key) > 0 && key[0] == ':' && i > 0 && !strings.HasPrefix(headers[i-1].GetKey(), ":") {
			h.pseudoLast = true
		}
		value := valueOf(kv)
		h.size += len(key) + len(value)
		h.read(key, value)
	}
	return h
}

// maxHead bounds the headers of a message, in bytes. They are kept for as long
// as the stream is open. Envoy's own limit is 60 KiB by default.
const maxHead = 1 << 20

// valueOf is the value of a header. Envoy fills raw_value; agentgateway value,
// for pseudo headers. Both send the names in lower case.
func valueOf(kv *corev3.HeaderValue) []byte {
	if raw := kv.GetRawValue(); len(raw) > 0 {
		return raw
	}
	return []byte(kv.GetValue())
}

// values are all values of a header, in order.
func (h *head) values(name string) (set []string) {
	for _, kv := range h.headers {
		if kv.GetKey() == name {
			set = append(set, string(valueOf(kv)))
		}
	}
	return set
}

// first is the first value of a header, or empty.
func (h *head) first(name string) string {
	for _, kv := range h.headers {
		if kv.GetKey() == name {
			return string(valueOf(kv))
		}
	}
	return ""
}

func (h *head) path() string { return h.first(":path") }

// bare is the path without its query.
func (h *head) bare() string {
	path, _, _ := strings.Cut(h.path(), "?")
	return path
}

func (h *head) read(key string, value []byte) {
	switch key {
	case ":method":
		if h.method = string(value); h.method == "CONNECT" {
			h.refused = upgrade
		}
	case "upgrade", ":protocol":
		h.refused = upgrade
	case "content-length":
		h.length = string(value)
		h.bytes = decimal(h.length)
	case "content-type":
		switch {
		case string(value) == "application/json":
		case len(value) >= len(grpcType) && strings.EqualFold(string(value[:len(grpcType)]), grpcType):
			h.refused = grpcCall
		case !isJSON(string(value)):
			h.body = notJSON
		}
	case "content-encoding":
		if v := strings.TrimSpace(string(value)); v != "" && !strings.EqualFold(v, "identity") {
			h.body, h.encoded = compressed, true
		}
	}
}

const grpcType = "application/grpc"

// isJSON tells whether a content-type is application/json or ends in +json,
// without a charset that could make other characters of the bytes than UTF-8.
func isJSON(contentType string) bool {
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil || media != "application/json" && !strings.HasSuffix(media, "+json") {
		return false
	}
	charset, ok := params["charset"]
	return !ok || strings.EqualFold(charset, "utf-8") || strings.EqualFold(charset, "us-ascii")
}

// decimal is the number in a content-length, or -1 if it is none.
func decimal(s string) int64 {
	if s == "" || len(s) > 18 {
		return -1
	}
	n := int64(0)
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return -1
		}
		n = n*10 + int64(c-'0')
	}
	return n
}

// expectsBody are the methods that make no sense to a chain without a body.
func expectsBody(method string) bool {
	return method == "POST" || method == "PUT" || method == "PATCH"
}
