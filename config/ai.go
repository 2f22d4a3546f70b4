package config

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// AI holds the settings of a model provider. They never fail open.
type AI struct {
	// Name is the user's name of the backend; may be empty.
	Name string
	// Provider is agentgateway's word for who answers: openAI, anthropic, gemini
	// or custom.
	Provider string
	// Model replaces the model that the client asks for; empty keeps it.
	Model string
	// APIs tell which API a request is: the first whose suffix its path ends
	// with. The last one has no suffix.
	APIs APIs
	// Path is the path with its query that takes the place of the client's; empty
	// for what APIs say.
	Path string
	// Overrides are fields of the body that replace the client's, Defaults those
	// that it left out; sorted by name.
	Overrides, Defaults []Field
	// Aliases are the models that are meant by the names that clients use, the
	// first that matches: exact names before patterns, longer patterns before
	// shorter ones.
	Aliases []ModelAlias
	// Prepend and Append are messages before and behind the client's.
	Prepend, Append []Message
	// Guard looks at what comes of all this, and at the answers; nil for none.
	Guard *PromptGuard
}

// API is what the requests to some paths are.
type API struct {
	// Suffix is what the path without its query ends with; empty for every path.
	Suffix string
	// Type is agentgateway's word.
	Type APIType
	// Rewrite makes the provider's path of the client's.
	Rewrite RegexRewrite
}

// APIType is agentgateway's word for an API.
type APIType string

// The types whose requests are known to be read or changed. Those of all
// others, such as passthrough, are left as they are.
const (
	Completions         APIType = "completions"
	Messages            APIType = "messages"
	Responses           APIType = "responses"
	Embeddings          APIType = "embeddings"
	AnthropicTokenCount APIType = "anthropicTokenCount"
	GenerateContent     APIType = "generateContent"
	GeminiCountTokens   APIType = "geminiCountTokens"
)

// Untranslated is for requests that would have to be translated into an API that
// the provider speaks, which is not supported yet: they are answered 501.
const Untranslated APIType = "untranslated"

const (
	models      APIType = "models"
	realtime    APIType = "realtime"
	rerank      APIType = "rerank"
	passthrough APIType = "passthrough"
	detect      APIType = "detect"
)

// apiTypes are the words of routes.
var apiTypes = []APIType{
	Completions, Messages, models, Responses, Embeddings, realtime, AnthropicTokenCount,
	GenerateContent, GeminiCountTokens, rerank, passthrough, detect,
}

// RegexRewrite makes one path of another. The zero value keeps it.
type RegexRewrite struct {
	// Pattern is a regular expression (RE2) for the path without its query, and
	// Substitution what takes its place, where \1 is the first group.
	Pattern, Substitution string
}

// Field is a field of a JSON object.
type Field struct {
	Name string
	// JSON is the value.
	JSON json.RawMessage
}

// ModelAlias is a name for a model.
type ModelAlias struct {
	// Name may hold *, each for any text.
	Name, Model string
}

// Message is one of a chat.
type Message struct{ Role, Content string }

// APIs are what the requests to a backend are.
type APIs []API

// At returns what a request is, by its path without the query.
func (a APIs) At(path string) *API {
	for i := range a {
		if strings.HasSuffix(path, a[i].Suffix) {
			return &a[i]
		}
	}
	return &API{Type: passthrough}
}

// provider is what a kind of provider has that its settings do not say.
type provider struct {
	// target is where it is, unless hostOverride says otherwise.
	target Target
	// base is the path below which its APIs are.
	base string
	// paths are those of the APIs that it speaks, below base.
	paths map[APIType]string
}

// nativeModels stands for a path with the model and the method in it.
const nativeModels = "/v1beta/models/{model}:{method}"

var providers = map[string]provider{
	"openAI": {Target{Host: "api.openai.com", Port: 443}, "/v1", map[APIType]string{
		Completions: "/chat/completions", Responses: "/responses", Embeddings: "/embeddings", models: "/models",
	}},
	"anthropic": {Target{Host: "api.anthropic.com", Port: 443}, "/v1", map[APIType]string{
		Messages: "/messages", AnthropicTokenCount: "/messages/count_tokens",
	}},
	"gemini": {Target{Host: "generativelanguage.googleapis.com", Port: 443}, "", map[APIType]string{
		Completions: "/v1beta/openai/chat/completions", Embeddings: "/v1beta/openai/embeddings",
		GenerateContent: nativeModels, GeminiCountTokens: nativeModels,
	}},
}

