package llm

import (
	"bytes"
	"strings"
)

// The dialects whose events can be read.
var (
	// ChatEvents are the chunks of OpenAI's Chat Completions API,
	// https://platform.openai.com/docs/api-reference/chat-streaming, with what
	// DeepSeek, Mistral, OpenRouter and vLLM add.
	ChatEvents = &EventDialect{"OpenAI Chat Completions"}
	// CompletionEvents are those of OpenAI's Completions API,
	// https://platform.openai.com/docs/api-reference/completions.
	CompletionEvents = &EventDialect{"OpenAI Completions"}
	// ResponseEvents are those of OpenAI's Responses API,
	// https://platform.openai.com/docs/api-reference/responses-streaming.
	ResponseEvents = &EventDialect{"OpenAI Responses"}
	// MessageEvents are those of Anthropic's Messages API,
	// https://docs.claude.com/en/docs/build-with-claude/streaming.
	MessageEvents = &EventDialect{"Anthropic Messages"}
)

// Shapes of one value.
var (
	metaShape   = &eventShape{is: isMeta}
	opaqueShape = &eventShape{is: isOpaque}
	jsonShape   = &eventShape{is: isJSON}
	echoShape   = &eventShape{is: isEcho}
	spokenShape = &eventShape{is: isSpoken}
	firstShape  = &eventShape{is: isNumber0}
	secondShape = &eventShape{is: isNumber1}
	finishShape = &eventShape{is: isFinish}

	sequenceShape = &eventShape{is: isSequence}

	// textShape is a value in which all is text that is complete.
	textShape = wholeShape(isOther)
)

// wholeShape is a value that is complete.
func wholeShape(is *slot) *eventShape { return &eventShape{whole: is} }

// signedShape is the signature of what a model thinks.
var signedShape = shapeKey{"signature", &eventShape{is: isSignature, name: "thinking"}}

func pieceShape(name string) *eventShape     { return &eventShape{is: isPiece, name: name} }
func jsonPieceShape(name string) *eventShape { return &eventShape{is: isPieceOf, name: name} }

// keysOf is a table of keys of one eventShape.
func keysOf(sh *eventShape, keys ...string) (list []shapeKey) {
	for _, k := range keys {
		list = append(list, shapeKey{k, sh})
	}
	return list
}

