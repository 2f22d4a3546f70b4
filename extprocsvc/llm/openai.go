package llm

import "slices"

// ChatCompletions is OpenAI's Chat Completions API, POST /v1/chat/completions,
// https://platform.openai.com/docs/api-reference/chat/create.
var ChatCompletions = &Dialect{
	Name: "OpenAI Chat Completions",
	top: objectOf(
		fields(isModel, "model"), fields(isStream, "stream"),
		fields(listOf("messages", chatMessageObject), "messages"),
		fields(isTools, "tools functions response_format"),
		fields(&slot{kind: Content, object: objectOf(fields(isType, "type"), fields(contentOf(Content, chatPart), "content"))}, "prediction"),
		fields(isOther, "stop"),
		fields(isSetting, openAISettings), fields(isSetting, chatSettings),
	),
	needs: "messages", is: hasMessages, list: "messages", model: "model", rules: chatMessages,
	answer: ChatCompletion,
}

// openAISettings are those of all of OpenAI's APIs, chatSettings those of the
// chat.
const (
	openAISettings = `temperature top_p n user metadata store service_tier safety_identifier prompt_cache_key
		prompt_cache_retention max_tokens max_completion_tokens max_output_tokens max_tool_calls stream_options
		tool_choice parallel_tool_calls top_logprobs modalities include reasoning verbosity truncation background`
	chatSettings = `frequency_penalty presence_penalty logit_bias logprobs reasoning_effort seed audio function_call
		web_search_options`
)

var chatMessageObject = func() *object {
	o := objectOf(
		fields(roleOf, "role"), fields(contentOf(Content, chatPart), "content"),
		fields(isName, "name"), fields(anything(Refusal), "refusal"),
		fields(anything(Reasoning), "reasoning reasoning_content thinking"),
		fields(&slot{kind: Arguments, list: &slot{kind: Arguments, object: chatCall}}, "tool_calls"),
		fields(&slot{kind: Arguments, object: chatFunction}, "function_call"),
		fields(isSetting, "tool_call_id cache_control"),
		fields(&slot{kind: Content, object: objectOf(
			fields(isSetting, "id expires_at"), fields(isSound, "data"), fields(anything(Content), "transcript"))}, "audio"),
		fields(isAnnotations, "annotations"),
	)
	o.message = true
	return o
}()

var isAnnotations = &slot{kind: Other, list: &slot{kind: Other, object: annotation}}

// annotation is what a model says about its sources.
var annotation = func() *object {
	o := objectOf(fields(isSetting, "type start_index end_index index file_id container_id"), fields(isOther, "url title"), fields(isName, "filename"))
	o.fields = append(o.fields, fields(&slot{kind: Other, object: o}, "url_citation")...)
	return o
}()

var chatPart = objectOf(
	fields(isType, "type"), fields(words(Content), "text"), fields(anything(Refusal), "refusal"),
	fields(&slot{as: asAttachment, kind: Other, object: objectOf(fields(isLink, "url"), fields(isSetting, "detail"))}, "image_url video_url"),
	fields(&slot{kind: Other, object: inputAudio}, "input_audio"),
	fields(&slot{kind: Other, object: objectOf(fields(isLink, "file_data"), fields(isSetting, "file_id"), fields(isName, "filename"))}, "file"),
	fields(isSetting, "cache_control"),
)

var inputAudio = objectOf(fields(isHidden, "data"), fields(isSetting, "format"))

var (
	chatFunction = objectOf(fields(isName, "name"), fields(isCall, "arguments"), fields(anything(Arguments), "input"))
	chatCall     = objectOf(
		fields(isSetting, "id type index"), fields(&slot{kind: Arguments, object: chatFunction}, "function custom"),
	)
)

// derivedTokens are the keys of what vLLM says of a text besides: the numbers of
// its tokens, and the same of the prompt.
const derivedTokens = "token_ids prompt_token_ids prompt_logprobs"

// openAIResult are the fields of a response that hold no text. The last ones are
// Groq's, Cerebras's and llama.cpp's, with times that could be taken for numbers of
// cards.
const openAIResult = `id object created model usage service_tier system_fingerprint prompt_filter_results provider
	x_groq time_info timings`

// ChatCompletion is what the same API answers, when it does not stream.
var ChatCompletion = &Dialect{
	Name: "OpenAI Chat Completions",
	top: objectOf(
		fields(listOf("choices", objectOf(
			fields(&slot{as: asOdd, odd: "%s has a message that is not an object", object: chatMessageObject}, "message"),
			fields(isDerived, "logprobs"), fields(isDerived, derivedTokens), fields(isSetting, "index finish_reason stop_reason content_filter_results"),
		)), "choices"),
		fields(isSetting, openAIResult), fields(isOther, Beside),
	),
	needs: "choices", is: hasChoices, list: "choices",
}

// Completions is OpenAI's older API without a chat, POST /v1/completions,
// https://platform.openai.com/docs/api-reference/completions/create. A prompt
// of tokens instead of text cannot be read.
var Completions = &Dialect{
	Name: "OpenAI Completions",
	top: objectOf(
		fields(isModel, "model"), fields(isStream, "stream"),
		fields(textsOf("prompt"), "prompt"), fields(anything(Content), "suffix"), fields(isOther, "stop"),
		fields(isSetting, openAISettings), fields(isSetting, "frequency_penalty presence_penalty logit_bias logprobs seed best_of echo"),
	),
	needs: "prompt", is: hasPrompt, model: "model", rules: nowhere,
	answer: Completion,
}

