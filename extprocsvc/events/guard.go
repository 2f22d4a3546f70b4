package events

// A Guard looks at one text at a time. It is used by one goroutine.
type Guard interface {
	// Write takes the next piece of the text, which is not empty and may end
	// within a character, and must not be kept.
	Write(piece []byte) Decision
	// Close ends the text, and decides all of it. Only Reset is called then.
	Close() Decision
	// Reset begins a new text.
	Reset()
}

// A Decision is what a guard says after a piece.
type Decision struct {
	// Edits are those that are final now and were not before, in order, without
	// overlaps. Each lies before Safe, and behind the Safe of the decision
	// before. They are read before the next call.
	Edits []Edit
	// Safe is the offset before which nothing will be changed any more, in bytes
	// from the beginning of the text.
	Safe int
	// Stop ends the answer. Nothing is sent that was not decided before.
	Stop bool
}

// An Edit puts a text in place of the bytes from Start to End of a text, which
// are offsets from its beginning, at characters.
type Edit struct {
	Start, End int
	Text       string
}
