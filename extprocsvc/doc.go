// Package extprocsvc is Attaché's ext_proc service: for every request that
// Envoy shows us it runs a chain of processors, in the model of F5 AI Gateway.
//
// [Build] turns a configuration into [Chains]. It has no effects.
// [Server.Install] puts them in force; it cannot fail. Envoy names the chain of
// a request in the gRPC metadata [MetadataKey].
//
// The package has three layers, one on top of the other:
//
//   - kind.go, request.go: what a processor is. Processors live in
//     processors/<kind> and register themselves; check.go asks those that
//     depend on something outside whether they can work;
//   - build.go, chain.go, pick.go, choose.go, ai.go, run.go: the chain. It picks
//     a profile by the headers, runs the stages of it whose selector holds over
//     the tags gathered so far, chooses a service, and with it the backend, and
//     applies the backend's AI settings. The engine, not the processor, enforces
//     rights and deadlines; the first rejection in step order wins;
//   - head.go, stream.go, response.go, reply.go, length.go, server.go: the
//     conversation with Envoy, in every body mode; record.go, metadata.go and
//     ring.go: the account of what was decided.
//
// # What a chain is shown
//
// A chain that reads bodies sees JSON and nothing else; but a request that no
// profile looks at passes unread where the settings of no backend change the API
// that its path means. What a chain cannot read is refused whatever the failure
// mode says, since that covers unavailability, never unreadability: 415 for other content types and encodings, upgrades and
// gRPC, 413 above [Options].MaxBody, 503 above [Options].HeldBudget, 400 for
// what is not one JSON object with one meaning (see package llm), and 400 for a
// missing body where the method or the chain needs one. Every refusal has the
// error shape of the client's API (errordialect.go).
//
// Response stages see the complete answers of the model (2xx, JSON, not
// encoded; the request asks for no encoding then). Others are passed on if they
// are errors of the model, and refused with 502 if not. A request for a stream
// is refused with 400 where the profile has response stages.
//
// # Failure
//
// A step that fails, panics or runs out of time ends the request with 500 (504
// for time, or what its [StepError] says), or is skipped where its processor,
// else the profile, else the use of the profile has failureMode: failOpen. The
// settings of an AI backend never fail open. A step with mode: observe is
// recorded and changes nothing.
package extprocsvc
