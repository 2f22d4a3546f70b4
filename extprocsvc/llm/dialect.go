package llm

import (
	"bytes"
	"slices"
)

// Dialect tells where the interesting parts of an API's bodies lie.
type Dialect struct {
	// Name is the API's name, for people.
	Name string

	// top is the body.
	top *object
	// needs is the key without which a body is not one of this API, or one of
	// them.
	needs string
	is    evidence
	// any tells that every object is such a body.
	any bool
	// list is the key of the list of messages or choices, model that of the
	// model's name; both may be empty.
	list, model string
	// single tells that the body is one message, with the index 0.
	single bool
	// rules is where rules of the operator go.
	rules place
	// answer is the dialect of the whole responses.
	answer *Dialect
}

// Unread is for bodies of APIs that have no table yet. Only their fields can be
// changed, and [Doc.Messages] is never nil.
var Unread = &Dialect{
	Name: "an API that cannot be read", model: "model",
	top:    &object{fields: slices.Concat(fields(isModel, "model"), fields(isStream, "stream")), rest: isOther},
	answer: &Dialect{Name: "an API that cannot be read", top: &object{rest: isOther}},
}

// Answer is the dialect of what the API answers when it does not stream. It is
// nil for a dialect of responses.
func (d *Dialect) Answer() *Dialect { return d.answer }

// Beside is the key, in a body that was made of a stream, of what its events said
// beside the answer, in places that no table knows: a list of texts. No API has
// it; see package collect.
const Beside = "beside"

// A place is where rules of the operator go in a request.
type place uint8

const (
	nowhere       place = iota // there is no place for them
	unheeded                   // no model that follows rules reads the request: they are left out
	chatMessages               // messages of the role system before the others
	systemBlocks               // blocks of the field system
	responseItems              // items of the role system before the others
)

// A slot says what a value of a body means. What a slot does not expect is
// read as text all the same, or makes the body unreadable: see odd.
type slot struct {
	// as is what a string means, and kind is that of the texts in the value.
	as   meaning
	kind Kind
	// numbers tells that numbers are texts too, and part that a string is a part of
	// a content.
	numbers, part bool
	// odd, if it is set, says what is wrong with a body that has a value of
	// another type here, other than null where that is allowed; %s is the place
	// in it. If it is not set, everything in such a value is text.
	odd  string
	null bool
	// object is what an object is, and list what the elements of a list are.
	object *object
	list   *slot
	// messages tells that the elements of the list are messages, or choices.
	messages bool
}

// meaning is what the scanner does with a string.
type meaning uint8

const (
	asText       meaning = iota // a text
	asIdentifier                // a text only if it does not look like an identifier
	asType                      // likewise, and tells the type of the object
	asRole                      // the role of the message: a text only if it is not a known one
	asAttachment                // a text unless it is a data URL
	asEncoded                   // a text unless the type of the object says that it is encoded data
	asArguments                 // JSON in a string, whose strings, keys and numbers are the texts

	asOpaque    // encoded data: no text
	asSignature // the same, of the texts of the object
	asSound     // the same, which says the message's texts: gone when they are changed
	asOdd       // of a type that is not expected

	// The others are of values of any type, which hold no text.

	asDerived // made of the message's texts: gone when they are changed
	asModel   // the model, usually a string
	asStream  // whether the answer is to be a stream
)

// An object lists the keys with a meaning.
type object struct {
	fields []field
	// rest is what the values of other keys are, and the keys themselves.
	rest *slot
	// lax objects may have a key twice, or in several spellings: what is in
	// them is text whatever its key.
	lax bool
	// message tells that the object's role is that of the texts in it.
	message bool
	// types are the kinds of the contents in it, by the type of the object.
	types map[string]Kind
}

type field struct {
	key []byte
	is  *slot
}

// fields lists keys, separated by spaces, whose values have one slot.
func fields(is *slot, keys string) (list []field) {
	for key := range bytes.FieldsSeq([]byte(keys)) {
		list = append(list, field{bytes.Clone(key), is})
	}
	return list
}

// objectOf makes an object of lists of fields, whose other keys are text.
func objectOf(lists ...[]field) *object {
	return &object{fields: slices.Concat(lists...), rest: anything(Other)}
}

