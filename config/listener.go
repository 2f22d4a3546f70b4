package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
)

// Protocol is what the clients of a listener speak.
type Protocol int

// The protocols of a listener. HTTPS and TLS share ports.
const (
	ProtocolHTTP Protocol = iota
	// ProtocolHTTPS is HTTP over TLS.
	ProtocolHTTPS
	// ProtocolTCP is any bytes.
	ProtocolTCP
	// ProtocolTLS is any bytes over TLS. Without Listener.TLS they pass as they
	// are, and only the name that the client asks for is read.
	ProtocolTLS
)

// protocolWords are agentgateway's, by protocol.
var protocolWords = []string{ProtocolHTTP: "HTTP", ProtocolHTTPS: "HTTPS", ProtocolTCP: "TCP", ProtocolTLS: "TLS"}

// String returns the word of the file.
func (p Protocol) String() string { return protocolWords[p] }

// OverTLS tells whether connections begin with a TLS handshake, in which the
// client's SNI chooses the listener.
func (p Protocol) OverTLS() bool { return p == ProtocolHTTPS || p == ProtocolTLS }

// HTTP tells whether requests go by Routes; otherwise connections go by
// TCPRoutes.
func (p Protocol) HTTP() bool { return p == ProtocolHTTP || p == ProtocolHTTPS }

// listener adds a listener with its own routes to what is already known of it.
func (r *resolver) listener(path string, index int, l *Listener, f *fileListener) {
	l.Path, l.Name, l.GatewayName = path, cmp.Or(f.Name, "listener"+strconv.Itoa(index)), f.GatewayName
	r.openListener(l, f.Hostname, f.Protocol, f.TLS, levelOf[fileGatewayPhase]{path + ".policies", f.Policies})
	switch {
	case r.mistaken[path+".protocol"]: // which routes it has depends on it
	case l.Protocol.HTTP() && f.TCPRoutes != nil:
		r.errorf(path+".tcpRoutes", Conflict, "%s has requests, not connections; write routes, or another protocol", l.Protocol)
	case !l.Protocol.HTTP() && f.Routes != nil:
		r.errorf(path+".routes", Conflict, "%s has connections, not requests; write tcpRoutes, or another protocol", l.Protocol)
	case !l.Protocol.HTTP() && f.TCPRoutes == nil:
		r.missingf(path, "%s needs tcpRoutes; write [] to close every connection", l.Protocol)
	}
	for i := range f.Routes {
		l.Routes = append(l.Routes, r.route(fmt.Sprintf("%s.routes[%d]", path, i), i, l, &f.Routes[i])...)
		f.Routes[i] = fileRoute{} // nobody needs it any more, and it is large
	}
	for i := range f.TCPRoutes {
		l.TCPRoutes = append(l.TCPRoutes, r.tcpRoute(fmt.Sprintf("%s.tcpRoutes[%d]", path, i), i, &f.TCPRoutes[i]))
	}
}

// openListener adds a listener that has no routes yet to what its place gives:
// Path, Name and all about the port. Without a protocol it is HTTP.
func (r *resolver) openListener(l *Listener, hostname, protocol string, tls *fileServerTLS, phase levelOf[fileGatewayPhase]) {
	r.cfg.Listeners = append(r.cfg.Listeners, l)
	l.Hostname = r.hostname(l.Path+".hostname", hostname)
	r.attachTo(l)
	early := r.gatewayLevels[l]
	if phase.policies != nil {
		early = append(gatewayLevels{phase}, early...)
	}
	l.Gateway = r.gatewayPhase(early)
	l.Protocol = Protocol(max(slices.Index(protocolWords, protocol), 0))
	if tls != nil {
		l.TLS = r.serverTLS(l.Path+".tls", tls)
	}
	secure := map[Protocol]Protocol{ProtocolHTTP: ProtocolHTTPS, ProtocolTCP: ProtocolTLS}
	switch {
	case r.mistaken[l.Path+".protocol"]:
	case l.Protocol == ProtocolHTTPS && tls == nil:
		r.missingf(l.Path, "HTTPS needs tls with cert and key")
	case !l.Protocol.OverTLS() && tls != nil:
		r.errorf(l.Path+".tls", Conflict, "%s is not encrypted; write protocol: %s", l.Protocol, secure[l.Protocol])
	}
}

// sharedPorts: what the first bytes of a connection mean must be known.
func (r *resolver) sharedPorts() {
	first := map[uint16]*Listener{}
	for _, l := range r.cfg.Listeners {
		f := first[l.Port]
		switch {
		case r.mistaken[l.Path+".protocol"]:
		case f == nil:
			first[l.Port] = l
		case f.Protocol == ProtocolTCP && l.Protocol == ProtocolTCP:
			r.errorf(l.Path, Conflict, "TCP has one listener for each port; the first is %s", r.cfg.Where(f.Path))
		case f.Protocol != l.Protocol && !(f.Protocol.OverTLS() && l.Protocol.OverTLS()):
			r.errorf(l.Path+".protocol", Conflict, "%s cannot share a port with %s, which is %s; use another port", l.Protocol, f.Protocol, r.cfg.Where(f.Path))
		}
	}
}