func joinKeys(lists ...[]shapeKey) (all []shapeKey) {
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

// nameKeys are keys of what identifies or classifies in what grows, wherever it
// lies, and of what is encrypted or says a text again.
var nameKeys = joinKeys(
	keysOf(metaShape, "id", "type", "object", "role", "status", "model", "index", "item_id", "call_id", "response_id", "event_id",
		"obfuscation", "sequence_number"),
	keysOf(opaqueShape, "encrypted_content", "signature"),
	keysOf(echoShape, "logprobs"),
)

// strayShape is a value whose strings are pieces of texts that are told apart by
// their paths.
var strayShape = &eventShape{is: isPiece, keys: nameKeys}

func init() {
	strayShape.other = strayShape
	contentShape.each = contentShape
	contentShape.keys = append(contentShape.keys, shapeKey{"content", contentShape}, shapeKey{"thinking", &eventShape{is: isPiece, name: "thinking", each: &eventShape{
		keys: append(keysOf(pieceShape("thinking"), "text"), nameKeys...), other: strayShape,
	}}})
	// A reader who does not look at the type finds choices in any event.
	for _, e := range eventTypes {
		e.eventShape.keys = append(e.eventShape.keys, chatShape.keys[0])
	}
}

// contentShape is the content of a delta: a string, or a list of parts.
var contentShape = &eventShape{is: isPiece, name: "content", keys: append(keysOf(pieceShape("content"), "text"), nameKeys...), other: strayShape}

// chatShape is the eventShape of every event without a type.
var chatShape = &eventShape{
	keys: joinKeys([]shapeKey{
		{"choices", &eventShape{slot: 1, each: &eventShape{other: textShape, keys: joinKeys(keysOf(echoShape, strings.Fields(derivedTokens)...), keysOf(metaShape, "native_finish_reason", "stop_reason", "matched_stop", "content_filter_results"), []shapeKey{
			{"index", firstShape},
			{"delta", &eventShape{dialect: ChatEvents, other: strayShape, keys: joinKeys(nameKeys, []shapeKey{
				{"content", contentShape},
				{"refusal", pieceShape("refusal")},
				{"reasoning", pieceShape("reasoning")},
				{"reasoning_content", pieceShape("reasoning_content")},
				{"tool_calls", &eventShape{slot: 2, other: strayShape, each: &eventShape{other: strayShape, keys: joinKeys([]shapeKey{
					{"index", secondShape},
					{"function", &eventShape{other: strayShape, keys: []shapeKey{{"name", wholeShape(isName)}, {"arguments", jsonPieceShape("arguments")}}}},
					{"custom", &eventShape{other: strayShape, keys: []shapeKey{{"name", wholeShape(isName)}, {"input", pieceShape("input")}}}},
				}, nameKeys)}}},
				{"function_call", &eventShape{other: strayShape, keys: []shapeKey{{"name", wholeShape(isName)}, {"arguments", jsonPieceShape("function_call")}}}},
				{"audio", &eventShape{other: strayShape, keys: []shapeKey{
					{"id", metaShape}, {"expires_at", metaShape}, {"data", spokenShape}, {"transcript", pieceShape("transcript")},
				}}},
				{"annotations", wholeShape(isAnnotations)},
			})}},
			{"text", &eventShape{dialect: CompletionEvents, is: isPiece, name: "text"}},
			{"message", wholeShape(&slot{kind: Content, object: chatMessageObject})},
			{"logprobs", echoShape},
			{"finish_reason", finishShape},
		})}}},
		{"error", textShape},
		// An event whose type is told by its name alone.
		{"delta", strayShape}, {"index", firstShape},
	}, keysOf(metaShape, append(strings.Fields(openAIResult), "obfuscation", "p")...)),
	other: textShape,
}

// What the parts and items of a response look like while they grow, and when
// they are done.
var (
	partAddedShape = &eventShape{table: responsePart, keys: keysOf(pieceShape("part"), "text", "refusal")}
	partDoneShape  = wholeShape(&slot{kind: Content, object: responsePart})
	sumAddedShape  = &eventShape{table: summaryPart, keys: keysOf(pieceShape("summary"), "text")}
	itemAddedShape = &eventShape{table: itemObject, keys: []shapeKey{
		{"content", &eventShape{slot: 2, each: partAddedShape}},
		{"summary", &eventShape{slot: 2, each: sumAddedShape}},
		{"arguments", jsonPieceShape("arguments")},
		{"input", pieceShape("input")},
		{"code", pieceShape("code")},
	}}
	itemDoneShape = wholeShape(&slot{kind: Content, object: itemObject})
	// responseShape is the whole of it, settings of the request included.
	responseShape = wholeShape(&slot{object: &object{rest: isOther, fields: responseFields(&slot{kind: Content, list: &slot{kind: Content, object: itemObject}})}})
)

// An eventType is a type of events.
type eventType struct {
	dialect    *EventDialect
	eventShape *eventShape
	ends       *Ending
}

// ofResponse is a type of events of a response, with its own keys.
func ofResponse(ends *Ending, keys ...shapeKey) *eventType {
	return &eventType{ResponseEvents, &eventShape{other: strayShape, keys: joinKeys([]shapeKey{{"sequence_number", sequenceShape}}, nameKeys, keys, []shapeKey{
		{"output_index", firstShape}, {"content_index", secondShape}, {"summary_index", secondShape}, {"annotation_index", metaShape},
	})}, ends}
}

// growsType and doneType are the two types of a text of a response: its pieces, and
// all of it again.
func growsType(sh *eventShape) *eventType { return ofResponse(nil, shapeKey{"delta", sh}) }
func doneType(name string, all *eventShape) *eventType {
	e := ofResponse(&Ending{Key: TextKey{Name: name}}, keysOf(all, "text", "refusal", "arguments", "input", "code", "transcript", "name")...)
	return e
}

func progressType(ends *Ending) *eventType {
	return ofResponse(ends, shapeKey{"response", responseShape})
}

func ofMessage(ends *Ending, keys ...shapeKey) *eventType {
	return &eventType{MessageEvents, &eventShape{other: strayShape, keys: append(keysOf(metaShape, "type"), keys...)}, ends}
}

var endsAll = &Ending{Everything: true}

// eventTypes are the types of Responses and of Messages, and those that both
// have.
var eventTypes = map[string]*eventType{
	"response.queued":      progressType(nil),
	"response.created":     progressType(nil),
	"response.in_progress": progressType(nil),
	"response.completed":   progressType(endsAll),
	"response.incomplete":  progressType(endsAll),
	"response.failed":      progressType(endsAll),

	"response.output_item.added":            ofResponse(nil, shapeKey{"item", itemAddedShape}),
	"response.output_item.done":             ofResponse(&Ending{All: true}, shapeKey{"item", itemDoneShape}),
	"response.content_part.added":           ofResponse(nil, shapeKey{"part", partAddedShape}),
	"response.content_part.done":            ofResponse(&Ending{Key: TextKey{Name: "part"}}, shapeKey{"part", partDoneShape}),
	"response.reasoning_summary_part.added": ofResponse(nil, shapeKey{"part", sumAddedShape}),
	"response.reasoning_summary_part.done":  ofResponse(&Ending{Key: TextKey{Name: "summary"}}, shapeKey{"part", partDoneShape}),

	"response.output_text.delta":                growsType(pieceShape("part")),
	"response.output_text.done":                 doneType("part", textShape),
	"response.output_text.annotation.added":     ofResponse(nil, shapeKey{"annotation", wholeShape(&slot{kind: Other, object: annotation})}),
	"response.refusal.delta":                    growsType(pieceShape("part")),
	"response.refusal.done":                     doneType("part", textShape),
	"response.reasoning_text.delta":             growsType(pieceShape("part")),
	"response.reasoning_text.done":              doneType("part", textShape),
	"response.reasoning_summary_text.delta":     growsType(pieceShape("summary")),
	"response.reasoning_summary_text.done":      doneType("summary", textShape),
	"response.function_call_arguments.delta":    growsType(jsonPieceShape("arguments")),
	"response.function_call_arguments.done":     doneType("arguments", jsonShape),
	"response.mcp_call_arguments.delta":         growsType(jsonPieceShape("arguments")),
	"response.mcp_call_arguments.done":          doneType("arguments", jsonShape),
	"response.custom_tool_call_input.delta":     growsType(pieceShape("input")),
	"response.custom_tool_call_input.done":      doneType("input", textShape),
	"response.code_interpreter_call_code.delta": growsType(pieceShape("code")),
	"response.code_interpreter_call_code.done":  doneType("code", textShape),
	"response.audio.delta":                      growsType(spokenShape),
	"response.audio.transcript.delta":           growsType(pieceShape("transcript")),
	"response.audio.transcript.done":            doneType("transcript", textShape),
	"response.image_generation_call.partial_image": ofResponse(nil, append(keysOf(opaqueShape, "partial_image_b64"),
		keysOf(metaShape, "size", "quality", "background", "output_format", "partial_image_index")...)...),

	"message_start": ofMessage(nil, shapeKey{"message", wholeShape(&slot{kind: Content, object: AnthropicMessage.top})}),
	"content_block_start": ofMessage(nil, shapeKey{"index", firstShape}, shapeKey{"content_block", &eventShape{table: blocks(Content).object, keys: []shapeKey{
		signedShape, {"text", pieceShape("text")}, {"thinking", pieceShape("thinking")},
	}}}),
	"content_block_delta": ofMessage(nil, shapeKey{"index", firstShape}, shapeKey{"delta", &eventShape{other: strayShape, keys: joinKeys([]shapeKey{
		signedShape, {"text", pieceShape("text")}, {"thinking", pieceShape("thinking")}, {"partial_json", jsonPieceShape("json")},
		{"citation", wholeShape(&slot{kind: Other, object: citation})},
	}, nameKeys)}}),
	"content_block_stop": ofMessage(&Ending{All: true}, shapeKey{"index", firstShape}),
	"message_delta": ofMessage(nil, shapeKey{"delta", &eventShape{table: AnthropicMessage.top}}, shapeKey{"usage", metaShape},
		shapeKey{"context_management", metaShape}),
	"message_stop": ofMessage(endsAll),

	"ping":  {nil, &eventShape{other: strayShape, keys: keysOf(metaShape, "type")}, nil},
	"error": {nil, &eventShape{other: strayShape, keys: append(keysOf(textShape, "error", "message", "code", "param"), nameKeys...)}, nil},
}

// unknownType is the type of an event that no table knows. By what OpenAI
// calls its events, what is done says a text again; every other string may go
// on in the next event.
func unknownType(name []byte) *eventType {
	switch {
	case !bytes.HasPrefix(name, []byte("response.")):
		return &eventType{nil, &eventShape{other: strayShape, keys: joinKeys(nameKeys, []shapeKey{
			{"index", firstShape}, {"choices", chatShape.keys[0].eventShape},
		})}, nil}
	case bytes.HasSuffix(name, []byte(".delta")):
		return unknownDeltaType
	case bytes.HasSuffix(name, []byte(".done")):
		return unknownDoneType
	}
	return unknownDeltaType
}

var (
	unknownDeltaType = ofResponse(nil)
	unknownDoneType  = func() *eventType {
		e := ofResponse(nil)
		e.eventShape.other = textShape
		return e
	}()
)
