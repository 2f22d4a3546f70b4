// Package translator turns a configuration into Envoy resources.
//
// [Translate] is pure: no clock, no network, no randomness, no logging. The
// same configuration gives the same bytes, whatever the order of maps.
//
// The shape, and the reason for it:
//
//   - One Envoy listener and one RouteConfiguration per port. The listener
//     names no policy: its only filters are an empty filter_chain called
//     "policies" and the router. Every policy of a route is a filter in the
//     route's own chain, carried by RDS, so that an edit drains no connection.
//   - One Envoy route per match, sorted as agentgateway sorts. Envoy never
//     falls through from one virtual host to a less specific one, so the
//     routes of less specific hostnames are repeated in the more specific.
//   - Where our ext_proc service chooses the backend, each has an Envoy route
//     that matches the choice and nothing else, see choice.go.
//   - One cluster per distinct backend. Its identity includes the reference to
//     a credential, never the secret, which goes to Envoy by SDS.
//   - Whatever Envoy's defaults get wrong for models is always explicit: no
//     route timeout, normalised paths, bounded bodies and connections.
//
// Names are in name.go, the order of policies is in policies.go.
package translator
