package extprocsvc

import (
	"slices"
	"strings"

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/extprocsvc/llm"
)

// dialects are those of the APIs whose bodies can be read. Others, such as
// generateContent, have none.
var dialects = map[config.APIType]*llm.Dialect{
	config.Completions:         llm.ChatCompletions,
	config.Messages:            llm.Messages,
	config.AnthropicTokenCount: llm.CountTokens,
	config.Responses:           llm.Responses,
	config.Embeddings:          llm.Embeddings,
}

// paths are what the paths of requests end with at a backend of which nothing
// else is known.
var paths = []struct {
	suffix  string
	dialect *llm.Dialect
}{
	{"/v1/chat/completions", llm.ChatCompletions},
	{"/v1/completions", llm.Completions},
	{"/v1/responses", llm.Responses},
	{"/v1/embeddings", llm.Embeddings},
	{"/v1/messages", llm.Messages},
	{"/v1/messages/count_tokens", llm.CountTokens},
}

// dialectAt is the dialect that a path alone tells, or nil.
func dialectAt(path string) *llm.Dialect {
	for _, p := range paths {
		if strings.HasSuffix(path, p.suffix) {
			return p.dialect
		}
	}
	return nil
}

// A reading is how the bodies for a path are read.
type reading struct {
	// dialect is nil if it is not known: then the body tells.
	dialect *llm.Dialect
	// unread tells that no table is right: the backends of the route take the
	// path for different APIs, or for one that has no table.
	unread bool
}

// reading tells how a request for a path is read at this backend. none tells that
// no request for it gets there.
func (b *backend) reading(path string) (r reading, none bool) {
	if b.speaks == nil {
		return reading{dialect: dialectAt(path)}, false
	}
	api := b.speaks.At(path)
	switch d, known := dialects[api.Type]; {
	case api.Type == config.Untranslated:
		return reading{}, true
	case known && api.Suffix == "" && api.Rewrite == config.RegexRewrite{}:
		// The backend is asked at the client's path, so that tells more than a
		// word for all paths.
		if at := dialectAt(path); at != nil {
			d = at
		}
		return reading{dialect: d}, false
	case known:
		return reading{dialect: d}, false
	case api.Type == config.GenerateContent || api.Type == config.GeminiCountTokens:
		return reading{unread: true}, false
	default:
		return reading{dialect: dialectAt(path)}, false
	}
}

// reading tells how the body of a request is read. A chain that is not one
// route's knows nothing of the backends.
func (c *Chain) reading(h *head) reading {
	path := h.bare()
	var r reading
	first := true
	named := slices.ContainsFunc(c.candidates, func(p candidate) bool { return len(p.services) > 0 })
	for _, b := range c.backends {
		of, none := b.reading(path)
		if none || b.weight == 0 && !named {
			continue
		}
		if !first && of != r {
			return reading{unread: true}
		}
		r, first = of, false
	}
	if first {
		r.dialect = dialectAt(path)
	}
	if r == (reading{}) && len(h.values("anthropic-version")) > 0 {
		r.dialect = llm.Messages
	}
	return r
}

// scan reads a body.
func (r reading) scan(d *llm.Doc, body []byte) error {
	switch {
	case r.unread:
		return d.Scan(llm.Unread, body)
	case r.dialect == nil:
		return d.ScanUnknown(body)
	default:
		return d.Scan(r.dialect, body)
	}
}

// anthropic tells whether clients of a dialect expect Anthropic's errors.
func (r reading) anthropic() bool { return r.dialect == llm.Messages || r.dialect == llm.CountTokens }

// readable reports APIs of a route that a step cannot look into.
func (b *builder) readable(rt *config.Route, profile string, s *step) {
	if rt == nil || !s.kind.ReadsBody {
		return
	}
	for _, be := range rt.Backends {
		if be.AI == nil {
			continue
		}
		var told []config.APIType
		for _, a := range be.AI.APIs {
			d := dialects[a.Type]
			_, known := apiKinds[a.Type]
			switch {
			case !known || slices.Contains(told, a.Type):
			case d == nil:
				b.errorf(be.Path, config.Unsupported, "profile %s cannot look into %s yet, which some requests to this backend are; write routes without it, or give it a route of its own", profile, a.Type)
			case s.kind.ChatOnly && d != llm.ChatCompletions:
				b.errorf(be.Path, config.Unsupported, "processor %s of profile %s understands chat completions only, and some requests to this backend are %s; write routes without it, or give it a route of its own", s.name, profile, a.Type)
			}
			told = append(told, a.Type)
		}
	}
}
