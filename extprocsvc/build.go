package extprocsvc

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/attache-dev/attache/config"
)

// Build makes the chains that a configuration needs, with the registered
// kinds. Processors and profiles that nothing uses are checked too. The error
// is nil or a *[multierror.Error] of *[config.Error] with every mistake in file
// order. Build has no effects.
func Build(cfg *config.Config) (*Chains, error) { return standard.Build(cfg) }

// Build is the function [Build] with the kinds of the registry.
func (r *Registry) Build(cfg *config.Config) (*Chains, error) {
	b := r.builder(cfg)
	b.everything()
	if len(b.errs) > 0 {
		return nil, config.Join(b.errs)
	}
	return b.chains, nil
}

func (r *Registry) builder(cfg *config.Config) *builder {
	return &builder{
		registry: r,
		cfg:      cfg,
		profiles: map[*config.Profile]*builtProfile{},
		used:     map[*config.Processor]bool{},
		chains: &Chains{
			byName:     map[string]*Chain{},
			byRoute:    map[*config.Route]*Chain{},
			byListener: map[*config.Listener]*Chain{},
			byGateway:  map[*config.Listener]*Chain{},
			maxBody:    int64(cfg.Frontend.MaxBody),
		},
	}
}

// everything builds what the file has.
func (b *builder) everything() {
	cfg := b.cfg
	for _, p := range cfg.Profiles {
		b.profile(p)
	}
	for _, p := range cfg.Processors {
		if !b.used[p] {
			b.unused(p)
		}
	}
	for _, l := range cfg.Listeners {
		place := strconv.Itoa(int(l.Port)) + "/" + escape(host(l))
		if c := b.chain(l.Gateway.ExtProc, use{gateway: true, place: gatewayChains + place}); c != nil {
			b.chains.byGateway[l] = c
		}
		if c := b.chain(l.ExtProc, use{place: "listener/" + place}); c != nil {
			b.chains.byListener[l] = c
		}
		for _, rt := range l.Routes {
			if c := b.chain(rt.ExtProc, use{route: rt, place: "route/" + place + "/" + escape(rt.FullName())}); c != nil {
				b.chains.byRoute[rt] = c
			}
		}
	}
}

func host(l *config.Listener) string {
	if l.Hostname == "" {
		return "*"
	}
	return l.Hostname
}

type builder struct {
	registry *Registry
	cfg      *config.Config
	profiles map[*config.Profile]*builtProfile
	used     map[*config.Processor]bool
	chains   *Chains
	errs     []*config.Error
}

// A builtProfile is a profile without services, which depend on the route, and
// the text that its hash is made of.
type builtProfile struct {
	profile
	content json.RawMessage
}

// add notes mistakes. Params of a processor are read for each step that uses
// it, but a mistake in them is one mistake.
func (b *builder) add(errs ...*config.Error) {
	for _, e := range errs {
		if !slices.ContainsFunc(b.errs, func(o *config.Error) bool { return *o == *e }) {
			b.errs = append(b.errs, e)
		}
	}
}

func (b *builder) errorf(path string, kind config.Kind, format string, args ...any) {
	b.add(b.cfg.Errorf(path, kind, format, args...))
}

func (b *builder) profile(p *config.Profile) {
	out := &builtProfile{profile: profile{
		name: escape(p.Name), models: p.Models, rule: p.ModelRule, observe: p.Observe, failure: p.FailureMode,
	}}
	var content []any
	out.stages = b.stages(p, InputPhase, p.InputStages, &content)
	out.replies = b.stages(p, ResponsePhase, p.ResponseStages, &content)
	out.streams = canStream(out.replies)
	out.content = encode(p.Name, append(content, p.Models, p.ModelRule, p.Observe, p.FailureMode))
	b.profiles[p] = out
}

func (b *builder) stages(p *config.Profile, phase Phases, list []*config.Stage, hashed *[]any) (stages []stage) {
	for _, from := range list {
		st := stage{name: from.Name, selector: newSelector(from.Selector), parallel: from.Parallel}
		content := []any{from.Name, st.selector.content(), from.Parallel, phase}
		for _, s := range from.Steps {
			if s.Processor == nil {
				continue // the reference does not resolve, which config reports
			}
			b.used[s.Processor] = true
			params := s.Processor.Params.Merge(s.Params)
			built, ok := b.step(s.Processor, params, s.Path, phase, st.parallel)
			if !ok {
				continue
			}
			built.observe = s.Observe || p.Observe
			if s.Timeout > 0 {
				built.timeout = s.Timeout
			}
			if built.failure == config.FailDefault {
				built.failure = p.FailureMode
			}
			st.steps = append(st.steps, built)
			content = append(content, s.Processor.Name, s.Processor.Type, s.Processor.Config, params, built.observe, built.timeout, built.failure)
		}
		stages = append(stages, st)
		*hashed = append(*hashed, content)
	}
	return stages
}

