package translator

import (
	"strconv"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	attributesv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/ext_proc/processing_request_modifiers/mapped_attribute_builder/v3"

	"github.com/attache-dev/attache/config"
)

// mappedAttributes has Envoy evaluate what an ext_proc server is told beside
// the messages; nil for nothing.
func mappedAttributes(show config.Processing) *corev3.TypedExtensionConfig {
	if len(show.RequestAttributes) == 0 && len(show.ResponseAttributes) == 0 {
		return nil
	}
	return &corev3.TypedExtensionConfig{
		Name: "envoy.extensions.http.ext_proc.mapped_attribute_builder",
		TypedConfig: mustAny(&attributesv3.MappedAttributeBuilder{
			MappedRequestAttributes:  celTexts(show.RequestAttributes),
			MappedResponseAttributes: celTexts(show.ResponseAttributes),
		}),
	}
}

func celTexts(of map[string]config.Expression) map[string]string {
	out := make(map[string]string, len(of))
	for name, e := range of {
		out[name] = celText(e)
	}
	return out
}

// celNames are Envoy's words for agentgateway's variables, where they differ.
// Addresses have their port with them in Envoy, and IPv6 ones brackets.
var celNames = map[string]string{
	"request.path":         "request.url_path",
	"request.pathAndQuery": "request.path",
	"source.address":       withoutPort("source.address"),
	"destination.address":  withoutPort("destination.address"),
}

func withoutPort(address string) string {
	return `re.extract(` + address + `, "^\\[?([^\\]]*)\\]?:[0-9]+$", "\\1")`
}

// celText writes an expression for Envoy.
func celText(e config.Expression) string {
	switch v := e.Literal.(type) {
	case string:
		return celQuote(v)
	case bool:
		return strconv.FormatBool(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		if text := strconv.FormatFloat(v, 'f', -1, 64); strings.Contains(text, ".") {
			return text
		}
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	name := e.Variable
	if other := celNames[name]; other != "" {
		name = other
	}
	if e.Key != "" {
		name += "[" + celQuote(e.Key) + "]"
	}
	return name
}

var celEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`)

func celQuote(s string) string { return `"` + celEscapes.Replace(s) + `"` }
