package extprocsvc

import (
	"reflect"
	"slices"
	"strings"

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/extprocsvc/llm"
)

// An api is what the settings of an ai backend do to requests whose path ends
// with a suffix; nothing, if settings is nil.
type api struct {
	suffix   string
	settings *llm.Settings
}

// apisOf returns the settings of an ai backend, or nil if they change nothing.
func apisOf(ai *config.AI) (list []api) {
	if ai == nil {
		return nil
	}
	changes := false
	for _, a := range ai.APIs {
		s := settingsOf(ai, a.Type)
		list, changes = append(list, api{a.Suffix, s}), changes || s != nil
	}
	if !changes {
		return nil
	}
	return list
}

// An apiKind is what is known of the requests of an API.
type apiKind struct {
	// model tells that the body has to name one.
	model bool
	// prompts tells that messages can be added, in a form.
	prompts bool
	form    llm.Form
}

// apiKinds are the APIs whose requests are changed.
var apiKinds = map[config.APIType]apiKind{
	config.Completions:         {model: true, prompts: true},
	config.Messages:            {model: true, prompts: true, form: llm.AnthropicMessages},
	config.AnthropicTokenCount: {model: true, prompts: true, form: llm.AnthropicMessages},
	config.Responses:           {model: true, prompts: true, form: llm.ResponseItems},
	config.Embeddings:          {model: true},
	config.GenerateContent:     {},
	config.GeminiCountTokens:   {},
}

func settingsOf(ai *config.AI, t config.APIType) *llm.Settings {
	kind, known := apiKinds[t]
	if !known {
		return nil
	}
	s := &llm.Settings{Overrides: fields(ai.Overrides), Defaults: fields(ai.Defaults)}
	if kind.model {
		s.Model = ai.Model
		for _, a := range ai.Aliases {
			s.Aliases = append(s.Aliases, llm.Alias(a))
		}
	}
	if kind.prompts {
		s.Prompts = llm.Prompts{Prepend: messages(ai.Prepend), Append: messages(ai.Append)}
	}
	if reflect.ValueOf(*s).IsZero() {
		return nil
	}
	s.Prompts.Form, s.NeedsModel = kind.form, kind.model
	return s
}

func fields(list []config.Field) (out []llm.Field) {
	for _, f := range list {
		out = append(out, llm.Field{Name: f.Name, JSON: f.JSON})
	}
	return out
}

func messages(list []config.Message) (out []llm.Message) {
	for _, m := range list {
		out = append(out, llm.Message(m))
	}
	return out
}

// aiContent is what the hash of a chain has to know of a backend's settings.
func aiContent(b *backend, ai *config.AI) (content []any) {
	if b.apis == nil {
		return nil
	}
	for _, a := range ai.APIs {
		content = append(content, a.Suffix, a.Type)
	}
	return append(content, ai.Model, ai.Overrides, ai.Defaults, ai.Aliases, ai.Prepend, ai.Append)
}

// sameSettings tells whether two backends of a route can share its requests
// without a choice of ours: the same body and the same path suit both.
func sameSettings(a, b *config.AI) bool {
	if a == nil || b == nil {
		return a.Untouched() && b.Untouched()
	}
	x, y := *a, *b
	x.Name, x.Provider, y.Name, y.Provider = "", "", "", ""
	return reflect.DeepEqual(x, y)
}

// settings returns what to do to a request for a path, or nil.
func (b *backend) settings(path string) *llm.Settings {
	for i := range b.apis {
		if strings.HasSuffix(path, b.apis[i].suffix) {
			return b.apis[i].settings
		}
	}
	return nil
}

// changes tells whether the settings of a backend change some requests,
// changesAt those for a path.
func (c *Chain) changes() bool {
	return slices.ContainsFunc(c.backends, func(b *backend) bool { return b.apis != nil })
}

func (c *Chain) changesAt(path string) bool {
	return slices.ContainsFunc(c.backends, func(b *backend) bool { return b.settings(path) != nil })
}

// readable reports APIs of a route that no profile can look into.
func (b *builder) readable(rt *config.Route, profile string) {
	if rt == nil {
		return
	}
	for _, be := range rt.Backends {
		if be.AI == nil {
			continue
		}
		for _, a := range be.AI.APIs {
			if _, known := apiKinds[a.Type]; known && a.Type != config.Completions {
				b.errorf(be.Path, config.Unsupported, "profile %s looks into chat completions only so far, and some requests to this backend are %s; write routes without it, or give it a route of its own", profile, a.Type)
			}
		}
	}
}
