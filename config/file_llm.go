package config

import "reflect"

// The types of this file are about models and who provides them.

// fileProviderGroup is a group of providers that share the requests.
type fileProviderGroup struct {
	// Providers are the group's.
	Providers []fileAI `yaml:"providers,required"`
}

// fileModeration is OpenAI's own moderation of a request.
type fileModeration struct {
	// Model is the model that judges.
	// Default: omni-moderation-latest.
	Model string `yaml:"model"`
	// Policy says what is moderated.
	Policy *fileModerationPolicy `yaml:"policy"`
}

type fileModerationPolicy struct {
	// Input moderates the request.
	Input *fileModerationMode `yaml:"input"`
	// Output moderates the answer.
	Output *fileModerationMode `yaml:"output"`
}

type fileModerationMode struct {
	// Mode tells whether harm is blocked, or only scored.
	Mode string `yaml:"mode,required" enum:"score block"`
}

type fileVertex struct {
	// Model replaces the model that the client asks for.
	// Default: the client's.
	Model string `yaml:"model"`
	// Region is the region to ask in.
	// Default: global.
	Region string `yaml:"region"`
	// ProjectID is the project at Google.
	ProjectID string `yaml:"projectId,required"`
}

type fileBedrock struct {
	// Model replaces the model that the client asks for.
	// Default: the client's.
	Model string `yaml:"model"`
	// Region is the region to ask in.
	Region string `yaml:"region,required"`
	// GuardrailIdentifier names a guardrail to apply.
	GuardrailIdentifier string `yaml:"guardrailIdentifier"`
	// GuardrailVersion is its version.
	GuardrailVersion string `yaml:"guardrailVersion"`
}

type fileAzure struct {
	// Model replaces the model that the client asks for.
	// Default: the client's.
	Model string `yaml:"model"`
	// ResourceName is the first part of the host.
	ResourceName string `yaml:"resourceName,required"`
	// ResourceType decides the rest of the host.
	ResourceType string `yaml:"resourceType,required" enum:"openAI foundry aiServices"`
	// APIVersion is the version of the API.
	APIVersion string `yaml:"apiVersion"`
	// ProjectName is the project at Foundry.
	ProjectName string `yaml:"projectName"`
}

// fileAzureOpenAI is how releases 0.11 to 1.1 wrote azure.
type fileAzureOpenAI struct {
	// Model replaces the model that the client asks for.
	// Default: the client's.
	Model string `yaml:"model"`
	// Host is the resource's host.
	Host string `yaml:"host,required"`
	// APIVersion is the version of the API.
	APIVersion string `yaml:"apiVersion"`
}

// fileLLM is the section llm: a gateway that is organised by models.
type fileLLM struct {
	// Gateways are where it is served: <gateway>, or <gateway>/<listener>.
	// Default: the gateway "default", if port is not given.
	Gateways fileNames `yaml:"gateways"`
	// Port is a port of its own, in place of gateways.
	Port *uint16 `yaml:"port"`
	// TLS is the certificate of that port.
	TLS *fileServerTLS `yaml:"tls"`
	// Providers are settings that models refer to.
	Providers []fileLLMProvider `yaml:"providers"`
	// Models are those that clients may ask for.
	Models []fileLLMModel `yaml:"models,required"`
	// VirtualModels are names that stand for a choice of models.
	VirtualModels []fileVirtualModel `yaml:"virtualModels"`
	// Policies run before a model is chosen.
	Policies *fileLLMPolicies `yaml:"policies"`
}

type fileLLMPolicies struct {
	Gateway fileGatewayPhase `yaml:",inline"`

	// Guardrails guard every model.
	Guardrails *filePromptGuard `yaml:"guardrails"`
	// Timeout bounds the time that a request may take.
	Timeout *fileTimeout `yaml:"timeout"`
	// ConcurrencyLimit limits how many requests are in hand at a time.
	ConcurrencyLimit *conditionalList[fileConcurrencyLimit] `yaml:"concurrencyLimit"`
	// LocalRateLimit limits requests by buckets that all clients share.
	LocalRateLimit []fileBucket `yaml:"localRateLimit"`
	// RemoteRateLimit asks a rate limit service.
	RemoteRateLimit *fileRemoteRateLimit `yaml:"remoteRateLimit"`
}

