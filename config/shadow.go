package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// claim is a match of a route.
type claim struct {
	route *Route
	index int
}

// first orders claims to the same requests as agentgateway does.
func (c claim) first(d claim) int {
	return cmp.Or(
		-cmp.Compare(len(c.match().Path.Value), len(d.match().Path.Value)), // a slash at the end counts
		cmp.Compare(c.route.Key, d.route.Key),
		cmp.Compare(c.index, d.index),
	)
}

func (c claim) match() *Match { return &c.route.Matches[c.index] }

// shadowed judges the matches of a listener: one never gets a request if on each
// of the hosts of its route an equal match comes first.
func (r *resolver) shadowed(l *Listener, reach *reachability) {
	winners := map[string]claim{} // by host and conditions
	each := func(do func(c claim, keys []string)) {
		for _, rt := range l.Routes {
			if rt.Variant != "" || rt.Parent != nil || rt.Delegates {
				continue // these stand together with others
			}
			hosts := rt.Hostnames
			if len(hosts) == 0 {
				hosts = []string{""}
			}
			for i := range rt.Matches {
				conditions, keys := rt.Matches[i].conditions(), make([]string, len(hosts))
				for j, h := range hosts {
					keys[j] = h + "\n" + conditions
				}
				do(claim{rt, i}, keys)
			}
		}
	}
	each(func(c claim, keys []string) {
		for _, k := range keys {
			if w, ok := winners[k]; !ok || c.first(w) < 0 {
				winners[k] = c
			}
		}
	})
	each(func(c claim, keys []string) {
		path, why := c.route.Path, ""
		if len(c.route.Matches) > 1 {
			path = fmt.Sprintf("%s.matches[%d]", path, c.index)
		}
		if !slices.ContainsFunc(keys, func(k string) bool { return winners[k] == c }) {
			why = fmt.Sprintf("the same match of %s comes first", r.cfg.Where(winners[keys[0]].route.Path))
		}
		reach.judge(path, why)
	})
}

// conditions tells matches apart that do not accept the same requests.
func (m *Match) conditions() string {
	path := m.Path.Value
	if m.Path.Kind == PathPrefix {
		path = strings.TrimRight(path, "/")
	}
	sorted := func(list []ValueMatch) string {
		if len(list) == 0 {
			return ""
		}
		texts := make([]string, len(list))
		for i, v := range list {
			texts[i] = fmt.Sprintf("%q %q %t", v.Name, v.Value, v.Regex)
		}
		slices.Sort(texts)
		return strings.Join(slices.Compact(texts), "\n")
	}
	b := strconv.AppendQuote(strconv.AppendInt(make([]byte, 0, len(path)+16), int64(m.Path.Kind), 10), path)
	for _, part := range []string{m.Method, sorted(m.Headers), "", sorted(m.Query)} {
		b = append(append(b, '\n'), part...)
	}
	return string(b)
}
