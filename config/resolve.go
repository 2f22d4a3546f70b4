package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"path/filepath"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
)

// resolver turns the decoded file into the model. Paths name places; the tree
// turns them into lines.
type resolver struct {
	cfg  *Config
	opts Options
	mistakes

	processors map[string]*Processor
	profiles   map[string]*Profile
	used       map[any]bool // processors and profiles that something refers to
	// mistaken holds the places that have a key or value which the decoder
	// refused: what is absent there may only be misspelt.
	mistaken map[string]bool
	// forListener tells which gateway policies target one listener.
	forListener map[*ExtProc]bool
}

func (r *resolver) errorf(path string, kind Kind, format string, args ...any) {
	if !r.full() {
		r.add(r.cfg.Errorf(path, kind, format, args...))
	}
}

// missingf is errorf for something that is absent. It is silent where the
// decoder has refused what stands there instead.
func (r *resolver) missingf(path string, format string, args ...any) {
	if !r.mistaken[path] {
		r.errorf(path, Invalid, format, args...)
	}
}

func (r *resolver) warnf(path string, kind Kind, format string, args ...any) {
	r.cfg.Warnings = append(r.cfg.Warnings, r.cfg.Errorf(path, kind, format, args...))
}

func (r *resolver) resolve(f *file) {
	r.process(f.Config)
	for i := range f.Processors {
		r.processor(fmt.Sprintf("processors[%d]", i), &f.Processors[i])
	}
	for i := range f.Profiles {
		r.profile(fmt.Sprintf("profiles[%d]", i), &f.Profiles[i])
	}
	for i := range f.Binds {
		b := &f.Binds[i]
		path := fmt.Sprintf("binds[%d]", i)
		if b.Port == 0 {
			r.errorf(path+".port", Invalid, "expected a port from 1 to 65535")
		}
		for j := range b.Listeners {
			r.listener(fmt.Sprintf("%s.listeners[%d]", path, j), j, b.Port, &b.Listeners[j])
		}
	}
	for i := range f.GatewayPolicies {
		r.gatewayPolicy(fmt.Sprintf("gatewayPolicies[%d]", i), &f.GatewayPolicies[i])
	}
	r.attachGatewayPolicies()
	r.rules(f)
}

// The default addresses are agentgateway's.
const (
	defaultAdminAddr     = "localhost:15000"
	defaultStatsAddr     = "0.0.0.0:15020"
	defaultReadinessAddr = "0.0.0.0:15021"
)

// lookupFamilies are the words of config.dns.lookupFamily.
var lookupFamilies = []string{"All", "Auto", "V4Preferred", "V4Only", "V6Only"}

func (r *resolver) process(f *fileConfig) {
	if f == nil {
		f = &fileConfig{}
	}
	p := &r.cfg.Process
	for _, a := range []struct {
		into                 *string
		key, file, env, deft string
	}{
		{&p.AdminAddr, "adminAddr", f.AdminAddr, "ADMIN_ADDR", defaultAdminAddr},
		{&p.StatsAddr, "statsAddr", f.StatsAddr, "STATS_ADDR", defaultStatsAddr},
		{&p.ReadinessAddr, "readinessAddr", f.ReadinessAddr, "READINESS_ADDR", defaultReadinessAddr},
	} {
		*a.into = a.deft
		if a.file != "" {
			*a.into = a.file
		}
		from := ""
		// The environment wins over the file, as in agentgateway.
		if v, ok := r.opts.LookupEnv(a.env); ok && v != "" {
			*a.into, from = v, " (from the variable "+a.env+")"
		}
		if !validAddr(*a.into) {
			r.errorf("config."+a.key, Invalid, "not an address%s; expected ip:port, localhost:port, unix:/path or off", from)
		}
	}
	p.EnableIPv6 = f.EnableIPv6 == nil || *f.EnableIPv6
	if v, ok := r.opts.LookupEnv("IPV6_ENABLED"); ok {
		p.EnableIPv6 = v == "true"
	}
	p.DNSLookupFamily = "Auto"
	if f.DNS != nil && f.DNS.LookupFamily != "" {
		p.DNSLookupFamily = f.DNS.LookupFamily
	}
	if v, ok := r.opts.LookupEnv("DNS_LOOKUP_FAMILY"); ok && v != "" {
		p.DNSLookupFamily = v
	}
	if !slices.Contains(lookupFamilies, p.DNSLookupFamily) {
		r.errorf("config.dns.lookupFamily", Invalid, "unknown lookup family; expected %s", alternatives(lookupFamilies))
		p.DNSLookupFamily = "Auto"
	}
}