type fileLLMProvider struct {
	// Name is what models write as {reference: name}.
	Name string `yaml:"name,required"`
	// Provider is who provides the models.
	Provider fileLLMProviderName `yaml:"provider,required"`
	// Params say how the provider is asked.
	Params *fileLLMParams `yaml:"params"`
	// Defaults are what each model may replace.
	Defaults *fileModelDefaults `yaml:"defaults"`
}

// fileLLMProviderName is the name of a provider, {reference: name}, or {custom: …}.
type fileLLMProviderName struct {
	name  string
	block *fileLLMReference
}

type fileLLMReference struct {
	_ struct{} `oneOf:"reference custom"`

	// Reference names an entry of llm.providers.
	Reference string `yaml:"reference"`
	// Custom is any API that speaks one of the known formats.
	Custom *fileCustomProvider `yaml:"custom"`
}

// modelProviders are the names of providers: those with an API of their own, and
// those whose API is another's at an address that is known.
var modelProviders = []string{
	"openai", "openAI", "gemini", "vertex", "anthropic", "bedrock", "azure", "copilot",
	"cohere", "ollama", "baseten", "cerebras", "deepinfra", "deepseek", "groq", "huggingface",
	"mistral", "openrouter", "togetherai", "xai", "fireworks",
}

func (p *fileLLMProviderName) decodeNode(d *decoder, n *node) {
	switch {
	case n.isNull():
	case n.kind == mappingNode:
		p.block = new(fileLLMReference)
		d.decode(n, p.block)
	default:
		d.value(n, reflect.ValueOf(&p.name).Elem())
		d.word(n, fieldShape{enum: modelProviders})
	}
}

// fileLLMParams say how a provider is asked.
type fileLLMParams struct {
	// Model is the model to ask for.
	// Default: the one that the client names.
	Model string `yaml:"model"`
	// APIKey is the key for the provider.
	// Default: that of the provider's variable in the environment.
	APIKey *fileText `yaml:"apiKey"`
	// AWSRegion is the region of Bedrock.
	AWSRegion string `yaml:"awsRegion"`
	// VertexRegion is the region of Vertex.
	VertexRegion string `yaml:"vertexRegion"`
	// VertexProject is the project of Vertex.
	VertexProject string `yaml:"vertexProject"`
	// AzureResourceName is the first part of Azure's host.
	AzureResourceName string `yaml:"azureResourceName"`
	// AzureResourceType decides the rest of Azure's host.
	AzureResourceType string `yaml:"azureResourceType" enum:"openAI foundry aiServices"`
	// AzureAPIVersion is the version of Azure's API.
	AzureAPIVersion string `yaml:"azureApiVersion"`
	// AzureProjectName is the project at Foundry.
	AzureProjectName string `yaml:"azureProjectName"`
	// BaseURL is where the API is: host, beginning of the path, TLS.
	BaseURL string `yaml:"baseUrl"`
	// HostOverride is another host; baseUrl says it better.
	HostOverride string `yaml:"hostOverride"`
	// PathOverride is another path.
	PathOverride string `yaml:"pathOverride"`
	// PathPrefix is another beginning of the path; baseUrl says it better.
	PathPrefix string `yaml:"pathPrefix"`
	// Tokenize counts tokens before a request is sent.
	// Default: false.
	Tokenize bool `yaml:"tokenize"`
}

