package config

import "strings"

// The types of this file have the shape of the YAML: agentgateway's tree in
// the words of its releases v0.10 to v1.4, plus F5's processors and profiles.
// resolve.go turns them into the model.

type file struct {
	_ struct{} `notyet:"frontendPolicies policies services workloads backends routeGroups gateways routes tcpRoutes llm mcp ui"`

	Config          *fileConfig         `yaml:"config"`
	Binds           []fileBind          `yaml:"binds"`
	GatewayPolicies []fileGatewayPolicy `yaml:"gatewayPolicies"`
	Processors      []fileProcessor     `yaml:"processors"`
	Profiles        []fileProfile       `yaml:"profiles"`
}

type fileConfig struct {
	_ struct{} `notyet:"workerThreads connectionTerminationDeadline connectionMinTerminationDeadline backend logging tracing metrics histograms standardAttributes sensitiveHeaders customFunctions session mcp modelCatalog database storage localXdsPath listener caAddress caAuthToken xdsAddress xdsAuthToken spiffe namespace gateway trustDomain additionalTrustDomains skipValidateTrustDomain serviceAccount clusterId network hbone"`

	AdminAddr     string   `yaml:"adminAddr"`
	StatsAddr     string   `yaml:"statsAddr"`
	ReadinessAddr string   `yaml:"readinessAddr"`
	EnableIPv6    *bool    `yaml:"enableIpv6"`
	DNS           *fileDNS `yaml:"dns"`
}

type fileDNS struct {
	_ struct{} `notyet:"edns0"`

	LookupFamily string `yaml:"lookupFamily"`
}

type fileBind struct {
	_ struct{} `notyet:"tunnelProtocol mode"`

	Port      uint16         `yaml:"port,required"`
	Address   string         `yaml:"address"`
	Listeners []fileListener `yaml:"listeners,required"`
}

type fileListener struct {
	_ struct{} `notyet:"namespace tls tcpRoutes policies"`

	Name        string      `yaml:"name"`
	GatewayName string      `yaml:"gatewayName"`
	Hostname    string      `yaml:"hostname"`
	Protocol    string      `yaml:"protocol"`
	Routes      []fileRoute `yaml:"routes"`
}

type fileRoute struct {
	_ struct{} `notyet:"namespace ruleName"`

	Name      string             `yaml:"name"`
	Hostnames []string           `yaml:"hostnames"`
	Matches   []fileMatch        `yaml:"matches"`
	Policies  *fileRoutePolicies `yaml:"policies"`
	Backends  []fileBackend      `yaml:"backends"`
}

type fileMatch struct {
	Path    *filePath        `yaml:"path"`
	Method  string           `yaml:"method"`
	Headers []fileValueMatch `yaml:"headers"`
	Query   []fileValueMatch `yaml:"query"`
}

type filePath struct {
	Exact      *string `yaml:"exact"`
	PathPrefix *string `yaml:"pathPrefix"`
	Regex      *string `yaml:"regex"`
}

type fileValueMatch struct {
	Name  string    `yaml:"name,required"`
	Value fileValue `yaml:"value,required"`
}

type fileValue struct {
	Exact *string `yaml:"exact"`
	Regex *string `yaml:"regex"`
}

type fileRoutePolicies struct {
	_ struct{} `notyet:"requestHeaderModifier responseHeaderModifier requestRedirect urlRewrite requestMirror directResponse cors mcpAuthorization mcpAuthentication mcpGuardrails authorization a2a ai localRateLimit remoteRateLimit jwtAuth basicAuth apiKey oidc extAuthz transformations csrf buffer retry delay backendTunnel"`

	ExtProc     *fileExtProc     `yaml:"extProc"`
	Timeout     *fileTimeout     `yaml:"timeout"`
	BackendAuth *fileBackendAuth `yaml:"backendAuth"`
	BackendTLS  *fileBackendTLS  `yaml:"backendTLS"`
}

