package llm

import "bytes"

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
	jsonShape   = &eventShape{is: isJSON}
	echoShape   = &eventShape{is: isEcho}
	spokenShape = &eventShape{is: isSpoken}
	firstShape  = &eventShape{is: isNumber0}
	secondShape = &eventShape{is: isNumber1}
	finishShape = &eventShape{is: isFinish}

	sequenceShape = &eventShape{is: isSequence}
)

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

// nameKeys are keys of what identifies or classifies, wherever it lies.
var nameKeys = joinKeys(
	keysOf(metaShape, "id", "type", "object", "role", "status", "model", "item_id", "call_id", "response_id", "event_id",
		"encrypted_content", "signature", "obfuscation", "sequence_number"),
	keysOf(echoShape, "logprobs"),
)

// textShape is a value whose strings are complete texts, and strayShape one
// whose strings are pieces of texts that are told apart by their paths.
var (
	textShape  = &eventShape{keys: nameKeys}
	strayShape = &eventShape{is: isPiece, keys: nameKeys}
)

func init() {
	textShape.other, strayShape.other = textShape, strayShape
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
	keys: []shapeKey{
		{"choices", &eventShape{slot: 1, each: &eventShape{other: textShape, keys: []shapeKey{
			{"index", firstShape},
			{"delta", &eventShape{dialect: ChatEvents, other: strayShape, keys: joinKeys(nameKeys, []shapeKey{
				{"content", contentShape},
				{"refusal", pieceShape("refusal")},
				{"reasoning", pieceShape("reasoning")},
				{"reasoning_content", pieceShape("reasoning_content")},
				{"tool_calls", &eventShape{slot: 2, other: strayShape, each: &eventShape{other: strayShape, keys: joinKeys(nameKeys, []shapeKey{
					{"index", secondShape},
					{"function", &eventShape{other: strayShape, keys: []shapeKey{{"name", textShape}, {"arguments", jsonPieceShape("arguments")}}}},
					{"custom", &eventShape{other: strayShape, keys: []shapeKey{{"name", textShape}, {"input", pieceShape("input")}}}},
				})}}},
				{"function_call", &eventShape{other: strayShape, keys: []shapeKey{{"name", textShape}, {"arguments", jsonPieceShape("function_call")}}}},
				{"audio", &eventShape{other: strayShape, keys: []shapeKey{
					{"id", metaShape}, {"expires_at", metaShape}, {"data", spokenShape}, {"transcript", pieceShape("transcript")},
				}}},
				{"annotations", textShape},
			})}},
			{"text", &eventShape{dialect: CompletionEvents, is: isPiece, name: "text"}},
			{"message", itemDoneShape},
			{"logprobs", echoShape},
			{"finish_reason", finishShape},
			{"native_finish_reason", metaShape},
			{"content_filter_results", metaShape},
		}}}},
		{"id", metaShape}, {"object", metaShape}, {"created", metaShape}, {"model", metaShape}, {"provider", metaShape},
		{"system_fingerprint", metaShape}, {"service_tier", metaShape}, {"usage", metaShape}, {"obfuscation", metaShape}, {"p", metaShape},
		{"prompt_filter_results", metaShape},
	},
	other: textShape,
}

