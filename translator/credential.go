package translator

import (
	_ "embed"
	"strings"

	mutationv3 "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	credentialv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/credential_injector/v3"
	headermutationv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_mutation/v3"
	luav3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/lua/v3"
	codecv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/upstream_codec/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	genericv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/injected_credentials/generic/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/attache-dev/attache/config"
)

// upstreamFilters are what is done to the requests of one backend, as filters
// of its cluster.
func (t *translation) upstreamFilters(b *config.Backend) (filters []*hcmv3.HttpFilter) {
	if speaksAnthropic(b) {
		filters = append(filters, httpFilter("backend.anthropic", anthropicHeaders))
	}
	if b.AI != nil && b.AI.Path != "" {
		filters = append(filters, httpFilter("backend.path", wholeTarget(b.AI.Path)))
	}
	if b.Credential != nil {
		filters = append(filters, t.credentialFilters(b)...)
	}
	if len(filters) == 0 {
		return nil
	}
	return append(filters, httpFilter("envoy.filters.http.upstream_codec", &codecv3.UpstreamCodec{}))
}

// speaksAnthropic tells whether a backend wants the headers of Anthropic's API.
func speaksAnthropic(b *config.Backend) bool { return b.AI != nil && b.AI.Provider == "anthropic" }

// anthropicHeaders says which version of the API is spoken, where the client
// does not. Anthropic refuses what browsers send with cross-origin requests;
// those are between the client and us.
var anthropicHeaders = &headermutationv3.HeaderMutation{Mutations: &headermutationv3.Mutations{
	RequestMutations: []*mutationv3.HeaderMutation{
		{Action: &mutationv3.HeaderMutation_Append{Append: &corev3.HeaderValueOption{
			Header:       &corev3.HeaderValue{Key: "anthropic-version", Value: "2023-06-01"},
			AppendAction: corev3.HeaderValueOption_ADD_IF_ABSENT,
		}}},
		remove("origin"),
		remove("access-control-request-method"),
		remove("access-control-request-headers"),
		{Action: &mutationv3.HeaderMutation_RemoveOnMatch_{RemoveOnMatch: &mutationv3.HeaderMutation_RemoveOnMatch{
			KeyMatcher: &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Prefix{Prefix: "sec-fetch-"}},
		}}},
	},
}}

//go:embed path.lua
var pathSource string

var pathScript = luaScript(pathSource)

// wholeTarget puts a path with a query in place of the client's. Envoy's own
// rewrites leave the query, and its query mutations decode what the client has
// encoded.
func wholeTarget(path string) protoMessage {
	return lua(pathScript, map[string]*structpb.Value{"path": structpb.NewStringValue(path)})
}

func remove(header string) *mutationv3.HeaderMutation {
	return &mutationv3.HeaderMutation{Action: &mutationv3.HeaderMutation_Remove{Remove: header}}
}

// credentialHeaders are the headers in which providers take keys. Those that
// the client sent must not reach a backend for which we have one of our own.
var credentialHeaders = []string{"authorization", "x-api-key", "api-key", "x-goog-api-key"}

// carrier is the header that brings a credential to the filter that puts it
// elsewhere. Clients cannot send it.
const carrier = ownHeaders + "credential"

// credentialFilters remove what the client sent and inject the secret, as
// filters of the cluster: the secret is in no route, no log and no dump. It
// always comes by SDS; Envoy 1.40 crashes on a static secret that is missing.
func (t *translation) credentialFilters(b *config.Backend) []*hcmv3.HttpFilter {
	name := secretName(b.Credential)
	t.place(name, b.Path)
	t.secrets[name] = &tlsv3.Secret{
		Name: name,
		Type: &tlsv3.Secret_GenericSecret{GenericSecret: &tlsv3.GenericSecret{
			Secret: inlineString(b.Credential.Reveal()),
		}},
	}
	removal := &headermutationv3.HeaderMutation{Mutations: &headermutationv3.Mutations{}}
	for _, h := range credentialHeaders {
		removal.Mutations.RequestMutations = append(removal.Mutations.RequestMutations, remove(h))
	}
	at := b.CredentialAt
	filters := []*hcmv3.HttpFilter{httpFilter("backend.removeClientCredentials", removal)}
	if at.Kind == config.LocationCookie {
		return append(filters, injector(name, config.Location{Name: carrier}), httpFilter("backend.backendAuth.cookie", cookie(at.Name)))
	}
	return append(filters, injector(name, at))
}

// injector puts a secret into a header, and answers 401 without it.
func injector(secret string, at config.Location) *hcmv3.HttpFilter {
	into := &genericv3.Generic{
		Credential:        &tlsv3.SdsSecretConfig{Name: secret, SdsConfig: adsSource()},
		HeaderValuePrefix: at.Prefix,
	}
	if at.Name != "authorization" {
		into.Header = at.Name
	}
	return httpFilter("backend.backendAuth", &credentialv3.CredentialInjector{
		Overwrite: true,
		Credential: &corev3.TypedExtensionConfig{
			Name:        "envoy.http.injected_credentials.generic",
			TypedConfig: mustAny(into),
		},
	})
}

// cookie moves the credential from its carrier into a cookie, in place of the
// client's cookie of that name. No filter but a script can change one cookie and
// keep the others. The name is a token, so it needs no escapes but for Lua's.
func cookie(name string) *luav3.Lua {
	script := `function envoy_on_request(handle)
  local headers, kept = handle:headers(), {}
  for crumb in string.gmatch(headers:get("cookie") or "", "[^;]+") do
    crumb = string.gsub(crumb, "^%s+", "")
    if string.match(crumb, "^([^=%s]*)") ~= NAME then
      table.insert(kept, crumb)
    end
  end
  table.insert(kept, NAME .. "=" .. headers:get("CARRIER"))
  headers:remove("CARRIER")
  headers:replace("cookie", table.concat(kept, "; "))
end
`
	script = strings.NewReplacer("NAME", `"`+name+`"`, "CARRIER", carrier).Replace(script)
	return &luav3.Lua{DefaultSourceCode: &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: script}}}
}
