package llm

// Messages is Anthropic's Messages API, POST /v1/messages,
// https://docs.claude.com/en/api/messages.
var Messages = &Dialect{
	Name:  "Anthropic Messages",
	top:   anthropicRequest,
	needs: "messages", is: hasMessages, list: "messages", model: "model", rules: systemBlocks,
	answer: AnthropicMessage,
}

// CountTokens is Anthropic's API that counts the tokens of a request, POST
// /v1/messages/count_tokens.
var CountTokens = &Dialect{
	Name:  "Anthropic Token Count",
	top:   anthropicRequest,
	needs: "messages", is: hasMessages, list: "messages", model: "model", rules: systemBlocks,
	answer: &Dialect{
		Name:  "Anthropic Token Count",
		top:   objectOf(fields(isSetting, "input_tokens context_management")),
		needs: "input_tokens", is: hasCount,
	},
}

var anthropicRequest = objectOf(
	fields(isModel, "model"), fields(isStream, "stream"),
	fields(listOf("messages", anthropicMessageObject), "messages"),
	fields(&slot{kind: System, null: true, odd: "system is neither a text nor a list", list: blocks(System)}, "system"),
	fields(isTools, "tools output_format"),
	fields(&slot{kind: ToolDescription, object: objectOf(fields(isTools, "format"), fields(isSetting, "effort"))}, "output_config"),
	fields(isOther, "stop_sequences mcp_servers"),
	fields(isSetting, `max_tokens metadata temperature top_k top_p thinking tool_choice service_tier container
		context_management betas inference_geo cache_control`),
)

var anthropicMessageObject = &object{
	fields:  append(fields(roleOf, "role"), fields(anthropicContent, "content")...),
	rest:    isOther,
	message: true,
}

var anthropicContent = &slot{
	kind: Content, null: true, odd: "content of %s is of a type that is not supported", list: blocks(Content),
}

// AnthropicMessage is what the same API answers, when it does not stream.
var AnthropicMessage = &Dialect{
	Name: "Anthropic Messages",
	top: func() *object {
		o := objectOf(
			fields(roleOf, "role"), fields(anthropicContent, "content"), fields(isOther, "stop_sequence"), fields(isOther, Beside),
			fields(isSetting, "id type model stop_reason stop_details usage container context_management"),
		)
		o.message = true
		return o
	}(),
	needs: "content", is: hasContent, single: true,
}

// blocks are the elements of a content, whose texts are of a kind. Those of
// results of tools are blocks again.
func blocks(kind Kind) *slot {
	s := &slot{as: asOdd, kind: kind, odd: "a block of the content of %s is not an object"}
	result := s
	if kind != ToolResult {
		result = blocks(ToolResult)
	}
	inside := &slot{kind: ToolResult, list: result}
	s.object = objectOf(
		fields(isType, "type"), fields(words(kind), "text"), fields(anything(Reasoning), "thinking"),
		fields(isSigned, "signature"), fields(isHidden, "encrypted_content"),
		fields(&slot{as: asEncoded, kind: Other}, "data"),
		fields(isSetting, "id tool_use_id cache_control is_error file_id page_age caller"),
		fields(isName, "name server_name"), fields(anything(Arguments), "input"),
		fields(&slot{as: asAttachment, kind: Other, object: source(&slot{kind: kind, list: s})}, "source"),
		fields(anything(kind), "title context"), fields(isOther, "url"),
		fields(&slot{kind: Other, list: &slot{kind: Other, object: citation}, object: isSetting.object}, "citations"),
	)
	s.object.fields = append(s.object.fields, fields(inside, "content")...)
	if kind == ToolResult {
		// A result of the web, or of code, is an object or a list of them.
		inside.object = s.object
		s.object.rest = anything(ToolResult)
		s.object.fields = append(s.object.fields, fields(anything(ToolResult), "stdout stderr")...)
		s.object.fields = append(s.object.fields, fields(isSetting, "return_code error_code")...)
	} else {
		inside.object = result.object
	}
	s.object.types = map[string]Kind{"redacted_thinking": unread}
	return s
}

var citation = objectOf(
	fields(isOther, "cited_text document_title title source url"), fields(isHidden, "encrypted_index"),
	fields(isSetting, `type document_index file_id start_char_index end_char_index start_page_number end_page_number
		start_block_index end_block_index search_result_index`),
)