// unused checks a processor that no step runs, in whichever phase its kind has.
func (b *builder) unused(p *config.Processor) {
	phase := InputPhase
	if k := b.registry.kinds[p.Type]; k != nil && k.Phases&InputPhase == 0 {
		phase = ResponsePhase
	}
	b.step(p, p.Params, p.Path, phase, false)
}

// rights are the params that every processor has.
type rights struct {
	Annotate *bool `yaml:"annotate"`
	Modify   *bool `yaml:"modify"`
	Reject   *bool `yaml:"reject"`
}

func (r rights) granted() Rights {
	granted := Rights(0)
	for _, g := range []struct {
		right    Rights
		param    *bool
		standard bool
	}{{Annotate, r.Annotate, true}, {Modify, r.Modify, false}, {Reject, r.Reject, false}} {
		if g.param == nil && g.standard || g.param != nil && *g.param {
			granted |= g.right
		}
	}
	return granted
}

// step builds one use of a processor; path is its place.
func (b *builder) step(p *config.Processor, params config.Raw, path string, phase Phases, parallel bool) (step, bool) {
	kind := b.registry.kinds[p.Type]
	if kind == nil {
		if notYet[p.Type] {
			b.errorf(p.Path+".type", config.Unsupported, "processor type %q is not supported yet; supported are %s", p.Type, strings.Join(b.registry.Names(), ", "))
		} else {
			b.errorf(p.Path+".type", config.Invalid, "unknown processor type %q; expected one of %s", p.Type, strings.Join(b.registry.Names(), ", "))
		}
		return step{}, false
	}
	var errs []*config.Error
	common, own := split(params)
	var r rights
	errs = append(errs, config.Errors(common.Decode(&r))...)
	granted := r.granted()
	if kind.Internal {
		granted |= kind.Needs
	}
	for _, n := range rightNames {
		if kind.Needs&^granted&n.right != 0 && len(errs) == 0 {
			errs = append(errs, b.cfg.Errorf(path, config.Invalid, "processor %q of type %s needs %s: true in its params, or in those of the step", p.Name, p.Type, n.name))
		}
	}
	if kind.NeedsOne != 0 && kind.NeedsOne&granted == 0 && len(errs) == 0 {
		errs = append(errs, b.cfg.Errorf(path, config.Invalid, "processor %q of type %s needs %s, or it can do nothing", p.Name, p.Type, kind.NeedsOne.grants()))
	}
	if parallel && granted&Modify != 0 {
		errs = append(errs, b.cfg.Errorf(path, config.Conflict, "processor %q has modify: true, but the steps of a parallel stage must not modify; set modify: false in the step's params, or take it out of the stage", p.Name))
	}
	s := step{
		name: p.Name, kind: kind, rights: granted, timeout: p.Timeout, failure: p.FailureMode, where: b.cfg.Place(path),
	}
	made, err := kind.New(Setup{
		Name: p.Name, Phase: phase, Rights: granted, Params: own, AllParams: params, Config: p.Config, ReadFile: b.cfg.ReadFile,
	})
	for _, e := range config.Errors(err) {
		if e.Line == 0 { // the section is absent: the mistake is where it should be
			e = b.cfg.Errorf(path, e.Kind, "%s", e.Msg)
		}
		errs = append(errs, e)
	}
	fits := kind.Phases&phase != 0
	if phase == InputPhase {
		s.request, _ = made.(RequestProcessor)
		fits = fits && s.request != nil
	} else {
		s.response, _ = made.(ResponseProcessor)
		fits = fits && s.response != nil
		s.stream, _ = made.(StreamProcessor)
		if s.stream != nil && err == nil {
			if _, bounded := s.stream.Hold(); !bounded {
				errs = append(errs, b.cfg.Errorf(path, config.Invalid, "processor %q would have to hold texts of streamed answers without a bound; bound what it looks for", p.Name))
			}
		}
	}
	if err == nil && !fits {
		errs = append(errs, b.cfg.Errorf(path, config.Invalid, "processors of type %s cannot stand in %s stages", p.Type, map[Phases]string{InputPhase: "input", ResponsePhase: "response"}[phase]))
	}
	if len(errs) > 0 {
		b.add(errs...)
		return step{}, false
	}
	return s, true
}

