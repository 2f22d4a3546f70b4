package extprocsvc

import (
	"context"

	"github.com/attache-dev/attache/extprocsvc/events"
)

// StreamProcessor is a [ResponseProcessor] that can also work on answers that
// come as a stream of events, while they come. It does so if all response steps of
// the chain can, and none is chosen by tags that an earlier one may add; else it
// sees the whole, like others.
type StreamProcessor interface {
	// ProcessStream begins the work on one answer. r has no Completion, and is
	// valid during the call only. Its tags are those of the request.
	ProcessStream(ctx context.Context, r *Response) (StreamGuard, error)
	// Hold is how many bytes of a text it may have to hold before it can decide,
	// and false for no bound: such a step is refused when the file is loaded.
	Hold() (bytes int, bounded bool)
}

// StreamGuard is the work of a step on one answer. It is used by one goroutine.
type StreamGuard interface {
	// Text returns a guard for one text of the answer. The answer says some
	// texts again as a whole: what is found in a text must not depend on where
	// it was cut.
	Text() TextGuard
}

// TextGuard looks at one text at a time, as it comes in pieces. It must be
// quick: the answer waits for it, and it has no deadline.
type TextGuard interface {
	// Write takes the next piece of the text, which is not empty, may end
	// within a character, and must not be kept.
	Write(piece []byte) TextResult
	// Close ends the text, and decides all of it. Only Reset is called then.
	Close() TextResult
	// Reset begins a new text.
	Reset()
}

// TextResult is what a step says about a text so far. What it read before is
// valid until the next call.
type TextResult struct {
	// Tags are added to those of the request.
	Tags []string
	// Edits are those that are final now and were not before, in order, behind
	// what was safe before and not beyond Safe.
	Edits []TextEdit
	// Safe is the offset in the text before which nothing will be changed or
	// rejected any more.
	Safe int
	// Rejection ends the answer. Nothing is sent that was not safe before.
	Rejection *Rejection
}

// TextEdit puts a text in place of the bytes from Start to End of a text.
type TextEdit = events.Edit