// fileModelDefaults are what a provider gives to its models, and what a model
// may have of its own.
type fileModelDefaults struct {
	// Defaults are fields of the request's body that the client left out.
	Defaults map[string]Raw `yaml:"defaults"`
	// Overrides are fields of the request's body, whatever the client says.
	Overrides map[string]Raw `yaml:"overrides"`
	// Transformation computes fields of the request's body.
	Transformation map[string]fileCEL `yaml:"transformation"`
	// RequestHeaders edit the headers of requests to the provider.
	RequestHeaders *fileHeaderModifier `yaml:"requestHeaders"`
	// ResponseHeaders edit the headers of its answers.
	ResponseHeaders *fileHeaderModifier `yaml:"responseHeaders"`
	// TLS encrypts the connection to the provider.
	TLS *fileBackendTLS `yaml:"tls" old:"backendTLS"`
	// Auth attaches credentials for the provider.
	Auth *fileBackendAuth `yaml:"auth"`
	// Health takes the provider out of service by what it answers.
	Health *fileHealth `yaml:"health"`
	// BackendTunnel reaches the provider through a proxy.
	BackendTunnel *fileTunnel `yaml:"backendTunnel"`
	// PromptCaching marks what the provider may cache.
	PromptCaching *filePromptCaching `yaml:"promptCaching"`
}

type fileLLMModel struct {
	Own fileModelDefaults `yaml:",inline"`

	// ID stays the same when the name changes.
	ID string `yaml:"id"`
	// Name is what clients ask for; an asterisk at one end stands for any text.
	Name string `yaml:"name,required"`
	// Visibility tells whether clients may ask for it, or virtual models only.
	// Default: public.
	Visibility string `yaml:"visibility" enum:"public internal"`
	// Provider is who provides the model.
	Provider fileLLMProviderName `yaml:"provider,required"`
	// Params say how the provider is asked.
	Params *fileLLMParams `yaml:"params"`
	// Passthrough leaves requests and answers as they are: detect still counts
	// tokens, opaque looks at nothing.
	Passthrough string `yaml:"passthrough" enum:"detect opaque"`
	// Authorization decides by rules who may use the model.
	Authorization *fileAuthorization `yaml:"authorization"`
	// FinalTransformation computes fields of the body that the provider gets.
	FinalTransformation map[string]fileCEL `yaml:"finalTransformation"`
	// Guardrails guard the model.
	Guardrails *filePromptGuard `yaml:"guardrails"`
	// Matches are further conditions on the request.
	Matches []fileLLMMatch `yaml:"matches"`
}

type fileLLMMatch struct {
	// Headers must all match.
	Headers []fileValueMatch `yaml:"headers"`
}

type fileVirtualModel struct {
	// Name is what clients ask for.
	Name string `yaml:"name,required"`
	// Routing chooses the model.
	Routing fileVirtualRouting `yaml:"routing,required"`
}

type fileVirtualRouting struct {
	_ struct{} `oneOf:"weighted failover conditional"`

	// Weighted chooses by weight.
	Weighted *fileTargets[fileWeightedModel] `yaml:"weighted"`
	// Failover chooses by priority, then by health.
	Failover *fileTargets[fileFailoverModel] `yaml:"failover"`
	// Conditional chooses the first whose condition is true.
	Conditional *fileTargets[fileConditionalModel] `yaml:"conditional"`
}

type fileTargets[T any] struct {
	// Targets are the models to choose from.
	Targets []T `yaml:"targets,required"`
}

type fileWeightedModel struct {
	// Model names an entry of llm.models.
	Model string `yaml:"model,required"`
	// Weight is its share of the requests.
	// Default: 1.
	Weight *uint64 `yaml:"weight"`
}

type fileFailoverModel struct {
	// Model names an entry of llm.models.
	Model string `yaml:"model,required"`
	// Priority is its rank; lower comes first.
	Priority uint64 `yaml:"priority,required"`
}

type fileConditionalModel struct {
	// When is the condition. Only the last target may be without one.
	When fileCEL `yaml:"when"`
	// Model names an entry of llm.models.
	Model string `yaml:"model,required"`
}
