// Package llm reads and edits the JSON bodies of model APIs as bytes, not as
// structs.
//
// [Doc.Scan] walks a body once. It checks that the body is JSON in full (RFC
// 8259, valid UTF-8, bounded depth, nothing behind the value) and notes where
// the parts lie that a gateway cares about: the model's name, the list of
// messages and every [Text], wherever in the body. Only JSON in strings, such as
// arguments of tools, is copied and, with a Doc that is used again, nearly
// nothing is allocated. README.md says what counts as text.
//
// An [Edit] is a splice. All bytes that no edit touches are sent on as they
// came: order of keys, white space, escapes and the digits of big numbers.
// [Settings] are what an operator wants of every body; where they change more
// than the model, the body is put together anew of what came and what is added.
//
// What a body means to its next reader must be what it means to us. So a body
// is refused if an object that holds something we look at has a key twice
// (readers differ on which one counts), or has a key that differs from one we
// look at in case only (some readers, encoding/json among them, take it for
// the same key). Keys are compared after their escapes are resolved.
//
// Where those parts lie is a [Dialect]: a table, so that another API is another
// table. dialect.go has what is alike in all of them, openai.go and anthropic.go
// the tables; scan.go reads, text.go and edit.go are what was found and how it
// is changed, change.go how texts are, settings.go what an operator wants of
// every body.
//
// Of answers that come as a stream, a [Splitter] makes events, and an
// [EventReader] finds the texts in them. Its tables know what is text and what
// is not; what they do not know is text.
package llm
