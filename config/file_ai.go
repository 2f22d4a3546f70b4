package config

// fileAI is the ai backend. Up to v0.10 the policies stood directly in it.
type fileAI struct {
	_ struct{} `oneOf:"provider groups"`

	// Groups are groups of providers, in the order in which they are used.
	Groups []fileProviderGroup `yaml:"groups,notyet"`

	fileAIPolicy `yaml:",inline"`

	// Name is the backend's name, which services of profiles refer to.
	Name string `yaml:"name"`
	// Provider is who answers, and with which settings; one of its keys.
	Provider fileProvider `yaml:"provider"`
	// HostOverride is another host, host:port. It is spoken to in the clear
	// unless backendTLS says more, and gets the client's path unless pathPrefix
	// or pathOverride does.
	// Default: the provider's, with TLS.
	HostOverride string `yaml:"hostOverride"`
	// PathOverride is the path of all requests, in place of the client's path and
	// query.
	// Default: what routes and pathPrefix say.
	// Envoy: the route's regex_rewrite; with a query, a lua filter of the cluster.
	// Differs: without a query of its own, the client's is kept.
	PathOverride string `yaml:"pathOverride"`
	// PathPrefix takes the place of the provider's base path, such as /v1; for
	// gemini, which has none, it stands before the path.
	PathPrefix string `yaml:"pathPrefix"`
	// Tokenize counts tokens before a request is sent. True is not supported yet.
	// Default: false.
	Tokenize bool `yaml:"tokenize"`
	// BackendAuth is the spelling up to v0.10 of policies.backendAuth.
	BackendAuth *fileBackendAuth `yaml:"backendAuth"`
	// BackendTLS is the spelling up to v0.10 of policies.backendTLS.
	BackendTLS *fileBackendTLS `yaml:"backendTLS"`
	// Policies are those of this provider.
	Policies *fileBackendPolicies `yaml:"policies"`
}

// fileProvider is one of its keys.
type fileProvider struct {
	// Vertex is Google Vertex AI.
	Vertex *fileVertex `yaml:"vertex,notyet"`
	// Bedrock is Amazon Bedrock.
	Bedrock *fileBedrock `yaml:"bedrock,notyet"`
	// AzureOpenAI is how releases 0.11 to 1.1 wrote azure.
	AzureOpenAI *fileAzureOpenAI `yaml:"azureOpenAI,notyet"`
	// Azure is Azure OpenAI or Azure AI Foundry.
	Azure *fileAzure `yaml:"azure,notyet"`
	// Copilot is GitHub Copilot.
	Copilot *fileModelProvider `yaml:"copilot,notyet"`

	// OpenAI is OpenAI, or with hostOverride whoever speaks its API. It speaks
	// completions, responses, embeddings and models.
	OpenAI *fileOpenAI `yaml:"openAI"`
	// Anthropic is Anthropic. It speaks messages and anthropicTokenCount.
	// Envoy: a filter of the cluster adds anthropic-version: 2023-06-01 where the
	// client sends none, and removes the headers of browsers' CORS requests.
	// Differs: a client's own bearer token is not moved to x-api-key.
	Anthropic *fileModelProvider `yaml:"anthropic"`
	// Gemini is Google Gemini: completions and embeddings by its API that is
	// compatible with OpenAI's, generateContent and geminiCountTokens by its own.
	Gemini *fileModelProvider `yaml:"gemini"`
	// Custom is anything that speaks known formats. It needs hostOverride.
	Custom *fileCustomProvider `yaml:"custom"`
}

// fileOpenAI holds the settings of OpenAI's API.
type fileOpenAI struct {
	// Moderation is OpenAI's own moderation of requests.
	Moderation *fileModeration `yaml:"moderation,notyet"`

	// Model is asked for in place of the client's.
	// Default: the client's.
	Model string `yaml:"model"`
}

type fileModelProvider struct {
	// Model is asked for in place of the client's.
	// Default: the client's.
	Model string `yaml:"model"`
}

type fileCustomProvider struct {
	// ProviderOverride names the provider in metrics and prices.
	// Default: custom.
	ProviderOverride string `yaml:"providerOverride,notyet"`

	// Model is asked for in place of the client's.
	// Default: the client's.
	Model string `yaml:"model"`
	// Formats are those that it speaks.
	Formats []fileFormat `yaml:"formats,required"`
}

type fileFormat struct {
	// Type is the format.
	Type string `yaml:"type,required" enum:"completions messages responses embeddings anthropicTokenCount" enumNotYet:"generateContent geminiCountTokens realtime rerank"`
	// Path is where it is served.
	// Default: the path of OpenAI's or Anthropic's API.
	Path string `yaml:"path"`
}

// fileAIPolicy is the ai policy. Whatever changes a body is done by Attaché's
// ext_proc service, which never fails open.
type fileAIPolicy struct {
	// PromptCaching marks what the provider may cache.
	PromptCaching *filePromptCaching `yaml:"promptCaching,notyet"`
	// Transformations compute fields of the body.
	Transformations map[string]fileCEL `yaml:"transformations,notyet"`
	// FinalTransformations compute fields of the body that the provider gets.
	FinalTransformations map[string]fileCEL `yaml:"finalTransformations,notyet"`

	// PromptGuard looks at prompts and answers, after everything else in ai.
	// Envoy: our ext_proc service.
	PromptGuard *filePromptGuard `yaml:"promptGuard"`
	// Defaults are fields of the body that the client left out, with any values.
	// Envoy: our ext_proc service.
	Defaults map[string]Raw `yaml:"defaults"`
	// Overrides are fields of the body that replace the client's.
	// Envoy: our ext_proc service.
	Overrides map[string]Raw `yaml:"overrides"`
	// Prompts are messages that are added to the client's.
	// Envoy: our ext_proc service.
	Prompts *filePrompts `yaml:"prompts"`
	// ModelAliases are the models that are meant by the names that clients use: an
	// exact name, or else the longest pattern with * that matches.
	// Envoy: our ext_proc service.
	ModelAliases map[string]string `yaml:"modelAliases"`
	// Routes tell by the end of the path which API a request is: the longest
	// suffix wins, * stands for every other path.
	// Default: completions for every path.
	// Envoy: one route for each suffix, where the paths or the answers differ.
	// Differs: an API that the provider does not speak itself is refused, for
	// nothing is translated yet. For a provider that does not speak completions,
	// such as anthropic, the default is its own APIs at their usual paths, and
	// 501 for all others.
	Routes map[string]fileRouteType `yaml:"routes"`
}

// fileRouteType is a word for an API; see apiTypes.
type fileRouteType string

type filePrompts struct {
	// Prepend stand before the client's messages.
	Prepend fileMessages `yaml:"prepend"`
	// Append stand behind them.
	Append fileMessages `yaml:"append"`
}

// fileMessages is a list, or in early releases one message.
type fileMessages []fileMessage

func (m *fileMessages) decodeNode(d *decoder, n *node) {
	if n.kind != mappingNode {
		d.decode(n, (*[]fileMessage)(m))
		return
	}
	*m = make(fileMessages, 1)
	d.decode(n, &(*m)[0])
	d.deprecated = append(d.deprecated, n.errorf(d.file, Deprecated, "a deprecated spelling; write a list"))
}

type fileMessage struct {
	// Role is whose message it is: system, user or assistant.
	Role string `yaml:"role,required"`
	// Content is its text.
	Content string `yaml:"content,required"`
}
