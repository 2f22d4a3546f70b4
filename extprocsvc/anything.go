package extprocsvc

import (
	"mime"
	"slices"
	"strings"
)

// An anything is a response that is no answer of a model: an error, with another
// status than 2xx, or what a request without a body gets, such as a list of models.
// What an error says may quote the request, or what the model has generated so far.
// Steps that look at texts see it, and the client gets it with its status.
type anything struct {
	is    bool
	plain bool // its body is no JSON
}

// textsOnly tells whether all steps for the response look at texts, whatever it is.
func (s *stream) textsOnly() bool {
	only := func(stages []stage) bool {
		return !slices.ContainsFunc(stages, func(st stage) bool {
			return slices.ContainsFunc(st.steps, func(s step) bool { return !s.kind.Texts })
		})
	}
	return (s.guard == nil || only(s.guard.replies)) && (!s.profiled() || only(s.profile.replies))
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

// readAnything reads one that is complete.
func (s *stream) readAnything() (err error) {
	if err := s.result.claim(s.server, int64(len(s.result.bytes))); err != nil {
		return err
	}
	s.anything.plain, err = s.done.ScanAnything(s.result.bytes)
	return err
}
