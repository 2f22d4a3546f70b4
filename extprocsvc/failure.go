package extprocsvc

import (
	"mime"
	"strings"
)

// A failure is an answer that is an error of the model: with another status than
// 2xx. What it says may quote the request, or what the model has generated so far;
// steps that look at texts see it, and the client gets it with its status.
type failure struct {
	is    bool
	plain bool // its body is no JSON
}

// isText tells whether the body of an error can be read: JSON, or text in an
// encoding that is ASCII where it is UTF-8.
func (h *head) isText() bool {
	if h.body == compressed {
		return false
	}
	for _, t := range h.values("content-type") {
		media, params, err := mime.ParseMediaType(t)
		if err != nil || media == "text/event-stream" {
			return false
		}
		_, suffix, _ := strings.Cut(media, "/")
		if !strings.HasPrefix(media, "text/") && !textTypes[suffix[strings.LastIndexByte(suffix, '+')+1:]] {
			return false
		}
		if charset, ok := params["charset"]; ok && !textCharsets[strings.ToLower(charset)] {
			return false
		}
	}
	return true
}

var (
	textTypes    = set("json", "xml", "html")
	textCharsets = set("utf-8", "us-ascii", "iso-8859-1", "windows-1252")
)

// readFailure reads an error that is complete.
func (s *stream) readFailure() (err error) {
	if err := s.result.claim(s.server, int64(len(s.result.bytes))); err != nil {
		return err
	}
	s.failure.plain, err = s.done.ScanFailure(s.result.bytes)
	return err
}