// Completion is what the same API answers, when it does not stream.
var Completion = &Dialect{
	Name: "OpenAI Completions",
	top: objectOf(
		fields(listOf("choices", objectOf(
			fields(words(Content), "text"), fields(isDerived, "logprobs"), fields(isDerived, derivedTokens),
			fields(isSetting, "index finish_reason stop_reason content_filter_results"),
		)), "choices"),
		fields(isSetting, openAIResult), fields(isOther, Beside),
	),
	needs: "choices", is: hasChoices, list: "choices",
}

// Embeddings is OpenAI's Embeddings API, POST /v1/embeddings,
// https://platform.openai.com/docs/api-reference/embeddings/create. An input of
// tokens instead of text cannot be read.
var Embeddings = &Dialect{
	Name: "OpenAI Embeddings",
	top: objectOf(
		fields(isModel, "model"), fields(textsOf("input"), "input"),
		fields(isSetting, "dimensions encoding_format user metadata"),
	),
	needs: "input", is: hasInput, model: "model", rules: unheeded,
	answer: Embedding,
}

// Embedding is what the same API answers. The vectors are no text.
var Embedding = &Dialect{
	Name: "OpenAI Embeddings",
	top: objectOf(
		fields(listOf("data", objectOf(fields(isHidden, "embedding"), fields(isSetting, "index object"))), "data"),
		fields(isSetting, openAIResult),
	),
	needs: "data", is: hasData,
}

// Responses is OpenAI's Responses API, POST /v1/responses,
// https://platform.openai.com/docs/api-reference/responses/create.
var Responses = &Dialect{
	Name: "OpenAI Responses",
	top: objectOf(
		fields(isModel, "model"), fields(isStream, "stream"),
		fields(&slot{
			odd: "input is neither a text nor a list", messages: true,
			list: &slot{as: asOdd, odd: "%s is not an object", object: itemObject},
		}, "input"),
		fields(&slot{kind: System, list: &slot{kind: System, object: itemObject}}, "instructions"),
		fields(isTools, "tools"),
		fields(&slot{kind: ToolDescription, object: objectOf(fields(isTools, "format"), fields(isSetting, "verbosity"))}, "text"),
		fields(&slot{kind: Content, object: objectOf(fields(isSetting, "id version"), fields(anything(Content), "variables"))}, "prompt"),
		fields(isSetting, openAISettings), fields(isSetting, "previous_response_id conversation context_management"),
	),
	needs: "input", is: hasInput | hasPrompt, model: "model", rules: responseItems,
	answer: Response,
}

// Response is what the same API answers, when it does not stream.
var Response = &Dialect{
	Name:  "OpenAI Responses",
	top:   objectOf(responseFields(listOf("output", itemObject))),
	needs: "output", is: hasOutput,
}

// responseFields are those of a response with an output.
func responseFields(output *slot) []field {
	return slices.Concat(
		fields(output, "output"), fields(isOther, Beside),
		fields(&slot{kind: System, list: &slot{kind: System, object: itemObject}}, "instructions"),
		fields(isTools, "tools"),
		fields(&slot{kind: ToolDescription, object: objectOf(fields(isTools, "format"), fields(isSetting, "verbosity"))}, "text"),
		fields(isOther, "error"), fields(isSetting, openAIResult), fields(isSetting, openAISettings),
		fields(isSetting, "created_at completed_at status incomplete_details previous_response_id conversation output_index billing"),
	)
}

// responsePart is a part of the content of an item. Those of the summary of
// reasoning look alike.
var responsePart = objectOf(
	fields(isType, "type"), fields(words(Content), "text"), fields(anything(Refusal), "refusal"),
	fields(isLink, "image_url file_data file_url"), fields(isSetting, "file_id detail"), fields(isName, "filename"),
	fields(isAnnotations, "annotations"), fields(isDerived, "logprobs"),
	fields(&slot{kind: Other, object: inputAudio}, "input_audio"), fields(anything(Content), "transcript"),
)

var itemObject = func() *object {
	o := objectOf(
		fields(isType, "type"), fields(roleOf, "role"), fields(contentOf(Content, responsePart), "content"),
		fields(isSetting, "id call_id status approval_request_id server_label container_id phase"),
		fields(isName, "name namespace"), fields(isCall, "arguments"),
		fields(anything(Arguments), "input action queries code query operation"),
		fields(&slot{kind: ToolResult, list: &slot{kind: ToolResult, object: resultPart}}, "output"),
		fields(anything(ToolResult), "results outputs error"),
		fields(&slot{kind: Reasoning, list: &slot{kind: Reasoning, object: summaryPart}}, "summary"),
		fields(isTools, "tools"), fields(isHidden, "encrypted_content"),
		fields(&slot{as: asEncoded, kind: Other}, "result"), fields(anything(Content), "revised_prompt"),
	)
	o.message = true
	o.types = map[string]Kind{"reasoning": Reasoning, "image_generation_call": unread}
	return o
}()

var (
	summaryPart = objectOf(fields(isType, "type"), fields(words(Reasoning), "text"))
	resultPart  = &object{rest: anything(ToolResult), fields: slices.Concat(
		fields(isType, "type"), fields(words(ToolResult), "text"),
		fields(&slot{as: asAttachment, kind: ToolResult, object: objectOf(fields(isLink, "url"), fields(isSetting, "detail"))}, "image_url"),
		fields(isLink, "file_data file_url"), fields(isSetting, "file_id detail"), fields(isName, "filename"),
	)}
)
