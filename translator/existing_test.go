package translator

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"

	"github.com/attache-dev/attache/config"
)

// A filter of somebody's Envoy asks for what one of the profiles needs, and fails
// open if all of them do.
func TestExisting(t *testing.T) {
	header := &Chain{FailOpen: true}
	body := &Chain{FailOpen: true, ReadsBody: true}
	both := &Chain{ReadsBody: true, ReadsResponse: true}
	service := config.Target{Host: "attache.test", Port: 1}
	for _, c := range []struct {
		name          string
		e             Existing
		want, without string
	}{
		{"headers only", Existing{Chains: []*Chain{header}}, "failure_mode_allow:true", "body_mode"},
		{"open with a body", Existing{Chains: []*Chain{header, body}}, "request_body_mode:BUFFERED", "FULL_DUPLEX"},
		{"one is closed", Existing{Chains: []*Chain{header, both}}, "response_body_mode:FULL_DUPLEX_STREAMED", "failure_mode_allow"},
		{"no chain", Existing{}, "request_header_mode:SEND", "failure_mode_allow"},
		{"a percent sign is one", Existing{Chains: []*Chain{body}, Profile: "100%"}, `key:"x-attache-profile" value:"100%%"`, "x-attache-chain"},
		{"routes", Existing{Chains: []*Chain{body}, Routes: true}, `request_attributes:"xds.route_name"`, "x-attache"},
		{"TLS", Existing{Chains: []*Chain{body}, TLS: &ExistingTLS{Root: "/r"}}, `filename:"/r"`, "tls_certificates"},
		{"mTLS", Existing{Chains: []*Chain{body}, TLS: &ExistingTLS{Root: "/r", Cert: "/c", Key: "/k"}}, `private_key:{filename:"/k"}`, "sds"},
	} {
		c.e.Service = service
		filter, cluster := c.e.Resources(&config.Config{})
		text := strings.Join(strings.Fields(prototext.Format(filter)+" "+prototext.Format(cluster)), " ")
		text = strings.NewReplacer(": ", ":", "{ ", "{", " }", "}").Replace(text)
		if !strings.Contains(text, c.want) || strings.Contains(text, c.without) {
			t.Errorf("%s: want %s and no %s in\n%s", c.name, c.want, c.without, text)
		}
	}
}

func TestVerifiable(t *testing.T) {
	for target, want := range map[config.Target]bool{
		{Host: "a.test"}: true, {Host: "10.0.0.1"}: true, {Host: "::"}: false, {Host: "0.0.0.0"}: false, {Unix: "/s"}: false,
	} {
		if got := Verifiable(target); got != want {
			t.Errorf("%v: %v", target, got)
		}
	}
}
