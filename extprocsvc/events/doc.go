// Package events passes a streamed answer of a model on, event by event, while
// guards look at its texts and change or stop them. It knows server-sent events
// and the dialects of package llm, not where they come from nor what a guard
// looks for.
//
// A text of an answer goes through many events. A [Guard] gets it piece by
// piece and says how much of it is decided: what is not may still become part
// of something that it will change. A [Flow] sends an event as soon as every
// piece of text in it is decided and all events before it were sent, so events
// keep their order, finish events wait behind held ones, and where a guard holds
// nothing nothing waits. What a guard replaces appears in the event where it
// began; the bytes replaced vanish from that and the following ones. Text never
// moves from one event to another, and every byte of an event that is not part
// of a change is sent as it came.
//
// # Texts
//
// Each choice, block, part and tool call is a text of its own. What an event
// says again, such as a whole text when it is done, is guarded as a text of its
// own too; since guards find the same in a text whatever its pieces, it comes
// out as its pieces did. Arguments of tool calls are JSON in pieces: guards see
// each string in them without its escapes as a text, and each number, and a
// number that was changed becomes a string; what is no JSON is one text as it
// stands.
//
// # When a text ends
//
// A text ends when the dialect says so, or the stream ends, or when another text
// of the same choice goes on while bytes of this one are held: a model that has
// begun to answer is not kept waiting for the end of its reasoning. Should a
// text go on after that in a way that a guard would have changed it across the
// end, the stream is stopped: see [ErrResumed].
//
// # Bounds
//
// The events that are held, and the one that is not complete, are bounded by
// [Config].MaxHeld together, the open texts by [MaxTexts].
package events