type fileTimeout struct {
	_ struct{} `notyet:"backendRequestTimeout"`

	RequestTimeout fileDuration `yaml:"requestTimeout"`
}

type fileGatewayPolicy struct {
	Name   string             `yaml:"name"`
	Target fileTarget         `yaml:"target,required"`
	Policy fileGatewayActions `yaml:"policy,required"`
}

type fileTarget struct {
	_ struct{} `notyet:"route routeRule service backend subBackend"`

	Gateway  string `yaml:"gateway"`
	Listener string `yaml:"listener"`
}

type fileGatewayActions struct {
	_ struct{} `notyet:"jwtAuth transformations"`

	ExtProc *fileExtProc `yaml:"extProc"`
}

type fileExtProc struct {
	_ struct{} `notyet:"service backend policies metadataContext requestAttributes responseAttributes processingOptions conditional"`

	Host        string `yaml:"host"`
	FailureMode string `yaml:"failureMode"`

	// What follows is ours, with F5's words for a policy and a route.
	Profile        string              `yaml:"profile"`
	Profiles       []fileCandidate     `yaml:"profiles"`
	Authentication *fileAuthentication `yaml:"authentication"`
	Schema         string              `yaml:"schema"`
	ClientHeaders  string              `yaml:"clientHeaders"`
}

// fileCandidate is F5's policies[].profiles[].
type fileCandidate struct {
	Name     string        `yaml:"name,required"`
	Selector *fileSelector `yaml:"selector"`
}

type fileAuthentication struct {
	SigningKeyFile  string `yaml:"jwtSigningKeyFile"`
	SigningKeyType  string `yaml:"jwtSigningKeyType"`
	AllowUnverified bool   `yaml:"insecureAllowUnverifiedJWT"`
}

type fileBackend struct {
	_ struct{} `notyet:"service backend internal dynamic mcp aws routeGroup invalid"`

	Weight   *uint32              `yaml:"weight"`
	Name     string               `yaml:"name"` // ours, for services
	Host     string               `yaml:"host"`
	AI       *fileAI              `yaml:"ai"`
	Policies *fileBackendPolicies `yaml:"policies"`
}

type fileBackendPolicies struct {
	_ struct{} `notyet:"requestHeaderModifier responseHeaderModifier requestRedirect transformations backendTunnel authorization a2a ai mcpAuthorization mcpGuardrails extAuthz http tcp health inferenceRouting sessionAffinity"`

	BackendAuth *fileBackendAuth `yaml:"backendAuth"`
	BackendTLS  *fileBackendTLS  `yaml:"backendTLS"`
}

// fileAI is the ai backend. Up to v0.10 the policies stood directly in it.
type fileAI struct {
	_ struct{} `notyet:"groups tokenize modelAliases defaults overrides promptGuard prompts routes promptCaching transformations"`

	Name         string               `yaml:"name"`
	Provider     fileProvider         `yaml:"provider,required"`
	HostOverride string               `yaml:"hostOverride"`
	PathOverride string               `yaml:"pathOverride"`
	PathPrefix   string               `yaml:"pathPrefix"`
	BackendAuth  *fileBackendAuth     `yaml:"backendAuth"`
	BackendTLS   *fileBackendTLS      `yaml:"backendTLS"`
	Policies     *fileBackendPolicies `yaml:"policies"`
}

type fileProvider struct {
	_ struct{} `notyet:"gemini vertex anthropic bedrock azureOpenAI azure copilot custom"`

	OpenAI *fileOpenAI `yaml:"openAI"`
}

type fileOpenAI struct {
	_ struct{} `notyet:"moderation"`

	Model string `yaml:"model"`
}

type fileBackendTLS struct {
	_ struct{} `notyet:"hostname insecure insecureHost alpn subjectAltNames keyExchangeGroups spiffe"`

	Root       string `yaml:"root"`
	Cert       string `yaml:"cert"`
	Key        string `yaml:"key"`
	MinVersion string `yaml:"minVersion"` // ours
}

