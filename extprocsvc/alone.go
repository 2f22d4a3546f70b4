package extprocsvc

import (
	"log/slog"
	"sync/atomic"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/attache-dev/attache/config"
)

// ProfileKey is the gRPC metadata in which somebody's own Envoy names the
// profile of a request, as the file spells it; see [BuildAlone].
const ProfileKey = "x-attache-profile"

// RouteAttribute is the attribute in which it tells the name of its route, if
// the filter lists it in request_attributes.
const RouteAttribute = "xds.route_name"

// attributesOf is the key of the attributes of a message: the filter's canonical
// name. agentgateway uses the same.
const attributesOf = "envoy.filters.http.ext_proc"

// BuildAlone makes the chains for Envoys that are configured by somebody else,
// and name a profile or tell the name of their route: one for each profile of
// the file, and those of its routes. fallback is the profile of streams that
// name none; empty for the only one of the file, if it is that.
func BuildAlone(cfg *config.Config, fallback string) (*Chains, error) {
	return standard.BuildAlone(cfg, fallback)
}

// BuildAlone is the function [BuildAlone] with the kinds of the registry.
func (r *Registry) BuildAlone(cfg *config.Config, fallback string) (*Chains, error) {
	b := r.builder(cfg)
	a := &alone{profiles: map[string]*Chain{}, routes: map[string]*Chain{}}
	b.chains.alone = a
	b.everything()
	for _, p := range cfg.Profiles {
		ep := &config.ExtProc{
			Path: p.Path, FailOpen: p.FailureMode == config.FailOpen,
			Profiles: []*config.Candidate{{Path: p.Path, Profile: p}},
		}
		a.profiles[p.Name] = b.chain(ep, use{alone: true, place: "alone/" + escape(p.Name)})
	}
	ambiguous := map[string]bool{}
	for _, l := range cfg.Listeners {
		for _, rt := range l.Routes {
			c := b.chains.byRoute[rt]
			if c == nil {
				continue
			}
			ambiguous[rt.Name] = ambiguous[rt.Name] || a.routes[rt.Name] != nil && a.routes[rt.Name] != c
			a.routes[rt.Name] = c
		}
	}
	for name := range ambiguous {
		if ambiguous[name] {
			a.routes[name] = nil
		}
	}
	switch {
	case fallback == "" && len(cfg.Profiles) == 1:
		a.fallback = a.profiles[cfg.Profiles[0].Name]
	case fallback != "" && a.profiles[fallback] == nil:
		b.errorf("", config.Reference, "--profile %s: the file has no profile of this name", fallback)
	case fallback != "":
		a.fallback = a.profiles[fallback]
	}
	if len(cfg.Profiles) == 0 && len(a.routes) == 0 {
		b.errorf("", config.Invalid, "the file has no profiles, so there is nothing that an ext_proc service could do; add profiles")
	}
	if len(b.errs) > 0 {
		return nil, config.Join(b.errs)
	}
	return b.chains, nil
}

// ForProfile returns the chain of a profile of the configuration, by its name,
// or nil. Only chains of [BuildAlone] have some.
func (c *Chains) ForProfile(name string) *Chain {
	if c.alone == nil {
		return nil
	}
	return c.alone.profiles[name]
}

// An alone is how the streams of Envoys that are not ours find their chains.
type alone struct {
	profiles map[string]*Chain // by name
	routes   map[string]*Chain // by name; nil for a name that several have
	fallback *Chain            // nil for none

	// told are the mistakes that were logged since the file was loaded: a log
	// line for each request would say nothing more.
	toldNone, toldProfile, toldRoute atomic.Bool
}

// choose finds the chain for a stream. The errors are answered by Envoy's
// failure mode. The connection that it returns begins with the first message
// again.
func (a *alone) choose(s *Server, t *table, conn extprocv3.ExternalProcessor_ProcessServer) (*installed, extprocv3.ExternalProcessor_ProcessServer, error) {
	ctx := conn.Context()
	refuse := func(told *atomic.Bool, code codes.Code, wrong, set string, args ...any) error {
		level := slog.LevelDebug
		if told.CompareAndSwap(false, true) {
			level = slog.LevelError
		}
		s.log.Log(ctx, level, wrong+"; the failure mode of the filter answers its requests", append(args, "set", set)...)
		return status.Error(code, wrong)
	}
	if names := metadata.ValueFromIncomingContext(ctx, ProfileKey); len(names) > 0 && names[0] != "" {
		c := a.profiles[names[0]]
		if c == nil || len(names) > 1 {
			return nil, nil, refuse(&a.toldProfile, codes.NotFound, "a stream names a profile that the file does not have",
				"one profile of the file, in the gRPC metadata "+ProfileKey+" (grpc_service.initial_metadata)", "named", names)
		}
		return t.current[c.name], conn, nil
	}
	if len(a.routes) > 0 {
		first, err := conn.Recv()
		if err != nil {
			return nil, nil, err
		}
		conn = &again{ExternalProcessor_ProcessServer: conn, first: first}
		name := first.GetAttributes()[attributesOf].GetFields()[RouteAttribute].GetStringValue()
		switch c, known := a.routes[name]; {
		case c != nil:
			return t.current[c.name], conn, nil
		case known:
			return nil, nil, refuse(&a.toldRoute, codes.FailedPrecondition, "a stream tells a route name that several routes of the file have",
				"names that differ, or the gRPC metadata "+ProfileKey, "route", name)
		}
	}
	if a.fallback == nil {
		return nil, nil, refuse(&a.toldNone, codes.InvalidArgument, "a stream names no profile, and there is no default",
			"--profile NAME here; or in the filter the gRPC metadata "+ProfileKey+" (grpc_service.initial_metadata), or request_attributes ["+RouteAttribute+"] for the routes of the file")
	}
	return t.current[a.fallback.name], conn, nil
}

// again is a connection whose first message is received once more.
type again struct {
	extprocv3.ExternalProcessor_ProcessServer
	first *extprocv3.ProcessingRequest
}

func (c *again) Recv() (*extprocv3.ProcessingRequest, error) {
	if m := c.first; m != nil {
		c.first = nil
		return m, nil
	}
	return c.ExternalProcessor_ProcessServer.Recv()
}