// What the parts and items of a response look like while they grow, and when
// they are done.
var (
	partAddedShape = &eventShape{other: textShape, keys: joinKeys(nameKeys, []shapeKey{
		{"text", pieceShape("part")}, {"refusal", pieceShape("part")},
	})}
	itemAddedShape = &eventShape{other: textShape, keys: joinKeys(nameKeys, []shapeKey{
		{"content", &eventShape{slot: 2, each: partAddedShape}},
		{"summary", &eventShape{slot: 2, each: &eventShape{other: textShape, keys: []shapeKey{{"type", metaShape}, {"text", pieceShape("summary")}}}}},
		{"arguments", jsonPieceShape("arguments")},
		{"input", pieceShape("input")},
		{"code", pieceShape("code")},
		{"result", metaShape}, // an image
	})}
	itemDoneShape = &eventShape{other: textShape, keys: joinKeys(nameKeys, []shapeKey{
		{"arguments", jsonShape},
		{"tool_calls", &eventShape{each: &eventShape{other: textShape, keys: joinKeys(nameKeys, []shapeKey{
			{"function", &eventShape{other: textShape, keys: []shapeKey{{"arguments", jsonShape}}}},
		})}}},
		{"audio", &eventShape{other: textShape, keys: []shapeKey{{"id", metaShape}, {"data", spokenShape}}}},
		{"result", metaShape},
	})}
	// responseShape is the whole of it. It repeats settings of the request, which are
	// not the model's words.
	responseShape = &eventShape{other: textShape, keys: joinKeys(nameKeys, []shapeKey{
		{"output", &eventShape{each: itemDoneShape}},
		{"usage", metaShape}, {"instructions", metaShape}, {"tools", metaShape}, {"tool_choice", metaShape}, {"metadata", metaShape}, {"text", metaShape},
		{"reasoning", metaShape}, {"prompt", metaShape}, {"user", metaShape}, {"safety_identifier", metaShape}, {"prompt_cache_key", metaShape},
		{"previous_response_id", metaShape}, {"conversation", metaShape}, {"service_tier", metaShape}, {"truncation", metaShape},
	})}
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
		{"output_index", firstShape}, {"content_index", secondShape}, {"summary_index", secondShape},
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

	"response.output_item.added":  ofResponse(nil, shapeKey{"item", itemAddedShape}),
	"response.output_item.done":   ofResponse(&Ending{All: true}, shapeKey{"item", itemDoneShape}),
	"response.content_part.added": ofResponse(nil, shapeKey{"part", partAddedShape}),
	"response.content_part.done":  ofResponse(&Ending{Key: TextKey{Name: "part"}}, shapeKey{"part", itemDoneShape}),
	"response.reasoning_summary_part.added": ofResponse(nil, shapeKey{"part", &eventShape{other: textShape, keys: []shapeKey{
		{"type", metaShape}, {"text", pieceShape("summary")},
	}}}),
	"response.reasoning_summary_part.done": ofResponse(&Ending{Key: TextKey{Name: "summary"}}, shapeKey{"part", itemDoneShape}),

	"response.output_text.delta":                growsType(pieceShape("part")),
	"response.output_text.done":                 doneType("part", textShape),
	"response.output_text.annotation.added":     ofResponse(nil, shapeKey{"annotation", textShape}),
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
	"response.image_generation_call.partial_image": ofResponse(nil, keysOf(metaShape, "partial_image_b64", "size", "quality", "background",
		"output_format", "partial_image_index")...),

	"message_start": ofMessage(nil, shapeKey{"message", textShape}),
	"content_block_start": ofMessage(nil, shapeKey{"index", firstShape}, shapeKey{"content_block", &eventShape{other: textShape, keys: joinKeys([]shapeKey{signedShape}, nameKeys, []shapeKey{
		{"text", pieceShape("text")}, {"thinking", pieceShape("thinking")}, {"data", metaShape}, // redacted thinking
	})}}),
	"content_block_delta": ofMessage(nil, shapeKey{"index", firstShape}, shapeKey{"delta", &eventShape{other: strayShape, keys: joinKeys([]shapeKey{signedShape}, nameKeys, []shapeKey{
		{"text", pieceShape("text")}, {"thinking", pieceShape("thinking")}, {"partial_json", jsonPieceShape("json")}, {"citation", textShape},
	})}}),
	"content_block_stop": ofMessage(&Ending{All: true}, shapeKey{"index", firstShape}),
	"message_delta":      ofMessage(nil, shapeKey{"delta", &eventShape{other: textShape, keys: keysOf(metaShape, "stop_reason")}}, shapeKey{"usage", metaShape}),
	"message_stop":       ofMessage(endsAll),

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
