// Package collect makes one body of a streamed answer, and a stream of one body:
// for those who must see an answer as a whole, and know it in the form in which a
// model gives it without a stream.
//
// [Read] puts the events of an answer together. Whatever they say is in the body:
// pieces of a text are joined, what comes again takes the place of what came
// before, and what an event says beside the answer, in a place that no table knows,
// is in the list of the key [llm.Beside]. Comments are left out, of the events too. An answer that says of one text two different things
// is refused, for nobody could tell which of them a client shows.
//
// [Answer.Stream] makes events of a body: those that the API itself would send, had
// the model said everything at once. An answer that nobody has changed is better
// sent as it came.
//
// Each dialect has a file, with both directions; value.go is JSON that is put
// together, cover.go the proof that nothing was lost.
package collect
