package config

import (
	"fmt"
	"slices"
	"strings"
)

// routeGroup is an entry of the section "routeGroups".
type routeGroup struct {
	path string
	file *fileRouteGroup
	used bool
}

func (r *resolver) routeGroups(groups []fileRouteGroup) {
	r.groups = map[string]*routeGroup{}
	for i := range groups {
		g := &routeGroup{path: fmt.Sprintf("routeGroups[%d]", i), file: &groups[i]}
		if first := r.groups[g.file.Name]; first != nil {
			r.errorf(g.path+".name", Conflict, "a second group of this name; the first is %s", r.cfg.Where(first.path))
			continue
		}
		if g.file.Name != "" {
			r.groups[g.file.Name] = g
		}
	}
}

// unusedGroups warns of groups that no backend refers to.
func (r *resolver) unusedGroups() {
	for _, name := range words(r.groups) {
		if g := r.groups[name]; !g.used {
			r.warnf(g.path, Unreachable, "no backend refers to this group")
		}
	}
}

// delegation is the group to which a route hands its requests, or empty.
func delegation(f *fileRoute) string {
	for i := range f.Backends {
		if name := f.Backends[i].RouteGroup; name != "" {
			return name
		}
	}
	return ""
}

// delegate returns the routes of a group below the route that hands its requests
// to it. Each takes what both match, and has the policies of both, its own
// first.
func (r *resolver) delegate(path string, l *Listener, parent *Route, inherited levels, name string) (routes []*Route) {
	g := r.groups[name]
	switch {
	case g == nil:
		r.errorf(path, Reference, "no group has this name; %s", suggestName(name, words(r.groups), "routeGroups"))
		return nil
	case slices.Contains(r.entered, name):
		r.errorf(path, Conflict, "the group hands its requests to itself")
		return nil
	}
	g.used = true
	r.entered = append(r.entered, name)
	defer func() { r.entered = r.entered[:len(r.entered)-1] }()
	for i := range g.file.Routes {
		for _, child := range r.routeWith(fmt.Sprintf("%s.routes[%d]", g.path, i), i, l, &g.file.Routes[i], inherited) {
			if child.Parent != nil || r.within(child, parent) {
				routes = append(routes, child)
			}
		}
	}
	return routes
}

// within puts a route of a group below its parent, and narrows it to what the
// parent matches. It tells whether anything is left.
func (r *resolver) within(child, parent *Route) bool {
	child.Parent, child.Name = parent, parent.Name+"/"+child.Name
	hosts := narrowHosts(child.Hostnames, parent.Hostnames)
	var matches []Match
	for i, p := range parent.Matches {
		for _, c := range child.Matches {
			if m, ok := r.narrow(child.Path, c, p); ok {
				m.Parent = i
				matches = append(matches, m)
			}
		}
	}
	if len(matches) == 0 || len(hosts) == 0 && len(child.Hostnames)+len(parent.Hostnames) > 0 {
		r.warnf(child.Path, Unreachable, "never matches: %s takes none of this", r.cfg.Where(parent.Path))
		return false
	}
	child.Hostnames, child.Matches = hosts, matches
	return true
}

// narrowHosts are the hosts that both lists name; an empty list is every host.
func narrowHosts(a, b []string) (both []string) {
	if len(a) == 0 {
		return b
	}
	if len(b) == 0 {
		return a
	}
	for _, x := range a {
		for _, y := range b {
			switch {
			case HostCovers(x, y):
				both = append(both, y)
			case HostCovers(y, x):
				both = append(both, x)
			}
		}
	}
	slices.Sort(both)
	return slices.Compact(both)
}

// narrow is a match of requests that both a and b match.
func (r *resolver) narrow(path string, a, b Match) (Match, bool) {
	m := a
	switch {
	case b.Path.Kind == PathPrefix && strings.Trim(b.Path.Value, "/") == "":
	case a.Path.Kind == PathRegex || b.Path.Kind == PathRegex:
		if a.Path != b.Path {
			r.errorf(path, Unsupported, "a regex beside another path, one in the route and one in its group, is not supported yet; write the whole path into the group's route, and pathPrefix / into the other")
		}
	case covers(b.Path, a.Path):
	case covers(a.Path, b.Path):
		m.Path = b.Path
	default:
		return m, false
	}
	if a.Method != "" && b.Method != "" && a.Method != b.Method {
		return m, false
	}
	if a.Method == "" {
		m.Method = b.Method
	}
	m.Headers = slices.Concat(a.Headers, b.Headers)
	m.Query = slices.Concat(a.Query, b.Query)
	return m, true
}

// covers tells whether every path that b matches also matches a. Neither is a
// regex.
func covers(a, b PathMatch) bool {
	if a.Kind == PathExact {
		return b.Kind == PathExact && a.Value == b.Value
	}
	prefix := strings.TrimRight(a.Value, "/")
	rest, ok := strings.CutPrefix(b.Value, prefix)
	return ok && (rest == "" || rest[0] == '/')
}