// The slots that are alike in all dialects.

// anything is the slot of an unknown value: all there is in it is text.
func anything(kind Kind) *slot { return unknown[kind] }

var unknown = func() (all [kinds]*slot) {
	for kind := range all {
		s := &slot{kind: Kind(kind), numbers: true}
		s.list, s.object = s, &object{rest: s, lax: true}
		all[kind] = s
	}
	return all
}()

// setting is the slot of what says how to answer, not what to: identifiers,
// numbers and switches. A string in it that looks like something else is a text.
var isSetting = func() *slot {
	s := &slot{as: asIdentifier, kind: Other}
	s.list, s.object = s, &object{rest: s, lax: true}
	return s
}()

// schema is the slot of a JSON Schema. The words of JSON Schema are no texts,
// the names of properties are.
var isSchema = func() *slot {
	s := &slot{kind: ToolDescription, numbers: true}
	s.list = s
	s.object = &object{lax: true, rest: s, fields: slices.Concat(
		fields(isSetting, "type $ref $schema $id format"),
		fields(s, `properties items required additionalProperties enum const description title default examples
			anyOf oneOf allOf not $defs definitions prefixItems patternProperties propertyNames
			minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minLength maxLength minItems maxItems uniqueItems
			minProperties maxProperties nullable strict pattern`),
	)}
	return s
}()

// tools is the slot of the description of a tool, or of a format of answers,
// or of a list of them, in all dialects.
var isTools = func() *slot {
	s := &slot{kind: ToolDescription}
	s.list = s
	s.object = &object{rest: anything(ToolDescription), fields: slices.Concat(
		fields(isSetting, "type strict cache_control syntax"),
		fields(anything(ToolDescription), "description definition server_description"),
		fields(anything(Name), "name"),
		fields(isSchema, "parameters input_schema schema"),
		fields(s, "function custom json_schema format grammar"),
	)}
	return s
}()

var (
	isModel   = &slot{as: asModel}
	isStream  = &slot{as: asStream}
	isHidden  = &slot{as: asOpaque, list: isSetting, object: isSetting.object}
	isSigned  = &slot{as: asSignature, list: isSetting, object: isSetting.object}
	isSound   = &slot{as: asSound, list: isSetting, object: isSetting.object}
	isDerived = &slot{as: asDerived}
	isType    = &slot{as: asType, kind: Other}
	isName    = anything(Name)
	isOther   = anything(Other)
	isCall    = &slot{as: asArguments, kind: Arguments}
	isLink    = &slot{as: asAttachment, kind: Other}
)

// words is a text that must be one, if it is not null.
func words(kind Kind) *slot {
	return &slot{kind: kind, null: true, part: true, odd: "text of %s is of a type that is not supported"}
}

// roleOf is the role of a message.
var roleOf = &slot{as: asRole, kind: Other, null: true, odd: "%s has a role that is not a string"}

// contentOf is text, or a list of texts and parts.
func contentOf(kind Kind, part *object) *slot {
	return &slot{
		kind: kind, null: true, odd: "content of %s is of a type that is not supported",
		list: &slot{kind: kind, object: part, part: true, odd: "a part of the content of %s is of a type that is not supported"},
	}
}

// listOf is a list of messages, or of choices.
func listOf(key string, element *object) *slot {
	return &slot{
		as: asOdd, odd: key + " is not a list", messages: true,
		list: &slot{as: asOdd, odd: "%s is not an object", object: element},
	}
}

// textsOf is a text or a list of texts, as a model is asked for without a chat.
func textsOf(key string) *slot {
	odd := key + " is of a type that is not supported"
	return &slot{odd: odd, messages: true, list: &slot{odd: odd}}
}

// source is where an attachment comes from, in Anthropic's words.
func source(content *slot) *object {
	return &object{
		fields: slices.Concat(
			fields(isType, "type"), fields(isSetting, "media_type file_id"),
			fields(&slot{as: asEncoded, kind: Other}, "data"), fields(isLink, "url"), fields(content, "content"),
		),
		rest: isOther, types: map[string]Kind{"base64": unread},
	}
}
