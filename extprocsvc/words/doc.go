// Package words cuts text into words, in the form in which processors compare
// them.
//
// A [Scanner] goes over a text once, in time linear in its length, and yields
// one word after the other, folded: in lower case, without accents, with
// compatibility forms (full width, mathematical and circled letters, ligatures)
// replaced by plain ones, without characters that show nothing, and with the
// letters of other scripts that look like Latin ones replaced where a word
// mixes them with Latin letters. Whoever writes a word so that a person or a
// model still reads it is thus likely to be found with it.
//
// Scripts that write without spaces between words (Han, kana, Thai and their
// like), and Hangul, whose words carry endings, yield each character as a word
// of its own. A phrase in them is a sequence of words as it is elsewhere.
package words
