package extprocsvc

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/extprocsvc/llm"
)

// Build makes the chains that a configuration needs, with the registered
// kinds. Processors and profiles that nothing uses are checked too. The error
// is nil or a *[multierror.Error] of *[config.Error] with every mistake in file
// order. Build has no effects.
func Build(cfg *config.Config) (*Chains, error) { return standard.Build(cfg) }

// Build is the function [Build] with the kinds of the registry.
func (r *Registry) Build(cfg *config.Config) (*Chains, error) {
	b := builder{
		registry: r,
		cfg:      cfg,
		profiles: map[*config.Profile]profile{},
		chains: &Chains{
			byName:     map[string]*Chain{},
			byRoute:    map[*config.Route]*Chain{},
			byListener: map[*config.Listener]*Chain{},
		},
	}
	used := map[*config.Processor]bool{}
	for _, p := range cfg.Profiles {
		b.profile(p, used)
	}
	for _, p := range cfg.Processors {
		if !used[p] {
			b.step(p, p.Params, p.Path, false)
		}
	}
	for _, l := range cfg.Listeners {
		if c := b.chain(l.ExtProc, nil, nil, ""); c != nil {
			b.chains.byListener[l] = c
		}
		for _, rt := range l.Routes {
			ai, ok := b.settings(rt)
			if !ok {
				continue
			}
			name := "route/" + strconv.Itoa(int(l.Port)) + "/" + escape(host(l)) + "/" + escape(rt.Name)
			if c := b.chain(rt.ExtProc, rt, ai, name); c != nil {
				b.chains.byRoute[rt] = c
			}
		}
	}
	if len(b.errs) > 0 {
		return nil, config.Join(b.errs)
	}
	return b.chains, nil
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
	profiles map[*config.Profile]profile
	chains   *Chains
	errs     []*config.Error
}

// A profile that is built, and the text that its hash is made of.
type profile struct {
	stages  []stage
	content []any
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

func (b *builder) profile(p *config.Profile, used map[*config.Processor]bool) {
	var out profile
	for _, from := range p.InputStages {
		st := stage{name: from.Name, parallel: from.Parallel}
		if from.Selector != nil {
			st.selector = &selector{from.Selector.Operand, from.Selector.Values}
		}
		content := []any{from.Name, from.Selector != nil, from.Parallel}
		if st.selector != nil {
			content = append(content, st.selector.operand, st.selector.tags)
		}
		for _, s := range from.Steps {
			if s.Processor == nil {
				continue // the reference does not resolve, which config reports
			}
			used[s.Processor] = true
			params := s.Processor.Params.Merge(s.Params)
			if built, ok := b.step(s.Processor, params, s.Path, st.parallel); ok {
				st.steps = append(st.steps, built)
				content = append(content, s.Processor.Name, s.Processor.Type, params)
			}
		}
		out.stages = append(out.stages, st)
		out.content = append(out.content, content)
	}
	b.profiles[p] = out
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
func (b *builder) step(p *config.Processor, params config.Raw, path string, parallel bool) (step, bool) {
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
	if parallel && granted&Modify != 0 {
		errs = append(errs, b.cfg.Errorf(path, config.Conflict, "processor %q has modify: true, but the steps of a parallel stage must not modify; set modify: false in the step's params, or take it out of the stage", p.Name))
	}
	run, err := kind.New(Setup{
		Name: p.Name, Phase: InputPhase, Params: own, AllParams: params, Config: p.Config, ReadFile: b.cfg.ReadFile,
	})
	for _, e := range config.Errors(err) {
		if e.Line == 0 { // the params are absent: the mistake is where they should be
			e = b.cfg.Errorf(path, e.Kind, "%s", e.Msg)
		}
		errs = append(errs, e)
	}
	rp, ok := run.(RequestProcessor)
	if err == nil && (!ok || kind.Phases&InputPhase == 0) {
		errs = append(errs, b.cfg.Errorf(path, config.Invalid, "processors of type %s cannot stand in input stages", p.Type))
	}
	if len(errs) > 0 {
		b.add(errs...)
		return step{}, false
	}
	return step{name: p.Name, kind: kind, rights: granted, run: rp, where: b.cfg.Place(path)}, true
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

// settings returns the AI backend whose settings a route's requests get, or
// nil. ok is false if there is no one answer.
func (b *builder) settings(rt *config.Route) (ai *config.Backend, ok bool) {
	var first *config.Backend
	for _, be := range rt.Backends {
		if be.Weight == 0 {
			continue
		}
		if first == nil {
			first = be
		}
		if model(be) != model(first) {
			b.errorf(be.Path, config.Unsupported, "backends of one route that need different models are not supported yet; the first one needs %s, this one %s", describe(first), describe(be))
			return nil, false
		}
	}
	if first == nil || model(first) == "" {
		return nil, true
	}
	return first, true
}

func model(b *config.Backend) string {
	if b.AI == nil {
		return ""
	}
	return b.AI.Model
}

func describe(b *config.Backend) string {
	if m := model(b); m != "" {
		return strconv.Quote(m)
	}
	return "none"
}

// chain returns the chain for a use of a profile and the settings of a
// backend, or nil if neither is there.
func (b *builder) chain(ep *config.ExtProc, rt *config.Route, ai *config.Backend, routeName string) *Chain {
	c := &Chain{}
	content := []any{"1"} // the version of what follows
	if ep != nil && len(ep.Profiles) > 0 {
		p := b.profiles[ep.Profiles[0].Profile]
		c.profile = escape(ep.Profiles[0].Profile.Name)
		c.name = "profile/" + c.profile
		c.stages, c.skipFailed = p.stages, ep.FailOpen
		if c.skipFailed {
			c.name += "/failOpen"
		}
		content = append(content, c.skipFailed, p.content)
		for _, st := range c.stages {
			for _, s := range st.steps {
				c.readsBody = c.readsBody || s.kind.ReadsBody
			}
		}
	}
	if ai != nil {
		c.name = routeName
		c.model, c.modelEdit, c.readsBody = ai.AI.Model, llm.SetModel(ai.AI.Model), true
		c.modelWhere = b.cfg.Place(ai.Path)
		content = append(content, map[string]string{"model": c.model})
	}
	if c.name == "" {
		return nil
	}
	text, err := json.Marshal(content)
	if err != nil {
		// Raw marshals itself and everything else is plain.
		panic(fmt.Sprintf("extprocsvc: content of %s: %v", c.name, err))
	}
	sum := sha256.Sum256(text)
	c.ref = c.name + "@" + hex.EncodeToString(sum[:8])
	old := b.chains.byName[c.name]
	switch {
	case old == nil:
		b.chains.byName[c.name] = c
	case old.ref == c.ref:
		return old
	default:
		b.errorf(rt.Path, config.Conflict, "another route of this port and host has the name %q", rt.Name)
	}
	return c
}

// escape writes a name of the user with bytes that a gRPC metadata value, an
// Envoy format string and our own / and @ leave alone.
func escape(name string) string {
	var b strings.Builder
	for i := range len(name) {
		c := name[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~:*", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "=%02X", c)
		}
	}
	return b.String()
}
