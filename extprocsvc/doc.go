// Package extprocsvc is Attaché's ext_proc service: for every request that
// Envoy shows us it runs a chain of processors, in the model of F5 AI Gateway.
//
// [Build] turns a configuration into [Chains]. It has no effects.
// [Server.Install] puts them in force; it cannot fail. Envoy names the chain of
// a request in the gRPC metadata [MetadataKey].
//
// The package has four layers, one on top of the other:
//
//   - kind.go, request.go: what a processor is. Processors live in
//     processors/<kind> and register themselves; check.go asks those that
//     depend on something outside whether they can work;
//   - build.go, chain.go, pick.go, choose.go, api.go, ai.go, run.go: the chain. It
//     picks a profile by the headers, runs the stages of it whose selector holds
//     over the tags gathered so far, chooses a service, and with it the backend, and
//     applies the backend's AI settings and guards (promptguard.go, webhook.go). The
//     engine, not the processor, enforces rights and deadlines; the first rejection
//     in step order wins;
//   - textguard.go, guarding.go, streaming.go: the same for answers that come as
//     a stream, on top of package events; collecting.go for those that have to be
//     complete first, on top of package collect;
//   - head.go, stream.go, response.go, reply.go, length.go, server.go: the
//     conversation with Envoy, in every body mode; alone.go: the same with an Envoy
//     that somebody else has configured; record.go, metadata.go and ring.go: the
//     account of what was decided.
//
// # What a chain is shown
//
// A chain that reads bodies sees JSON and nothing else, by the table of the API
// that the backend or the path tells, else the body (api.go); but a request that no
// profile looks at passes unread where the settings of no backend change the API
// that its path means. What a chain cannot read is refused whatever the failure
// mode says, since that covers unavailability, never unreadability: 415 for other
// content types, unknown encodings, upgrades and gRPC, 413 above [Options].MaxBody, 503 above [Options].HeldBudget, 400 for
// what is not one JSON object with one meaning (see package llm), and 400 for a
// missing body where the method or the chain needs one. Every refusal has the
// error shape of the client's API (errordialect.go). Where the file says
// unreadable: pass, it passes unguarded instead, which the record tells
// (unread.go).
//
// Bodies with an encoding that package inflate knows are decoded, within the limits
// of what they become, and sent on without it.
//
// Response stages see the complete answers of the model (2xx, JSON or a stream of
// events; the request asks for no encoding then). Others are passed on if they
// are errors of the model, and refused with 502 if not.
//
// A streamed answer (text/event-stream) goes through the response steps while it
// comes if all of them are [StreamProcessor]s, no stage has a selector behind a step
// that may add tags, and the response mode is full duplex; whether the request
// asked for a stream or not. Each event leaves as soon as nothing in it can be
// changed any more, at once where no step holds anything. An event that cannot be
// read, a rejection and a failure end the answer with an error event, since its
// status has left; nothing is sent that was not decided. What is held of an answer
// is bounded by [Options].MaxBody.
//
// Other streamed answers are collected, up to [Options].MaxBody and the timeout of
// the route, or else [Options].CollectTimeout: the steps see the body that the API would have answered
// without a stream, and the client gets the events that came, without comments, or
// events that are made of the changed body. Until then nothing is sent.
//
// # Failure
//
// A step that fails, panics or runs out of time ends the request with 500 (504
// for time, or what its [StepError] says), or is skipped where its processor,
// else the profile, else the use of the profile has failureMode: failOpen. The
// settings of an AI backend never fail open. A step with mode: observe is
// recorded and changes nothing.
package extprocsvc