// AtProvider tells that an ai backend is asked at its provider's own host, by the
// name of which it is known there.
func (b *Backend) AtProvider() bool {
	return b.AI != nil && b.Target != (Target{}) && b.Target == providers[b.AI.Provider].target
}

// customPaths are those of a custom provider, below its base.
var customPaths = map[APIType]string{
	Completions: "/chat/completions", Responses: "/responses", Embeddings: "/embeddings",
	Messages: "/messages", AnthropicTokenCount: "/messages/count_tokens",
}

// wholePath is the rewrite that puts a path in place of any.
func wholePath(path string) RegexRewrite {
	return RegexRewrite{Pattern: "^.*$", Substitution: strings.ReplaceAll(path, `\`, `\\`)}
}

// completionsAt is the API of a provider that has nothing but completions, at
// one path.
func completionsAt(path string) []API { return []API{{Type: Completions, Rewrite: wholePath(path)}} }

// placedAIPolicy is an ai policy with the place of what has it under the key ai.
type placedAIPolicy struct {
	path   string
	policy *fileAIPolicy
}

// mergedAI returns a field of the ai policy from the first place that has it.
func mergedAI[T any](places []placedAIPolicy, key string, has func(*fileAIPolicy) (T, bool)) (path string, value T) {
	for _, p := range places {
		if v, ok := has(p.policy); ok {
			return p.path + ".ai." + key, v
		}
	}
	return "", value
}

// aiPolicies are the places with an ai policy for a backend f that leads to an ai
// backend: its own before those of the route.
func (r *resolver) aiPolicies(path string, f *fileBackend, to *destination, ls levels) (places []placedAIPolicy) {
	add := func(path, key string, p *fileBackendPolicies) {
		if p != nil && p.AI != nil {
			places = append(places, placedAIPolicy{path + key, p.AI})
		}
	}
	add(path, ".policies", f.Policies)
	if to.file != f {
		add(to.path, ".policies", to.file.Policies)
	}
	add(to.path, ".ai.policies", to.file.AI.Policies)
	places = append(places, placedAIPolicy{to.path, &to.file.AI.fileAIPolicy})
	inline, targeted, broad := r.targets.split(ls)
	for _, l := range slices.Concat(inline, targeted, r.targets.ofBackend(to.name, to.file), broad) {
		if l.policies.AI != nil {
			places = append(places, placedAIPolicy{l.path, l.policies.AI})
		}
	}
	return places
}

// ai reads an ai backend; path is the place of the backend, places are those with
// an ai policy for it.
func (r *resolver) ai(path string, ai *fileAI, places []placedAIPolicy, b *Backend) {
	b.AI = &AI{Name: ai.Name}
	r.oldAIPlaces(path, ai)
	if ai.Groups != nil {
		return // refused, and nothing else is known
	}
	p, known := r.provider(path, &ai.Provider, b.AI)
	b.Target = p.target
	if ai.HostOverride != "" {
		// An overridden host is spoken to in the clear unless backendTLS asks
		// for more.
		r.target(path+".ai.hostOverride", ai.HostOverride, &b.Target)
	} else if b.TLS = (&TLS{}); known && p.target == (Target{}) {
		r.missingf(path+".ai", "expected hostOverride: a custom provider has no host of its own")
	}
	if ai.Tokenize {
		r.errorf(path+".ai.tokenize", Unsupported, "%s; leave it out, or write false", notYetMessage)
	}
	override, query, _ := strings.Cut(ai.PathOverride, "?")
	if query != "" {
		b.AI.Path = ai.PathOverride
		r.query(path+".ai.pathOverride", query)
	}
	for _, p := range []struct{ key, value string }{{"pathOverride", override}, {"pathPrefix", ai.PathPrefix}} {
		if p.value != "" {
			r.plainPath(path+".ai."+p.key, p.value)
		}
	}
	if ai.PathOverride != "" && ai.PathPrefix != "" {
		r.errorf(path+".ai", Conflict, "pathOverride and pathPrefix exclude each other; pathOverride is the whole path")
	}
	r.aiSettings(places, b.AI)
	if known {
		r.apis(path+".ai", ai, p, places, b.AI)
	}
}

// plainPath checks a path that is written into requests.
func (r *resolver) plainPath(place, path string) {
	if path != "" && (!strings.HasPrefix(path, "/") || strings.ContainsAny(path, "?#\\ ")) {
		r.errorf(place, Invalid, "expected a path that begins with / and has no query")
	}
}

// keyParameters are names under which some APIs take keys.
var keyParameters = []string{"key", "api_key", "api-key", "apikey", "token", "access_token"}

// query checks the query of a path.
func (r *resolver) query(place, query string) {
	if strings.ContainsFunc(query, func(c rune) bool { return c <= ' ' || c >= 0x7f || c == '#' }) {
		r.errorf(place, Invalid, "expected a path that begins with /, and perhaps a query in which everything is percent-encoded that must be")
	}
	for part := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(part, "=")
		if slices.Contains(keyParameters, strings.ToLower(name)) {
			r.errorf(place, Unsupported, "a key in the query would show in access logs and dumps; use backendAuth")
		}
	}
}

// oldAIPlaces warns of what stood in the backend at path itself up to v0.10.
func (r *resolver) oldAIPlaces(path string, f *fileAI) {
	for _, old := range []struct {
		key, now string
		given    bool
	}{
		{"backendAuth", "policies.backendAuth", f.BackendAuth != nil},
		{"backendTLS", "policies.backendTLS", f.BackendTLS != nil},
		{"defaults", "policies.ai.defaults", f.Defaults != nil},
		{"overrides", "policies.ai.overrides", f.Overrides != nil},
		{"promptGuard", "policies.ai.promptGuard", f.PromptGuard != nil},
		{"prompts", "policies.ai.prompts", f.Prompts != nil},
		{"modelAliases", "policies.ai.modelAliases", f.ModelAliases != nil},
		{"routes", "policies.ai.routes", f.Routes != nil},
	} {
		if old.given {
			r.warnf(path+".ai."+old.key, Deprecated, "a deprecated place; write ai.%s", old.now)
		}
	}
}

// provider reads who answers for the backend at path. known tells whether it is one that we speak to.
func (r *resolver) provider(path string, f *fileProvider, ai *AI) (p provider, known bool) {
	given := 0
	for _, k := range []struct {
		name  string
		model *string
	}{
		{"openAI", modelOf(f.OpenAI, func(f *fileOpenAI) *string { return &f.Model })},
		{"anthropic", modelOf(f.Anthropic, func(f *fileModelProvider) *string { return &f.Model })},
		{"gemini", modelOf(f.Gemini, func(f *fileModelProvider) *string { return &f.Model })},
		{"custom", modelOf(f.Custom, func(f *fileCustomProvider) *string { return &f.Model })},
	} {
		if k.model != nil {
			given++
			ai.Provider, ai.Model, p = k.name, *k.model, providers[k.name]
		}
	}
	switch {
	case given == 0:
		r.missingf(path+".ai.provider", "expected exactly one of anthropic, custom, gemini, openAI")
	case given > 1:
		r.errorf(path+".ai.provider", Conflict, "expected exactly one of anthropic, custom, gemini, openAI")
	case f.Custom != nil:
		p = r.customProvider(path+".ai.provider.custom", f.Custom)
	}
	return p, given == 1
}

func modelOf[F any](f *F, of func(*F) *string) *string {
	if f == nil {
		return nil
	}
	return of(f)
}

func (r *resolver) customProvider(path string, f *fileCustomProvider) provider {
	p := provider{base: "/v1", paths: map[APIType]string{}}
	if f.Formats != nil && len(f.Formats) == 0 {
		r.errorf(path+".formats", Invalid, "expected at least one format")
	}
	for i, format := range f.Formats {
		place := fmt.Sprintf("%s.formats[%d]", path, i)
		r.plainPath(place+".path", format.Path)
		t := APIType(format.Type)
		if p.paths[t] != "" {
			r.errorf(place+".type", Conflict, "a second entry for this format")
			continue
		}
		if p.paths[t] = customPaths[t]; format.Path != "" {
			p.paths[t] = customPath + format.Path
		}
	}
	return p
}

// customPath marks a path that does not stand below the provider's base.
const customPath = "="

// apis reads routes.
func (r *resolver) apis(path string, f *fileAI, p provider, places []placedAIPolicy, ai *AI) {
	routesPath, routes := mergedAI(places, "routes", func(p *fileAIPolicy) (map[string]fileRouteType, bool) { return p.Routes, len(p.Routes) > 0 })
	suffixes := words(routes)
	slices.SortStableFunc(suffixes, func(a, b string) int {
		return cmp.Or(-compareBool(a != "*", b != "*"), -cmp.Compare(len(a), len(b)))
	})
	for _, suffix := range suffixes {
		t, place := APIType(routes[suffix]), routesPath+"."+suffix
		if !slices.Contains(apiTypes, t) {
			var known []string
			for _, t := range apiTypes {
				known = append(known, string(t))
			}
			r.errorf(place, Invalid, "unknown API; %s", suggest(string(t), known, known))
			continue
		}
		switch {
		case t == realtime || t == rerank:
			r.errorf(place, Unsupported, "a valid value in agentgateway, not supported yet; expected %s", alternatives(p.spoken()))
		case !p.speaks(t):
			r.errorf(place, Unsupported, "%s does not speak %s itself, and nothing is translated between APIs yet; expected %s", ai.Provider, t, alternatives(p.spoken()))
		}
		r.settingsFor(place, t, ai)
		ai.APIs = append(ai.APIs, API{Suffix: strings.TrimPrefix(suffix, "*"), Type: t, Rewrite: p.rewrite(t, f, ai.Model)})
		if suffix == "*" || suffix == "" {
			return
		}
	}
	if p.speaks(Completions) {
		ai.APIs = append(ai.APIs, API{Type: Completions, Rewrite: p.rewrite(Completions, f, ai.Model)})
		return
	}
	if len(routes) == 0 {
		for _, t := range apiTypes {
			if suffix := clientPaths[t]; suffix != "" && p.speaks(t) {
				r.settingsFor(path, t, ai)
				ai.APIs = append(ai.APIs, API{Suffix: suffix, Type: t, Rewrite: p.rewrite(t, f, ai.Model)})
			}
		}
	}
	ai.APIs = append(ai.APIs, API{Type: Untranslated})
	r.warnf(path, Unsupported, "%s does not speak OpenAI's completions itself, and nothing is translated between APIs yet; requests to paths that end with none of %s are answered 501", ai.Provider, strings.Join(ai.suffixes(), ", "))
}

// clientPaths are those at which clients ask for the APIs of a provider that
// does not speak completions, where routes does not say.
var clientPaths = map[APIType]string{
	Messages:            "/v1/messages",
	AnthropicTokenCount: "/v1/messages/count_tokens",
	Responses:           "/v1/responses",
	Embeddings:          "/v1/embeddings",
}

// suffixes are those of the APIs.
func (a *AI) suffixes() (list []string) {
	for _, api := range a.APIs {
		if api.Suffix != "" {
			list = append(list, api.Suffix)
		}
	}
	return list
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

func (p *provider) speaks(t APIType) bool {
	return t == passthrough || t == detect || p.paths[t] != ""
}

// spoken are the words of routes that work.
func (p *provider) spoken() (list []string) {
	for _, t := range apiTypes {
		if p.speaks(t) {
			list = append(list, string(t))
		}
	}
	return list
}

// rewrite is where the requests of an API go. A host of the user's own gets the
// client's paths, unless they are asked for.
func (p *provider) rewrite(t APIType, f *fileAI, model string) RegexRewrite {
	prefix := strings.TrimSuffix(f.PathPrefix, "/")
	path, below := p.paths[t], true
	if custom, ok := strings.CutPrefix(path, customPath); ok {
		path, below = custom, false
	}
	switch {
	case f.PathOverride != "":
		path, _, _ := strings.Cut(f.PathOverride, "?")
		return wholePath(path)
	case t == passthrough || t == detect:
		if f.PathPrefix == "" {
			return RegexRewrite{}
		}
		// The prefix takes the place of the base path, where that is whole.
		return RegexRewrite{Pattern: "^(?:" + p.base + ")?((?:/.*)?)$", Substitution: prefix + `\1`}
	case !below:
		return wholePath(path)
	case f.HostOverride != "" && f.PathPrefix == "" && f.Provider.Custom == nil:
		return RegexRewrite{}
	case path == nativeModels:
		name := `\1`
		if model != "" {
			name = strings.ReplaceAll(model, `\`, `\\`)
		}
		return RegexRewrite{Pattern: "^.*/models/([^/:]+):([A-Za-z]+)$", Substitution: prefix + "/v1beta/models/" + name + `:\2`}
	case f.PathPrefix == "":
		prefix = p.base
	}
	return wholePath(prefix + path)
}

// settingsFor reports settings that cannot be applied to the requests of an
// API, as agentgateway would. Those of models and passthrough take none.
func (r *resolver) settingsFor(path string, t APIType, ai *AI) {
	native := t == GenerateContent || t == GeminiCountTokens
	for _, s := range []struct {
		what  string
		given bool
	}{
		{"modelAliases", len(ai.Aliases) > 0 && (native || t == detect)},
		{"prompts", len(ai.Prepend)+len(ai.Append) > 0 && native},
		{"defaults and overrides", len(ai.Defaults)+len(ai.Overrides) > 0 && t == detect},
	} {
		if s.given {
			r.errorf(path, Unsupported, "%s cannot be applied to %s yet; take them out, or write passthrough", s.what, t)
		}
	}
	if g := ai.Guard; g != nil && !g.PassUnreadable && (native || t == detect || t == passthrough) {
		r.errorf(path, Unsupported, "promptGuard cannot look into %s; give it a route without promptGuard, or write unreadable: pass there to let it pass unguarded", t)
	}
}

// aiSettings merges the fields of the ai policy that change bodies.
func (r *resolver) aiSettings(places []placedAIPolicy, ai *AI) {
	path, fields := mergedAI(places, "overrides", func(p *fileAIPolicy) (map[string]Raw, bool) { return p.Overrides, p.Overrides != nil })
	ai.Overrides = r.fields(path, fields)
	path, fields = mergedAI(places, "defaults", func(p *fileAIPolicy) (map[string]Raw, bool) { return p.Defaults, p.Defaults != nil })
	ai.Defaults = r.fields(path, fields)
	_, aliases := mergedAI(places, "modelAliases", func(p *fileAIPolicy) (map[string]string, bool) { return p.ModelAliases, len(p.ModelAliases) > 0 })
	for _, name := range words(aliases) {
		ai.Aliases = append(ai.Aliases, ModelAlias{Name: name, Model: aliases[name]})
	}
	slices.SortStableFunc(ai.Aliases, func(a, b ModelAlias) int {
		x, y := strings.Contains(a.Name, "*"), strings.Contains(b.Name, "*")
		if !x && !y {
			return 0
		}
		return cmp.Or(compareBool(x, y), -cmp.Compare(len(a.Name), len(b.Name)))
	})
	_, prompts := mergedAI(places, "prompts", func(p *fileAIPolicy) (*filePrompts, bool) { return p.Prompts, p.Prompts != nil })
	if prompts != nil {
		for _, m := range prompts.Prepend {
			ai.Prepend = append(ai.Prepend, Message(m))
		}
		for _, m := range prompts.Append {
			ai.Append = append(ai.Append, Message(m))
		}
	}
	if path, guard := mergedAI(places, "promptGuard", func(p *fileAIPolicy) (*filePromptGuard, bool) { return p.PromptGuard, p.PromptGuard != nil }); guard != nil {
		ai.Guard = r.promptGuard(path, guard)
	}
}

// fields are those of a mapping as JSON, sorted by name.
func (r *resolver) fields(path string, values map[string]Raw) (list []Field) {
	for _, name := range words(values) {
		for _, key := range []string{"model", "messages", "stream"} {
			if name != key && strings.EqualFold(name, key) {
				r.errorf(path+"."+name, Invalid, "differs from %s in case only, which readers could take for the same; write %s", key, key)
			}
		}
		text, err := json.Marshal(values[name])
		if err != nil {
			r.errorf(path+"."+name, Invalid, "cannot be written as JSON; expected no .inf and no .nan")
			continue
		}
		list = append(list, Field{Name: name, JSON: text})
	}
	return list
}

// aiForNothing warns of ai policies where there are no ai backends.
func (r *resolver) aiForNothing(rt *Route, f *fileRoute, path string) {
	for i := range f.Backends {
		if b := &f.Backends[i]; b.AI == nil && b.Policies != nil && b.Policies.AI != nil {
			r.warnf(fmt.Sprintf("%s.backends[%d].policies.ai", path, i), Unreachable, "without effect: the backend is not of kind ai")
		}
	}
	if f.Policies != nil && f.Policies.AI != nil && !slices.ContainsFunc(rt.Backends, func(b *Backend) bool { return b.AI != nil }) {
		r.warnf(path+".policies.ai", Unreachable, "without effect: no backend of the route is of kind ai")
	}
}

// Untouched tells whether requests are passed on as they are, body and path.
func (a *AI) Untouched() bool {
	return a == nil || a.Guard == nil && a.Model == "" && len(a.Path)+len(a.Overrides)+len(a.Defaults)+len(a.Aliases)+len(a.Prepend)+len(a.Append) == 0 &&
		!slices.ContainsFunc(a.APIs, func(api API) bool { return api.Rewrite != RegexRewrite{} })
}
