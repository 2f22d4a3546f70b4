package config

import "fmt"

// reachability is what the listeners of the file say of the matches and hostnames
// of routes. A route may be attached to several: what matches at one of them is
// fine.
type reachability struct {
	places []string // in the order of the listeners
	// lost tells, by place, why nothing matches; empty where something does.
	lost map[string]string
}

// judge takes the word of one listener.
func (r *reachability) judge(place, why string) {
	if _, seen := r.lost[place]; !seen {
		r.places = append(r.places, place)
		r.lost[place] = why
	} else if why == "" {
		r.lost[place] = ""
	}
}

// reachableHosts judges the hostnames of the routes of a listener: the host has
// chosen the listener first.
func (r *resolver) reachableHosts(l *Listener, reach *reachability) {
	judge := func(route string, hostnames []string) {
		for i, h := range hostnames {
			reach.judge(fmt.Sprintf("%s.hostnames[%d]", route, i), r.otherListener(l, h))
		}
	}
	for _, rt := range l.Routes {
		if rt.Variant == "" { // it is said of the last one
			judge(rt.Path, rt.Hostnames)
		}
	}
	if l.Protocol.OverTLS() {
		for _, rt := range l.TCPRoutes {
			judge(rt.Path, rt.Hostnames)
		}
	}
}

// otherListener tells why a host never gets to a listener; it is empty if it may.
func (r *resolver) otherListener(l *Listener, host string) string {
	if !HostCovers(l.Hostname, host) && !HostCovers(host, l.Hostname) {
		return "the listener takes only " + l.Hostname
	}
	for _, other := range r.cfg.Listeners {
		if other != l && other.Port == l.Port && other.Hostname != "" && HostCovers(other.Hostname, host) && !HostCovers(other.Hostname, l.Hostname) {
			return "this host goes to the listener " + r.cfg.Where(other.Path)
		}
	}
	return ""
}
