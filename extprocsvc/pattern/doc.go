// Package pattern finds the matches of a set of regular expressions in a text
// that comes in one piece or in pieces, and says at any time how much of the
// text can be let go.
//
//	set, err := pattern.Compile([]pattern.Pattern{{Name: "ssn", Expr: `\b\d{3}-\d{2}-\d{4}\b`}})
//	...
//	st := set.NewStream()
//	for piece := range pieces {
//		for _, m := range st.Write(piece) {
//			// hide the bytes from m.Start to m.End of the text
//		}
//		// send what is before st.Safe()
//	}
//	// the same for st.Close(), and send the rest
//
// It knows bytes and expressions, not what the text is nor what is done with a
// match.
//
// # What is a match
//
// The matches of one pattern are those of FindAllIndex of package regexp for
// its expression: the leftmost one, by Perl's preferences (a|ab finds a), and
// then on from its end. Assertions see the whole text: \b and (?m:^) look at
// the character before even if that is part of another match or of an earlier
// piece, ^ and $ are the beginning and the end of the text, not of a piece.
// Bytes that are not UTF-8 are U+FFFD each. Empty matches are not reported, and
// where the empty match is the preferred one, nothing is found (`|a` finds
// nothing and is refused).
//
// If the pattern has a Valid, a match counts only if Valid says so. Else the
// search goes on as if the expression had failed there: first with the other
// ends of a match with the same beginning, in the order of preference, then
// with the next beginning. So `\d{13,19}` with Luhn's checksum finds a card
// number of 16 digits with a group of three behind it, and one that begins
// within what was no card number. Of what is less preferred than the empty
// match nothing is tried. Since all ends of all beginnings may have to be
// checked, such an expression must bound its matches, to [MaxValid].
//
// The matches of a set are those of its patterns, made free of overlaps: in
// the order of their beginnings, of one beginning the longest first, of one
// span the first pattern first, each match is reported with the bytes that none
// before it has. That is always the rest of a match, or nothing, and then it is
// not reported. So the spans together are exactly the bytes of all matches: a
// mask that hides the spans leaves no byte of any match to be seen. A pattern
// of whose matches each must be known, since something else is done with it
// than with the others, belongs in a set of its own.
//
// # Pieces
//
// The matches that Write and Close return do not depend on how the text was
// divided, be it within a sequence of UTF-8. A match is returned as soon as
// nothing that may follow can change it or put another before it.
//
// [Stream.Safe] is the offset before which every byte is decided. Bytes behind
// it are held: something may follow with which they are part of a match that
// was not returned. That is so from the first beginning that may still lead to
// a match; where there is none, nothing is held. A longer match that is
// preferred, or an assertion about the next character, keep a match open in the
// same way, and nothing else does. (An expression can hide that it leaves no
// choice, as in `a(?:\b|\B)` or `a(?:\b\B|)*`; then a byte is held for one
// character too long. So is a match in front of the bytes of a sequence of UTF-8
// that is not complete. For a Valid, everything is possible that the expression
// allows.)
//
// # Bounds
//
// [Set.Hold] says how many bytes may have to be held: the length of the longest
// match. Where there is none, as for `a.*b`, MaxMatch sets a bound. There are
// two ways to bound, and they differ in what becomes of longer texts:
//
//   - `a.{0,80}b` is another expression. A longer text is no match, and passes.
//   - MaxMatch keeps the expression and bounds what is held. What has grown
//     longer and is not decided is taken for a match, since a guard must not
//     let pass what may be part of one: from its beginning up to where the
//     expression fails or ends, it is reported in spans of at most MaxMatch
//     bytes, each as long as whole characters allow, with Over set. Meanwhile
//     the pattern looks for nothing else. So `key=\S+` with a MaxMatch of 100
//     hides a value of any length, and so does a private key's header with
//     `[^-]*` and a footer, though its footer was never seen; `a.*b` hides the
//     rest of the line, if that is longer, whether or not a b is there. Whole
//     texts are treated like streams.
//
// # How
//
// There are two kinds of automata, built as texts need them, whose alphabet is
// the classes of characters that no expression tells apart.
//
// The rough one is for all patterns together. It follows a text with one load
// for each byte, in four places at once if the text is long, and says where no
// pattern has anything to look at, and where one may have matched. It knows no
// beginnings and no preferences and counts no long repetitions, so its states
// are few.
//
// Only where it says so, and at the end of a piece for what is alive there, the
// exact automaton of a pattern runs from the last place where there was
// nothing; see exact. Each byte is read once by either, whatever the
// expressions: there is no backtracking and no search that begins again. States
// are kept up to a bound and then forgotten; a text that always needs new ones
// costs a computation of a state for each byte, which is slow, but no more than
// in proportion to its length and the size of the expressions.
//
// A stream keeps no text but what a Valid may be asked about, at most
// [MaxValid] bytes, and the beginning of a character; and of each pattern the
// open beginnings, at most one for each instruction (with a Valid, for each
// byte of its longest match), and the matches that are not final, all of which
// lie in what is held.
package pattern
