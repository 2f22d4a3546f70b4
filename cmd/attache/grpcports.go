package main

import (
	"cmp"
	"fmt"
	"net"

	"google.golang.org/grpc"

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/xds"
)

// grpcPorts are those of the two gRPC services, open, with what the servers behind
// them need.
type grpcPorts struct {
	xds, extProc               net.Listener
	xdsOptions, extProcOptions []grpc.ServerOption
	// reached is how Envoys reach ext_proc: here, and on other replicas.
	reached []config.Target
}

func (p *grpcPorts) close() {
	for _, l := range []net.Listener{p.xds, p.extProc} {
		if l != nil {
			l.Close()
		}
	}
}

// openGRPC opens the ports. With an error comes the exit code.
func (s *services) openGRPC() (p *grpcPorts, code int, err error) {
	p = &grpcPorts{}
	if p.xds, err = listen(s.flags.xds, s.socketMode()); err != nil {
		return p, exitFailure, fmt.Errorf("the xDS service cannot listen: %w\nhint: --xds names another address", err)
	}
	if p.extProc, err = s.listenExtProc(); err != nil {
		return p, exitFailure, err
	}
	if p.xdsOptions, err = s.xdsOptions(addressOf(p.xds)); err != nil {
		return p, exitUsage, err
	}
	if p.extProcOptions, err = s.extProcTLSOptions(addressOf(p.extProc)); err != nil {
		return p, exitUsage, err
	}
	if p.reached, err = parseTargets(cmp.Or(s.flags.extProcAs, addressOf(p.extProc))); err != nil {
		return p, exitUsage, fmt.Errorf("--extproc-as: %w", err)
	}
	return p, exitGood, nil
}

func (s *services) listenExtProc() (net.Listener, error) {
	l, err := listen(s.flags.extProc, s.socketMode())
	if err != nil {
		return nil, fmt.Errorf("the ext_proc service cannot listen: %w\nhint: --extproc names another address", err)
	}
	return l, nil
}

// xdsOptions are those of the xDS service at an address.
func (s *services) xdsOptions(addr string) ([]grpc.ServerOption, error) {
	options := xds.ServerOptions()
	if !s.flags.xdsTLS.given() {
		return options, mayListen(addr, s.flags.xdsInsecure)
	}
	m, err := newMutualTLS(s.flags.xdsTLS, s.log)
	if err != nil {
		return nil, err
	}
	return append(options, m.option()...), nil
}

// extProcTLSOptions are those by which the ext_proc service at an address knows its
// Envoys.
func (s *services) extProcTLSOptions(addr string) ([]grpc.ServerOption, error) {
	switch {
	case s.flags.extProcTLS:
		m, err := newMutualTLS(s.flags.xdsTLS, s.log)
		if err != nil {
			return nil, err
		}
		return m.option(), nil
	case s.flags.extProcInsecure || loopbackOnly(addr):
		return nil, nil
	}
	return nil, fmt.Errorf("--extproc %s can be reached from other machines, and requests travel there as they are\n"+
		"hint: say --extproc-tls, beside --xds-cert, --xds-key and --xds-ca; or listen on 127.0.0.1 or unix:/path; or say --extproc-insecure", addr)
}