// split parts the params that the engine knows from those that the kind knows.
func split(params config.Raw) (common, own config.Raw) {
	names := make([]string, len(rightNames))
	for i, n := range rightNames {
		names[i] = n.name
	}
	rest := slices.DeleteFunc(params.Keys(), func(k string) bool { return slices.Contains(names, k) })
	return params.Without(rest...), params.Without(names...)
}

// gatewayChains begins the names of chains in the gateway phase.
const gatewayChains = "gateway/"

// use is where external processing runs: on the requests of a route, on all of
// a listener in the gateway phase, or else on those that match no route; or
// alone, on those of an Envoy that is not ours.
type use struct {
	route          *config.Route
	gateway, alone bool
	// place is the chain's name if it is not that of a profile alone.
	place string
}

// chain returns the chain for a use, or nil if there is nothing to do.
func (b *builder) chain(ep *config.ExtProc, u use) *Chain {
	if (ep == nil || len(ep.Profiles) == 0) && (u.route == nil || !slices.ContainsFunc(u.route.Backends, isAI)) {
		return nil // as for most routes
	}
	c := &Chain{}
	content := append(make([]any, 0, 16), "2") // the version of what follows
	rt := u.route
	backends := b.backends(c, rt)
	if ep != nil && len(ep.Profiles) > 0 {
		c.failOpen, c.listsModels, c.dropsHeaders = ep.FailOpen, ep.ListsModels, ep.DropHeaders
		c.passUnread = ep.PassUnreadable
		content = append(content, c.failOpen, c.listsModels, c.dropsHeaders)
		if c.passUnread {
			content = append(content, "passUnreadable")
		}
		for _, from := range ep.Profiles {
			content = append(content, b.candidate(c, u, from))
		}
		if a := ep.Authentication; a != nil {
			var err error
			if c.auth, err = newAuthenticator(a); err != nil {
				b.errorf(a.Path, config.Invalid, "%v", err)
			}
			content = append(content, c.auth.content())
		}
	}
	settings := c.changes()
	if rt != nil && (settings || len(c.candidates) > 0) {
		c.limit = rt.Timeout
	}
	switch {
	case u.gateway && len(c.candidates) == 0:
		return nil
	case u.gateway, settings || c.chooses || c.readsBody && c.hasAI() || len(c.candidates) > 1 || c.auth != nil || c.limit > 0, rt == nil && !u.alone && depends(ep):
		c.name = u.place
		content = append(content, backends, c.limit)
	case len(c.candidates) == 1:
		c.name = "profile/" + c.candidates[0].name
		if c.failOpen {
			c.name += "/failOpen"
		}
		if c.listsModels {
			c.name += "/models"
		}
		if c.dropsHeaders {
			c.name += "/dropHeaders"
		}
		if c.passUnread {
			c.name += "/passUnreadable"
		}
		c.backends = nil // nothing that we have to know of
	default:
		return nil
	}
	c.readsAll = c.readsBody
	c.readsBody = c.readsBody || settings
	c.readsResponse = c.readsResponse || c.guardsAnswers()
	return b.share(c, content, rt)
}

func isAI(b *config.Backend) bool { return b.AI != nil }

// depends tells whether what profiles do depends on whether there is a route
// behind them.
func depends(ep *config.ExtProc) bool {
	return ep != nil && slices.ContainsFunc(ep.Profiles, func(c *config.Candidate) bool {
		return len(c.Profile.ResponseStages) > 0 || c.Profile.ModelRule != config.ModelsUnchecked || len(c.Profile.Services) > 0
	})
}