func validAddr(s string) bool {
	if s == "off" || strings.HasPrefix(s, "unix:/") {
		return true
	}
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

func (r *resolver) processor(path string, f *fileProcessor) {
	p := &Processor{Path: path, Name: f.Name, Type: f.Type, Config: f.Config, Params: f.Params}
	r.cfg.Processors = append(r.cfg.Processors, p)
	if f.Name == "" {
		return // reported as missing
	}
	if first, dup := r.processors[f.Name]; dup {
		r.errorf(path+".name", Conflict, "a second processor with this name; the first is %s", r.cfg.Where(first.Path))
		return
	}
	r.processors[f.Name] = p
}

func (r *resolver) profile(path string, f *fileProfile) {
	p := &Profile{Path: path, Name: f.Name}
	r.cfg.Profiles = append(r.cfg.Profiles, p)
	parallel := r.concurrency(path, f.Concurrency, false)
	for i := range f.InputStages {
		p.InputStages = append(p.InputStages, r.stage(fmt.Sprintf("%s.inputStages[%d]", path, i), &f.InputStages[i], parallel))
	}
	if f.Name == "" {
		return
	}
	if first, dup := r.profiles[f.Name]; dup {
		r.errorf(path+".name", Conflict, "a second profile with this name; the first is %s", r.cfg.Where(first.Path))
		return
	}
	r.profiles[f.Name] = p
}

func (r *resolver) stage(path string, f *fileStage, parallel bool) *Stage {
	s := &Stage{Path: path, Name: f.Name, Parallel: r.concurrency(path, f.Concurrency, parallel)}
	if f.Selector != nil {
		s.Selector = r.selector(path+".selector", f.Selector)
	}
	for i := range f.Steps {
		step := &f.Steps[i]
		stepPath := fmt.Sprintf("%s.steps[%d]", path, i)
		p := r.processors[step.Name]
		if p == nil {
			if step.Name != "" {
				r.errorf(stepPath+".name", Reference, "no processor has this name; %s", suggestName(step.Name, words(r.processors), "processors"))
			}
			continue
		}
		r.used[p] = true
		s.Steps = append(s.Steps, &Step{Path: stepPath, Processor: p, Params: step.Params})
	}
	return s
}

// concurrency reads F5's word: absent is sequential, or what the profile says.
func (r *resolver) concurrency(path, word string, inherited bool) bool {
	switch word {
	case "":
		return inherited
	case "parallel":
		return true
	}
	r.errorf(path+".concurrency", Invalid, "expected parallel, or no concurrency at all for one step after the other")
	return false
}

// operands are F5's words.
var operands = map[string]Operand{
	"": OperandAny, "any": OperandAny, "or": OperandAny,
	"all": OperandAll, "and": OperandAll,
	"none": OperandNone, "not": OperandNone,
}

func (r *resolver) selector(path string, f *fileSelector) *Selector {
	s := &Selector{Path: path}
	var ok bool
	if s.Operand, ok = operands[f.Operand]; !ok {
		r.errorf(path+".operand", Invalid, "unknown operand; expected any, all or none")
	}
	if f.Type != "" {
		r.errorf(path+".type", Unsupported, "a stage is selected by tags; leave type out and list tags")
		return s
	}
	if f.Key != "" || len(f.Values) > 0 {
		r.errorf(path, Invalid, "key and values belong to header and jwt selectors; a stage is selected by tags")
	}
	if len(f.Tags) == 0 {
		r.errorf(path, Invalid, "tags are missing; expected a list of \"key:value\"")
	}
	for i, tag := range f.Tags {
		if key, value, ok := strings.Cut(tag, ":"); !ok || key == "" || value == "" {
			r.errorf(fmt.Sprintf("%s.tags[%d]", path, i), Invalid, "expected \"key:value\"")
		}
		s.Values = append(s.Values, strings.ToLower(tag))
	}
	return s
}

func (r *resolver) listener(path string, index int, port uint16, f *fileListener) {
	l := &Listener{Path: path, Name: f.Name, GatewayName: f.GatewayName, Port: port}
	if l.Name == "" {
		l.Name = "listener" + strconv.Itoa(index)
	}
	if f.Protocol != "" && f.Protocol != "HTTP" {
		if slices.Contains([]string{"HTTPS", "TLS", "TCP", "HBONE"}, f.Protocol) {
			r.errorf(path+".protocol", Unsupported, "valid agentgateway protocol, not supported yet; only HTTP is")
		} else {
			r.errorf(path+".protocol", Invalid, "unknown protocol; expected HTTP")
		}
	}
	l.Hostname = r.hostname(path+".hostname", f.Hostname)
	for i := range f.Routes {
		l.Routes = append(l.Routes, r.route(fmt.Sprintf("%s.routes[%d]", path, i), i, l, &f.Routes[i]))
	}
	r.cfg.Listeners = append(r.cfg.Listeners, l)
}

func (r *resolver) route(path string, index int, l *Listener, f *fileRoute) *Route {
	rt := &Route{Path: path, Name: f.Name, Named: f.Name != "", Index: index}
	for i, h := range f.Hostnames {
		if h := r.hostname(fmt.Sprintf("%s.hostnames[%d]", path, i), h); h != "" {
			rt.Hostnames = append(rt.Hostnames, h)
		} else {
			rt.Hostnames = nil // one that means any host covers the others
			break
		}
	}
	for i := range f.Matches {
		rt.Matches = append(rt.Matches, r.match(fmt.Sprintf("%s.matches[%d]", path, i), &f.Matches[i]))
	}
	if len(rt.Matches) == 0 {
		rt.Matches = []Match{{Path: PathMatch{PathPrefix, "/"}}}
	}
	if !rt.Named {
		rt.Name = derivedName(rt)
	}
	policies := f.Policies
	if policies == nil {
		policies = &fileRoutePolicies{}
	}
	if policies.ExtProc != nil {
		rt.ExtProc = r.extProc(path+".policies.extProc", policies.ExtProc)
	}
	for i := range f.Backends {
		owner := fmt.Sprintf("%d/%s/%s/backend%d", l.Port, l.Name, rt.Name, i)
		rt.Backends = append(rt.Backends, r.backend(fmt.Sprintf("%s.backends[%d]", path, i), owner, &f.Backends[i], path+".policies", policies))
	}
	return rt
}

// derivedName is made of what a route matches, so that it stays the same when
// other routes come and go, or its policies and backends change.
func derivedName(rt *Route) string {
	h := sha256.New()
	fmt.Fprintf(h, "%q\n%+v", rt.Hostnames, rt.Matches)
	return "route-" + hex.EncodeToString(h.Sum(nil))[:12]
}

func (r *resolver) match(path string, f *fileMatch) Match {
	m := Match{Path: PathMatch{PathPrefix, "/"}, Method: f.Method}
	if f.Path != nil {
		m.Path = r.pathMatch(path+".path", f.Path)
	}
	if f.Method != "" && !tokenPattern.MatchString(f.Method) {
		r.errorf(path+".method", Invalid, "not an HTTP method")
	}
	for i := range f.Headers {
		p := fmt.Sprintf("%s.headers[%d]", path, i)
		v := r.valueMatch(p, &f.Headers[i])
		if v.Name = strings.ToLower(v.Name); v.Name != "" && !tokenPattern.MatchString(v.Name) && !slices.Contains([]string{":method", ":path", ":authority", ":scheme"}, v.Name) {
			r.errorf(p+".name", Invalid, "not a header name; expected a token, or one of :method, :path, :authority, :scheme")
		}
		m.Headers = append(m.Headers, v)
	}
	for i := range f.Query {
		m.Query = append(m.Query, r.valueMatch(fmt.Sprintf("%s.query[%d]", path, i), &f.Query[i]))
	}
	return m
}

// tokenPattern is RFC 9110's token.
var tokenPattern = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

func (r *resolver) pathMatch(path string, f *filePath) PathMatch {
	var found []PathMatch
	for _, p := range []struct {
		value *string
		kind  PathKind
	}{{f.PathPrefix, PathPrefix}, {f.Exact, PathExact}, {f.Regex, PathRegex}} {
		if p.value != nil {
			found = append(found, PathMatch{p.kind, *p.value})
		}
	}
	if len(found) != 1 {
		r.errorf(path, Invalid, "expected exactly one of exact, pathPrefix, regex")
		return PathMatch{PathPrefix, "/"}
	}
	m := found[0]
	switch {
	case m.Kind == PathRegex:
		r.regex(path+".regex", m.Value)
	case !strings.HasPrefix(m.Value, "/") || strings.ContainsAny(m.Value, "?#"):
		r.errorf(path, Invalid, "expected a path that begins with / and has no ? or #")
	}
	return m
}

func (r *resolver) regex(path, pattern string) {
	if _, err := syntax.Parse(pattern, syntax.Perl); err != nil {
		why := "it does not parse"
		if e, ok := err.(*syntax.Error); ok {
			why = string(e.Code) // without the pattern, which may hold a variable's value
		}
		r.errorf(path, Invalid, "not a regular expression: %s; expected RE2 syntax", why)
	}
}

func (r *resolver) valueMatch(path string, f *fileValueMatch) ValueMatch {
	m := ValueMatch{Name: f.Name}
	switch {
	case f.Value.Exact != nil && f.Value.Regex == nil:
		m.Value = *f.Value.Exact
	case f.Value.Regex != nil && f.Value.Exact == nil:
		m.Value, m.Regex = *f.Value.Regex, true
		r.regex(path+".value.regex", m.Value)
	default:
		r.errorf(path+".value", Invalid, "expected exactly one of exact, regex")
	}
	return m
}

func (r *resolver) extProc(path string, f *fileExtProc) *ExtProc {
	e := &ExtProc{Path: path}
	switch f.FailureMode {
	case "", "failClosed":
	case "failOpen":
		e.FailOpen = true
	default:
		r.errorf(path+".failureMode", Invalid, "expected failClosed or failOpen")
	}
	switch {
	case f.Host != "" && f.Profile != "":
		r.errorf(path, Conflict, "host and profile exclude each other; host is somebody's ext_proc server, profile a chain of this file")
	case f.Host != "":
		if t, err := ParseTarget(f.Host); err != nil {
			r.errorf(path+".host", Invalid, "%v", err)
		} else {
			e.Target = &t
		}
	case f.Profile != "":
		if p := r.profiles[f.Profile]; p == nil {
			r.errorf(path+".profile", Reference, "no profile has this name; %s", suggestName(f.Profile, words(r.profiles), "profiles"))
		} else {
			r.used[p] = true
			e.Profiles = []*Candidate{{Path: path + ".profile", Profile: p}}
		}
	default:
		r.missingf(path, "expected host or profile")
	}
	return e
}

// suggestName proposes an existing name, or tells which there are.
func suggestName(name string, known []string, section string) string {
	if len(known) == 0 {
		return "the file has no " + section
	}
	return suggest(name, known, known)
}

// ParseTarget reads an address: host:port, [ipv6]:port or unix:/path.
func ParseTarget(s string) (Target, error) {
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		if !filepath.IsAbs(path) || len(path) > 107 {
			return Target{}, fmt.Errorf("not a socket; expected unix: and an absolute path of at most 107 bytes")
		}
		return Target{Unix: path}, nil
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil || host == "" {
		return Target{}, fmt.Errorf("not an address; expected host:port, [ipv6]:port or unix:/path")
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return Target{}, fmt.Errorf("not a port; expected a number from 1 to 65535 after the colon")
	}
	if net.ParseIP(host) == nil && !hostnamePattern.MatchString(strings.ToLower(strings.TrimSuffix(host, "."))) {
		return Target{}, fmt.Errorf("not a host; expected a DNS name or an IP address before the port")
	}
	return Target{Host: host, Port: uint16(n)}, nil
}

// providerHost is where OpenAI answers unless hostOverride says otherwise.
var providerHost = Target{Host: "api.openai.com", Port: 443}

func (r *resolver) backend(path, owner string, f *fileBackend, policiesPath string, policies *fileRoutePolicies) *Backend {
	b := &Backend{Path: path, Weight: 1}
	if f.Weight != nil {
		b.Weight = *f.Weight
	}
	type place struct {
		path string
		auth *fileBackendAuth
		tls  *fileBackendTLS
	}
	// The first place that has a policy wins: the backend's entry, the route,
	// the provider.
	var places []place
	if f.Policies != nil {
		places = append(places, place{path + ".policies", f.Policies.BackendAuth, f.Policies.BackendTLS})
	}
	places = append(places, place{policiesPath, policies.BackendAuth, policies.BackendTLS})
	if f.AI != nil {
		if p := f.AI.Policies; p != nil {
			places = append(places, place{path + ".ai.policies", p.BackendAuth, p.BackendTLS})
		}
		places = append(places, place{path + ".ai", f.AI.BackendAuth, f.AI.BackendTLS})
	}
	switch {
	case f.Host != "" && f.AI != nil:
		r.errorf(path, Conflict, "host and ai exclude each other; write two backends")
	case f.Host != "":
		r.target(path+".host", f.Host, &b.Target)
	case f.AI != nil:
		r.ai(path+".ai", f.AI, b)
	default:
		r.missingf(path, "expected host or ai")
	}
	for _, p := range places {
		if p.auth != nil && b.Credential == nil {
			b.Credential = r.credential(p.path+".backendAuth", owner, p.auth)
		}
		if p.tls != nil {
			b.TLS = &TLS{}
		}
	}
	if b.TLS != nil && b.Target.Host != "" && net.ParseIP(b.Target.Host) != nil {
		r.errorf(path, Unsupported, "TLS to an IP address needs backendTLS.hostname, which is not supported yet; use a host name")
	}
	return b
}

func (r *resolver) target(path, s string, into *Target) {
	t, err := ParseTarget(s)
	if err != nil {
		r.errorf(path, Invalid, "%v", err)
		return
	}
	*into = t
}

func (r *resolver) ai(path string, f *fileAI, b *Backend) {
	b.AI = &AI{Name: f.Name, Provider: "openAI"}
	if f.Provider.OpenAI == nil {
		r.missingf(path+".provider", "expected openAI")
	} else {
		b.AI.Model = f.Provider.OpenAI.Model
	}
	b.Target, b.TLS = providerHost, &TLS{}
	if f.HostOverride != "" {
		// An overridden host is spoken to in the clear unless backendTLS asks
		// for more.
		b.TLS = nil
		r.target(path+".hostOverride", f.HostOverride, &b.Target)
	}
	for _, p := range []struct{ key, value string }{{"pathOverride", f.PathOverride}, {"pathPrefix", f.PathPrefix}} {
		if p.value != "" && (!strings.HasPrefix(p.value, "/") || strings.ContainsAny(p.value, "?#\\ ")) {
			r.errorf(path+"."+p.key, Invalid, "expected a path that begins with / and has no query")
		}
	}
	switch {
	case f.PathOverride != "" && f.PathPrefix != "":
		r.errorf(path, Conflict, "pathOverride and pathPrefix exclude each other; pathOverride is the whole path")
	case f.PathOverride != "":
		b.AI.UpstreamPath = f.PathOverride
	case f.PathPrefix != "":
		b.AI.UpstreamPath = strings.TrimSuffix(f.PathPrefix, "/") + "/chat/completions"
	default:
		b.AI.UpstreamPath = "/v1/chat/completions"
	}
}

func (r *resolver) credential(path, owner string, f *fileBackendAuth) *Credential {
	if f.Key == nil {
		r.missingf(path, "expected key")
		return nil
	}
	c := &Credential{Ref: "inline:" + owner, value: f.Key.value}
	switch {
	case f.Key.variable != "":
		c.Ref = "env:" + f.Key.variable
	case f.Key.file != "":
		abs, err := filepath.Abs(f.Key.file)
		if err != nil {
			r.errorf(path+".key.file", Invalid, "not a path: %v", err)
			return nil
		}
		r.cfg.Named = append(r.cfg.Named, abs)
		content, err := r.opts.ReadFile(abs)
		if err != nil {
			r.errorf(path+".key.file", Reference, "cannot be read: %v", err)
			return nil
		}
		c.Ref, c.value = "file:"+abs, strings.TrimSpace(string(content))
	}
	switch {
	case c.value == "" && !r.opts.AllowUnsetEnv:
		r.errorf(path+".key", Invalid, "the key is empty")
	case strings.ContainsFunc(c.value, func(r rune) bool { return r < ' ' || r == 0x7f }):
		r.errorf(path+".key", Invalid, "the key holds a line break or another control character, which no header can carry")
	}
	return c
}

func (r *resolver) gatewayPolicy(path string, f *fileGatewayPolicy) {
	if (f.Target.Gateway == "") == (f.Target.Listener == "") {
		r.missingf(path+".target", "expected exactly one of gateway, listener")
		return
	}
	if f.Policy.ExtProc == nil {
		r.missingf(path+".policy", "expected extProc")
		return
	}
	e := r.extProc(path+".policy.extProc", f.Policy.ExtProc)
	e.FromGateway = true
	targets := 0
	for _, l := range r.cfg.Listeners {
		if !targetsListener(&f.Target, l) {
			continue
		}
		targets++
		// A policy for the listener beats one for the gateway.
		specific := f.Target.Listener != ""
		switch other := l.ExtProc; {
		case other == nil, specific && !r.forListener[other]:
			l.ExtProc = e
		case specific == r.forListener[other]:
			r.errorf(path, Conflict, "a second extProc for this target; the first is %s", r.cfg.Where(other.Path))
		}
	}
	r.forListener[e] = f.Target.Listener != ""
	if targets == 0 {
		var known []string
		for _, l := range r.cfg.Listeners {
			known = append(known, gatewayNames(l)[0])
		}
		slices.Sort(known)
		key := "gateway"
		if f.Target.Listener != "" {
			key = "listener"
		}
		r.errorf(path+".target."+key, Reference, "no listener has this name; %s", suggestName(f.Target.Gateway+f.Target.Listener, slices.Compact(known), "listeners"))
	}
}

// gatewayNames are the names under which a policy finds a listener's gateway:
// v0.10 called an unnamed one bind/<port>, later releases default.
func gatewayNames(l *Listener) []string {
	if l.GatewayName != "" {
		return []string{l.GatewayName}
	}
	return []string{"bind/" + strconv.Itoa(int(l.Port)), "default"}
}

func targetsListener(t *fileTarget, l *Listener) bool {
	for _, g := range gatewayNames(l) {
		if t.Gateway == g || t.Listener == l.Name+"/"+g {
			return true
		}
	}
	return t.Listener != "" && t.Listener == l.Name
}

// attachGatewayPolicies gives routes without external processing that of
// their gateway: the v0.10 guide's rule is that the route replaces the gateway.
func (r *resolver) attachGatewayPolicies() {
	for _, l := range r.cfg.Listeners {
		for _, rt := range l.Routes {
			if rt.ExtProc == nil {
				rt.ExtProc = l.ExtProc
			}
		}
	}
}
