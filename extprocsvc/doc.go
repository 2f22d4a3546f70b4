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
//     processors/<kind> and register themselves;
//   - build.go, chain.go, run.go, record.go: the chain. Stages run in order, if
//     their selector holds over the tags gathered so far; the steps of a stage
//     run one after another or side by side; the engine, not the processor,
//     enforces rights and deadlines; the first rejection in step order wins;
//   - head.go, stream.go, reply.go, length.go, server.go: the conversation with
//     Envoy, in every body mode.
//
// # What a chain is shown
//
// A chain that reads bodies sees JSON and nothing else. What it cannot read is
// refused whatever the failure mode says, since that covers unavailability,
// never unreadability: 415 for other content types and encodings, upgrades and
// gRPC, 413 above [Options].MaxBody, 503 above [Options].HeldBudget, 400 for
// what is not one JSON object with one meaning (see package llm), and 400 for a
// missing body where the method or the chain needs one. Every refusal has
// OpenAI's error shape.
//
// # Failure
//
// A step that fails, panics or runs out of time ends the request with 500 (504
// for time), or is skipped where the profile is used with failureMode:
// failOpen. The settings of an AI backend never fail open.
package extprocsvc
