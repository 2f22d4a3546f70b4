package config

import (
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Convert writes F5's own file in Attaché's form, with a comment where a choice
// was made that F5's documentation leaves open. The text loads as the same
// [Config] but for places. Secrets stay references. Of any other file it writes
// keys in old spellings as they are spelt now, and leaves all else as it is.
// Mistakes are those of [Parse].
func Convert(name string, src []byte, opts Options) ([]byte, *Config, error) {
	cfg, err := Parse(name, src, opts)
	if err != nil {
		return nil, nil, err
	}
	if f5Sign(cfg.tree.root) == "" {
		return respell(src, cfg.renames), cfg, nil
	}
	c := &conversion{cfg: cfg, said: map[string]bool{}}
	text, err := c.file().bytes(fmt.Sprintf("%s, by attache convert; the numbers of choices are those of docs/f5.md", strconv.Quote(filepath.Base(name))))
	return text, cfg, err
}

// choices are the remarks of a conversion, by the number in docs/f5.md. ollama
// and custom are about executors.
var choices = map[string]string{
	"1":      "choice 1: F5 has not published the spelling of client certificate keys; these were read as clientCertPath and clientKeyPath",
	"2":      "choice 2: a step's params replace the processor's key by key, not deeper",
	"3":      "choice 3: limits was empty and is left out",
	"4":      "choice 4: concurrency beside a profile's name is the default of its stages; 0 is one step after the other",
	"5":      "choice 5: the stages, and then the model's answer, may each take this long; without timeoutSeconds there is no limit",
	"6":      "choice 6: a request for which no selector holds is answered 404",
	"7":      "choice 7: a request for which no selector holds is answered 503",
	"8":      "choice 8: the model is checked before the first stage runs",
	"12":     "choice 12: header names ignore case, values do not; all values of a repeated header and all items of a claim count",
	"24":     "choice 24: response stages see whole answers; one that is streamed is collected first",
	"25":     "choice 25: no step of a parallel stage may modify",
	"33":     "choice 33: the client's headers do not reach the service, but for x-request-id and those that describe the body",
	"35":     "choice 35: at least TLS 1.3, unless tlsMinVersion says otherwise",
	"empty":  "F5's rule for a profile without models: requests must not name one",
	"ollama": "executor ollama: spoken to by its OpenAI API",
	"custom": "executor custom: read as openai; headers are not propagated",
}

// conversion writes a loaded file of F5's.
type conversion struct {
	cfg  *Config
	said map[string]bool
}

// remark returns the comment for a choice, once, if it was made here.
func (c *conversion) remark(choice string, here bool) string {
	if !here || c.said[choice] {
		return ""
	}
	c.said[choice] = true
	return choices[choice]
}

func (c *conversion) file() *block {
	l := c.cfg.Listeners[0]
	var routes []*block
	for _, rt := range l.Routes {
		routes = append(routes, c.route(rt))
	}
	bind := newBlock().plain("port", strconv.Itoa(int(l.Port)))
	if l.Address != "" {
		bind.set("address", l.Address, "")
	}
	listener := newBlock()
	if l.TLS != nil {
		tls := newBlock().set("cert", c.server("tls", "serverCertPath"), "").set("key", c.server("tls", "serverKeyPath"), "")
		if l.TLS.ClientRoots != nil {
			tls.set("root", c.server("mtls", "clientCertPath"), "")
		}
		listener.set("protocol", l.Protocol.String(), "").set("tls", tls, "")
	}
	bind.set("listeners", []*block{listener.set("routes", routes, "")}, "")
	var profiles []*block
	for _, p := range c.cfg.Profiles {
		profiles = append(profiles, c.profile(p))
	}
	out := newBlock().set("binds", []*block{bind}, "")
	if len(profiles) > 0 {
		out.set("profiles", profiles, "")
	}
	return out.set("processors", c.cfg.tree.root.get("processors"), "")
}

// server is a key of a block of the server.
func (c *conversion) server(block, key string) *node {
	return c.cfg.tree.root.get("server").get(block).get(key)
}

func (c *conversion) route(rt *Route) *block {
	policies := newBlock()
	if rt.Timeout > 0 {
		policies.set("timeout", newBlock().set("requestTimeout", fmt.Sprintf("%ds", int64(rt.Timeout.Seconds())), ""), c.remark("5", true))
	}
	policies.set("extProc", c.extProc(rt.ExtProc, c.cfg.tree.root.at(rt.Path)), "")
	var backends []*block
	for _, b := range rt.Backends {
		backends = append(backends, newBlock().set("ai", c.backend(b), ""))
	}
	match := newBlock().set("path", newBlock().set("exact", rt.Matches[0].Path.Value, ""), "")
	route := newBlock().set("name", rt.Name, "").set("matches", []*block{match}, "").set("policies", policies, "")
	if len(backends) > 0 {
		route.set("backends", backends, "")
	}
	return route
}

func (c *conversion) extProc(e *ExtProc, route *node) *block {
	out := newBlock()
	if len(e.Profiles) == 1 && e.Profiles[0].Selector == nil && e.Authentication == nil {
		return c.headers(e, out.set("profile", e.Profiles[0].Profile.Name, "").set("schema", route.get("schema"), ""))
	}
	var candidates []*block
	var selectors []*Selector
	for _, from := range e.Profiles {
		entry := newBlock().set("name", from.Profile.Name, "")
		if from.Selector != nil {
			entry.set("selector", c.cfg.tree.root.at(from.Selector.Path), c.remark("12", true))
		}
		candidates = append(candidates, entry)
		selectors = append(selectors, from.Selector)
	}
	out.set("profiles", candidates, c.remark("6", !total(selectors)))
	if e.Authentication != nil {
		out.set("authentication", c.cfg.tree.root.at(e.Authentication.Path), "")
	}
	return c.headers(e, out.set("schema", route.get("schema"), ""))
}

func (c *conversion) headers(e *ExtProc, out *block) *block {
	if e.DropHeaders {
		out.set("clientHeaders", "drop", c.remark("33", true))
	}
	return out
}

func (c *conversion) backend(b *Backend) *block {
	service := c.cfg.tree.root.at(b.Path)
	settings := service.get("config")
	if settings == nil {
		settings = &node{}
	}
	executor := service.get("executor").value
	openAI := newBlock().set("model", b.AI.Model, "")
	out := newBlock().set("name", b.Name, "").
		set("provider", newBlock().set("openAI", openAI, ""), c.remark("custom", executor == "custom"))
	if b.Target != providers["openAI"].target {
		out.set("hostOverride", net.JoinHostPort(b.Target.Host, strconv.Itoa(int(b.Target.Port))), "")
	}
	out.set("pathOverride", b.AI.APIs[0].Rewrite.Substitution, c.remark("ollama", executor == "ollama"))
	policies := newBlock()
	if cred := b.Credential; cred != nil {
		key := newBlock()
		if name, ok := strings.CutPrefix(cred.Ref, "env:"); ok {
			key.variable("key", name)
		} else {
			key.set("key", newBlock().set("file", secretFile(settings), ""), "")
		}
		policies.set("backendAuth", key, "")
	}
	if b.TLS != nil {
		tls := newBlock().set("root", settings.get(f5TLSKeys.root), "").
			set("cert", settings.get(f5TLSKeys.cert), c.remark("1", b.TLS.Cert != nil)).
			set("key", settings.get(f5TLSKeys.key), "").
			set("minVersion", b.TLS.MinVersion, c.remark("35", settings.get(f5TLSKeys.minVersion) == nil))
		policies.set("backendTLS", tls, "")
	}
	return out.set("policies", policies, "")
}

// secretFile is the path of the key's file as the service has it.
func secretFile(settings *node) string {
	for _, s := range settings.get("secrets").children {
		if target := s.get("targets").get("apiKey"); target != nil {
			dir := ""
			if meta := s.get("meta"); meta != nil && meta.get("path") != nil {
				dir = meta.get("path").value
			}
			return filepath.Join(dir, target.value)
		}
	}
	return ""
}

func (c *conversion) profile(p *Profile) *block {
	from := c.cfg.tree.root.at(p.Path)
	out := newBlock().set("name", p.Name, c.remark("3", from.get("limits") != nil))
	if p.ModelRule == ModelsForbidden {
		out.set("models", []*block{}, c.remark("empty", true))
	}
	var selectors []*Selector
	for _, s := range p.Services {
		selectors = append(selectors, s.Selector)
	}
	for i, k := range from.keys() {
		remark := ""
		switch k.name {
		case "name":
			continue
		case "models":
			if p.ModelRule == ModelsForbidden {
				continue
			}
			remark = c.remark("8", true)
		case "services":
			remark = c.remark("7", !total(selectors) && !coversModels(p))
		case "concurrency":
			remark = c.remark("4", true)
		case "inputStages":
			remark = c.remark("25", slices.ContainsFunc(p.InputStages, func(s *Stage) bool { return s.Parallel }))
			if remark == "" {
				remark = c.remark("2", slices.ContainsFunc(p.InputStages, overrides))
			}
		case "responseStages":
			remark = c.remark("24", len(p.ResponseStages) > 0)
		case "limits":
			continue
		}
		out.set(k.name, from.children[i], remark)
	}
	return out
}

// overrides tells whether a step of the stage has params of its own.
func overrides(s *Stage) bool {
	return slices.ContainsFunc(s.Steps, func(step *Step) bool { return !step.Params.IsZero() })
}
