package extprocsvc

import (
	"reflect"
	"slices"
	"strings"

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/extprocsvc/llm"
)

// An api is what an ai backend does to requests whose path ends with a suffix.
type api struct {
	suffix string
	// settings is what is changed; nil for nothing.
	settings *llm.Settings
	// guard looks at requests and answers; nil for none.
	guard *guard
}

// apisOf returns what an ai backend does, or nil if that is nothing.
func apisOf(ai *config.AI, g *guard) (list []api) {
	if ai == nil {
		return nil
	}
	changes := false
	for _, a := range ai.APIs {
		one := api{suffix: a.Suffix, settings: settingsOf(ai, a.Type)}
		if dialects[a.Type] != nil {
			one.guard = g
		}
		list, changes = append(list, one), changes || one.settings != nil || one.guard != nil
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
	content = append(content, ai.Model, ai.Overrides, ai.Defaults, ai.Aliases, ai.Prepend, ai.Append)
	if ai.Guard != nil {
		content = append(content, guardContent(ai.Guard))
	}
	return content
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

// at returns what to do to requests for a path, or nil.
func (b *backend) at(path string) *api {
	for i := range b.apis {
		if strings.HasSuffix(path, b.apis[i].suffix) {
			return &b.apis[i]
		}
	}
	return nil
}

// changes tells whether a backend changes some requests or guards them,
// changesAt those for a path.
func (c *Chain) changes() bool {
	return slices.ContainsFunc(c.backends, func(b *backend) bool { return b.apis != nil })
}

// hasAI tells whether a backend says which APIs it has.
func (c *Chain) hasAI() bool {
	return slices.ContainsFunc(c.backends, func(b *backend) bool { return b.speaks != nil })
}

func (c *Chain) changesAt(path string) bool {
	return slices.ContainsFunc(c.backends, func(b *backend) bool {
		a := b.at(path)
		return a != nil && (a.settings != nil || a.guard != nil)
	})
}

// guardsAnswers tells whether a backend guards answers.
func (c *Chain) guardsAnswers() bool {
	return slices.ContainsFunc(c.backends, func(b *backend) bool {
		return slices.ContainsFunc(b.apis, func(a api) bool { return a.guard != nil && len(a.guard.replies) > 0 })
	})
}