type fileBackendAuth struct {
	_ struct{} `notyet:"passthrough gcp aws azure copilot jwtSign oauthTokenExchange crossAppAccess credentials"`

	Key *fileKey `yaml:"key"`
}

// fileKey is a secret: "text", {file: path}, or {value: either of them}.
type fileKey struct {
	value    string
	file     string
	variable string // the one variable that the text consists of
	node     *node
}

type fileKeyMapping struct {
	_ struct{} `notyet:"location"`

	File  string   `yaml:"file"`
	Value *fileKey `yaml:"value"`
}

func (k *fileKey) decodeNode(d *decoder, n *node) {
	k.node = n
	if n.kind == scalarNode && n.tag == "!!str" {
		k.value = strings.TrimSpace(n.value)
		if name, ok := soleVariable(strings.TrimSpace(n.source)); ok && n.variable {
			k.variable = name
		}
		return
	}
	if n.kind != mappingNode {
		// What stands here may be the secret itself: do not show it.
		d.errorf(n, Invalid, "expected a string or {file: path}; quote a key that consists of digits")
		return
	}
	var m fileKeyMapping
	d.decode(n, &m)
	switch {
	case m.Value != nil && m.File == "":
		*k = *m.Value
	case m.Value == nil && m.File != "":
		k.file = m.File
	default:
		d.errorf(n, Invalid, "expected exactly one of file, value")
	}
}

// The types of F5's two sections serve F5's own file as well. Timeout, failureMode
// and mode are ours.

type fileProcessor struct {
	Name        string       `yaml:"name,required"`
	Type        string       `yaml:"type,required"`
	Config      Raw          `yaml:"config"`
	Params      Raw          `yaml:"params"`
	Timeout     fileDuration `yaml:"timeout"`
	FailureMode string       `yaml:"failureMode"`
}

type fileProfile struct {
	_ struct{} `refused:"outputStages"`

	Name           string          `yaml:"name,required"`
	Models         []fileModel     `yaml:"models"`
	InputStages    []fileStage     `yaml:"inputStages"`
	Services       []fileService   `yaml:"services"`
	ResponseStages []fileStage     `yaml:"responseStages"`
	Limits         []Raw           `yaml:"limits"`
	Concurrency    fileConcurrency `yaml:"concurrency"`
	Mode           string          `yaml:"mode"`
	FailureMode    string          `yaml:"failureMode"`
}

type fileModel struct {
	Name string `yaml:"name,required"`
}

type fileService struct {
	Name     string        `yaml:"name,required"`
	Selector *fileSelector `yaml:"selector"`
}

type fileStage struct {
	Name        string          `yaml:"name,required"`
	Selector    *fileSelector   `yaml:"selector"`
	Concurrency fileConcurrency `yaml:"concurrency"`
	Steps       []fileStep      `yaml:"steps,required"`
}

// fileConcurrency is "parallel", or 0 for one step after the other, as F5's log
// prints it.
type fileConcurrency string

func (c *fileConcurrency) decodeNode(d *decoder, n *node) {
	switch {
	case n.isNull():
	case n.kind == scalarNode && (n.value == "parallel" || n.value == "0"):
		*c = fileConcurrency(n.value)
	default:
		d.errorf(n, Invalid, "expected parallel, or no concurrency at all for one step after the other")
	}
}

type fileSelector struct {
	Type    string   `yaml:"type"`
	Operand string   `yaml:"operand"`
	Key     string   `yaml:"key"`
	Values  []string `yaml:"values"`
	Tags    []string `yaml:"tags"`
}

type fileStep struct {
	_ struct{} `refused:"selector"`

	Name    string       `yaml:"name,required"`
	Params  Raw          `yaml:"params"`
	Timeout fileDuration `yaml:"timeout"`
	Mode    string       `yaml:"mode"`
}
