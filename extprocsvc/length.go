package extprocsvc

import (
	"strconv"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
)

// framing is how much is known about the body when a reply is made.
type framing int

const (
	// untouched: the request has no body, or Envoy sends it without us.
	untouched framing = iota
	// whole: everything that will be sent is known.
	whole
	// streamed: what will be sent goes through our hands, and its length is
	// not known yet, or must not be told.
	streamed
)

// released is the framing of a body that is let go in one piece. HTTP/1 can
// only send trailers behind a body without a length.
func released(end bool) framing {
	if end {
		return whole
	}
	return streamed
}

// contentLength is the one place that decides about the header content-length.
// Envoy checks nothing in full duplex: a length that is too small is request
// smuggling, and one that is too large, or set on a request without a body, a
// hang. declared is the value that the request has, empty for none.
func contentLength(f framing, declared string, sent int) (set []*corev3.HeaderValueOption, remove []string) {
	switch f {
	case whole:
		if n := strconv.Itoa(sent); n != declared {
			return []*corev3.HeaderValueOption{setHeader("content-length", []byte(n))}, nil
		}
	case streamed:
		if declared != "" {
			return nil, contentLengthHeader
		}
	case untouched:
	}
	return nil, nil
}

var contentLengthHeader = []string{"content-length"}
