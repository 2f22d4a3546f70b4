// Package extproctest tests ext_proc servers over their real protocol, without
// an Envoy.
//
// [Filter.Do] plays Envoy's filter: it sends one request through a server as
// Envoy 1.40 would, in any body mode, applies the replies as Envoy does, and
// returns what the upstream or the client gets. A reply that Envoy would call
// spurious is an error, and so is a message whose content-length is not the
// length of its body, about which the real Envoy says nothing.
//
// [Agentgateway.Do] plays agentgateway in the same way, whose conversation is
// another one: it differs in what it sends, in what it makes of the answers, and
// in that nobody may leave it.
//
// [Serve] runs a server on an in-memory connection, and [README] runs the
// example in the manual of a processor.
package extproctest
