package llm

// Dialect tells where the interesting parts of an API's request bodies lie.
type Dialect struct {
	// Name is the API's name, for people.
	Name string

	// top, element, message and part describe the objects that hold something
	// to find: the body, an element of its list, the message in it (in most
	// dialects the element itself; then element is nil), and an element of a
	// content that is a list.
	top, element, message, part object

	// model and list are the keys of the model's name and of the messages.
	model, list string
	// system is what stands before and behind the quoted rule in a message
	// that carries a rule of the operator, whose role is systemRole.
	system     [2]string
	systemRole []byte
}

// An object lists the keys with a meaning, and those that must not be there
// twice in different spellings. Values of other keys are only checked to be
// JSON.
type object []field

type field struct {
	key     []byte
	meaning meaning
}

// meaning is what the scanner does with a value.
type meaning uint8

const (
	skipped    meaning = iota
	modelName          // the model, usually a string
	streamFlag         // whether the answer is to be a stream
	messages           // the list of elements
	message            // the message of an element
	role               // the role of a message
	content            // text, null, or a list of texts and part objects
	text               // text
)

// ChatCompletions is OpenAI's Chat Completions API, POST /v1/chat/completions,
// https://platform.openai.com/docs/api-reference/chat/create. Its texts are the
// contents of the messages and the texts of their parts; arguments of tool
// calls and everything outside messages are not.
var ChatCompletions = &Dialect{
	Name: "OpenAI Chat Completions",
	top: object{
		{[]byte("model"), modelName},
		{[]byte("stream"), streamFlag},
		{[]byte("messages"), messages},
	},
	message: object{
		{[]byte("role"), role},
		{[]byte("content"), content},
	},
	part: object{
		{[]byte("text"), text},
		{[]byte("type"), skipped},
	},
	model:      "model",
	list:       "messages",
	system:     [2]string{`{"role":"system","content":`, `}`},
	systemRole: []byte("system"),
}

// ChatCompletion is what the same API answers, when it does not stream. Its
// texts are the contents of the messages of the choices.
var ChatCompletion = &Dialect{
	Name:    "OpenAI Chat Completions",
	top:     object{{[]byte("choices"), messages}},
	element: object{{[]byte("message"), message}},
	message: ChatCompletions.message,
	part:    ChatCompletions.part,
	list:    "choices",
}
