package xds

import (
	"slices"
	"strings"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	awsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/aws/v3"
	apikeyauthv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/api_key_auth/v3"
	awssigningv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/aws_request_signing/v3"
	basicauthv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/basic_auth/v3"
	"google.golang.org/protobuf/types/known/anypb"
)

// The reasons are Envoy's own where they look like it; "hunter2" is secret.
func TestRedact(t *testing.T) {
	for _, tt := range []struct {
		kind     kind
		in, want string
	}{
		{routes, "missing ): (unclosed", "missing ): (unclosed"},
		{routes, "the filter x doesn't support virtual host or route specific configurations", "the filter x doesn't support virtual host or route specific configurations"},
		{clusters, "goo.gle/debugproto  \nname: \"b\"\nkey: \"hunter2\"\n: Proto constraint validation failed (ClusterValidationError.ConnectTimeout: value must be greater than 0s)",
			"Proto constraint validation failed (ClusterValidationError.ConnectTimeout: value must be greater than 0s)"},
		{clusters, `Error adding/updating cluster(s) b: Proto constraint validation failed (X: rule): name: "b" password: "hunter2"`,
			"Proto constraint validation failed (X: rule)"},
		{clusters, "goo.gle/debugproto  \nkey: \"hunter2\"", "goo.gle/"},
		{routes, "Duplicated credential key: 'hunter2'", "Duplicated credential key: (withheld)"},
		{routes, "Duplicated credential key: 'x' 'hunter2'", "Duplicated credential key: (withheld)"},
		{routes, "Duplicated credential key: 'hunter2", "Duplicated credential key"},
		{routes, `regex '/\pL{60}' RE2 program size of 425 > max program size of 100 set for the error level threshold. Increase configured max program size if necessary.`,
			"regex (withheld) RE2 program size of 425 > max program size of 100 set for the error level threshold. Increase configured max program size if necessary."},
		{routes, "regex 'a{2}' {\"key\":\"hunter2\"}", "regex (withheld)"},
		{routes, "Provider 'p' doesn't work", "Provider (withheld) doesn't work"},
		{routes, `script load error: [string "local key = "hunter2" .. 'hunter2'"]:1: '=' expected`, "script load error: [string (withheld)]:1: (withheld) expected"},
		{routes, "script load error: [string \"local key = 'hunter2'\nend\"]:1: '=' expected", "script load error: [string"},
		{listeners, `bad listener: {"key":"hunter2"}`, "bad listener"},
		{listeners, "bad listener:\nkey: hunter2", "bad listener"},
		{clusters, "cannot parse -----BEGIN PRIVATE KEY-----", "cannot parse"},
		{secrets, "Invalid hunter2", "refused; the reason is withheld, since it can contain the secret"},
		{routes, strings.Repeat("é", 200), strings.Repeat("é", 150) + "..."},
		{routes, "x" + strings.Repeat("é", 200), "x" + strings.Repeat("é", 149) + "..."},
		{routes, strings.Repeat("\x80", 400), "?"},
		{routes, "", ""},
	} {
		if got := redact(&anypb.Any{TypeUrl: typeURLs[tt.kind]}, tt.in); got != tt.want {
			t.Errorf("redact(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestSensitiveValues(t *testing.T) {
	rc := table("r", "cluster")
	rc.RequestHeadersToAdd = []*corev3.HeaderValueOption{{Header: &corev3.HeaderValue{Key: "header", Value: "Bearer hunter2"}}}
	rc.TypedPerFilterConfig = map[string]*anypb.Any{
		"basic": chain(&basicauthv3.BasicAuth{Users: &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: "user:one\nuser:two\n"}}}),
		"key":   chain(&apikeyauthv3.ApiKeyAuth{Credentials: []*apikeyauthv3.Credential{{Key: "api-key", Client: "client"}}}),
		"aws": chain(&awssigningv3.AwsRequestSigning{CredentialProvider: &awsv3.AwsCredentialProvider{
			InlineCredential: &awsv3.InlineCredentialProvider{SecretAccessKey: "marked as sensitive"},
		}}),
	}
	got := sensitive(pack(rc))
	want := []string{"marked as sensitive", "user:one\nuser:two", "Bearer hunter2", "user:one", "user:two", "api-key"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := redact(pack(rc), "Incorrect configuration: Bearer hunter2. No command"); got != "Incorrect configuration: (withheld). No command" {
		t.Errorf("got %q", got)
	}
	if got := sensitive(pack(&clusterv3.Cluster{Name: "cluster"})); len(got) != 0 {
		t.Errorf("got %q", got)
	}
}
