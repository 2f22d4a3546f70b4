package translator

import (
	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	celv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/filters/cel/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// gatewayErrors are agentgateway's words for the failures of which Envoy has
// words of its own. What a filter answers on purpose, such as an ext_proc
// server, has other details and stays as it is.
var gatewayErrors = []struct {
	// when is a condition on Envoy's details.
	when   string
	status uint32
	// body is a format.
	body string
}{
	{`response.code_details.startsWith("upstream_reset_before_response_started")`, 503, "upstream call failed: %LOCAL_REPLY_BODY%"},
	{`response.code_details == "no_healthy_upstream"`, 503, "no healthy backends"},
	{`response.code_details == "response_timeout"`, 504, "request timeout"},
	{`response.code_details == "upstream_per_try_timeout"`, 504, "upstream call timeout"},
	{`response.code_details == "route_not_found" && request.method == "CONNECT"`, 405, "method not allowed"},
	{`response.code_details.startsWith("ext_proc_error")`, 500, "ext_proc failed: no usable answer"},
}

// localReplies are the same on every listener, whatever the file says.
func localReplies() *hcmv3.LocalReplyConfig {
	c := &hcmv3.LocalReplyConfig{}
	for _, e := range gatewayErrors {
		c.Mappers = append(c.Mappers, &hcmv3.ResponseMapper{
			Filter: &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_ExtensionFilter{ExtensionFilter: &accesslogv3.ExtensionFilter{
				Name:       "envoy.access_loggers.extension_filters.cel",
				ConfigType: &accesslogv3.ExtensionFilter_TypedConfig{TypedConfig: mustAny(&celv3.ExpressionFilter{Expression: e.when})},
			}}},
			StatusCode: wrapperspb.UInt32(e.status),
			BodyFormatOverride: &corev3.SubstitutionFormatString{
				Format:      &corev3.SubstitutionFormatString_TextFormatSource{TextFormatSource: inlineString(e.body)},
				ContentType: "text/plain",
			},
		})
	}
	return c
}