// backends notes where the requests of a route may go, and tells whether the
// chain has to choose: only then can each have its own model and path.
func (b *builder) backends(c *Chain, rt *config.Route) (content []any) {
	if rt == nil {
		return nil
	}
	inUse := 0
	var first *config.Backend
	for _, from := range rt.Backends {
		be := &backend{name: from.Name, weight: uint64(from.Weight)}
		if from.AI != nil {
			be.speaks, be.apis = from.AI.APIs, apisOf(from.AI, b.guard(from.AI.Guard))
		}
		c.backends = append(c.backends, be)
		content = append(content, be.name, be.weight, aiContent(be, from.AI))
		if from.AI != nil {
			content = append(content, from.AI.APIs)
		}
		if from.Weight == 0 {
			continue
		}
		if inUse++; first == nil {
			first = from
		} else if !sameSettings(from.AI, first.AI) {
			c.chooses = true
		}
	}
	c.chooses = c.chooses || len(rt.Services) > 0 && len(c.backends) > 1
	if inUse == 0 && len(rt.Services) == 0 {
		c.backends = nil // Envoy answers
	}
	return content
}

func (b *builder) candidate(c *Chain, u use, from *config.Candidate) (content []any) {
	rt := u.route
	built := b.profiles[from.Profile]
	p, behind := &built.profile, rt != nil || u.gateway || u.alone
	if !behind || len(from.Profile.Services) > 0 { // then it is not as everywhere
		p = new(*p)
	}
	cand := candidate{selector: newSelector(from.Selector), profile: p}
	content = []any{cand.selector.content(), p.name, built.content}
	if !behind { // there is a 404 behind the chain: no model, no backend, no answer of a model
		p.rule, p.replies = config.ModelsUnchecked, nil
	}
	for _, s := range from.Profile.Services {
		be := b.serves(c, u, s)
		if be == nil {
			continue
		}
		sv := service{name: s.Name, selector: newSelector(s.Selector), backend: be}
		p.services = append(p.services, sv)
		content = append(content, sv.name, sv.selector.content())
		c.readsBody = c.readsBody || sv.selector != nil && sv.selector.kind == config.SelectInputModel
	}
	for _, list := range [][]stage{p.stages, p.replies} {
		for _, st := range list {
			for _, s := range st.steps {
				if s.request != nil {
					c.readsBody = c.readsBody || s.kind.ReadsBody
				}
				b.readable(rt, p.name, &s)
			}
		}
	}
	if p.rule != config.ModelsUnchecked && !p.observe && !c.listsModels {
		c.readsBody = true
	}
	if len(p.replies) > 0 {
		// The request tells whether the answer is to be a stream.
		c.readsResponse, c.readsBody = true, true
	}
	c.candidates = append(c.candidates, cand)
	return content
}

// serves returns the backend that a service of a profile is, or nil if there is
// nothing to choose from, or config reports that there is no such backend. Alone,
// the backend is something that only Envoy knows.
func (b *builder) serves(c *Chain, u use, s *config.Service) *backend {
	switch {
	case u.alone:
		c.chooses = true
		c.backends = append(c.backends, &backend{name: s.Name})
		return c.backends[len(c.backends)-1]
	case u.route == nil:
		return nil
	}
	i := slices.Index(u.route.Backends, u.route.Services[s])
	if i < 0 || i >= len(c.backends) {
		return nil
	}
	return c.backends[i]
}

// share gives a chain its ref, and returns the one chain of that name.
func (b *builder) share(c *Chain, content []any, rt *config.Route) *Chain {
	sum := sha256.Sum256(encode(c.name, content))
	c.ref = c.name + "@" + hex.EncodeToString(sum[:8])
	if c.chooses {
		for _, be := range c.backends {
			be.choice = c.name + "/" + escape(be.name)
		}
	}
	old := b.chains.byName[c.name]
	switch {
	case old == nil:
		b.chains.byName[c.name] = c
	case old.ref == c.ref:
		return old
	case rt != nil:
		b.errorf(rt.Path, config.Conflict, "another route of this port and host has the name %q", rt.Name)
	}
	return c
}

// encode is the text that a hash is made of.
func encode(name string, content []any) []byte {
	text, err := json.Marshal(content)
	if err != nil {
		// Raw marshals itself and everything else is plain.
		panic(fmt.Sprintf("extprocsvc: content of %s: %v", name, err))
	}
	return text
}

// escape writes a name of the user with bytes that a gRPC metadata value, an
// Envoy format string and our own / and @ leave alone.
func escape(name string) string {
	plain := func(c byte) bool {
		return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~:*", c) >= 0
	}
	if strings.IndexFunc(name, func(r rune) bool { return r >= utf8.RuneSelf || !plain(byte(r)) }) < 0 {
		return name
	}
	var b strings.Builder
	for i := range len(name) {
		c := name[i]
		if plain(c) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "=%02X", c)
		}
	}
	return b.String()
}
