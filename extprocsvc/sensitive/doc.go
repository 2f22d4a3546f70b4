// Package sensitive knows what personal data and secrets look like, finds them
// in texts that come whole or in pieces, and says what to put in their place.
//
// [Matchers] is the table of what can be found by name: an expression for each,
// for many of them a check (a checksum, the codes of countries), and the label
// of a mask. [Compile] makes a [Finder] of some of them and of expressions of
// the user's own, each with an [Action]. [Finder.Find] reads a whole text, a
// [Scan] one that comes in pieces.
//
// # What is hidden
//
// Matches of one expression are those of package pattern. An expression that
// needs a context, such as the word passport before a number, matches the
// context as well, but only the core of the match counts: the number. Others do
// not count behind some words, such as four numbers with dots behind version; there
// is no need to hold a text for those, since it has left already. What is
// hidden are the bytes of all cores, in the order of their beginnings; of two
// that overlap, the first is hidden whole and of the second the rest, and one
// inside another is not reported. So that no core is covered by a context, and
// no match that rejects by one that is only masked, these have sets of their
// own.
//
// Nothing here knows JSON, requests, or models.
package sensitive
