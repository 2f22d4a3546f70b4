package translator

import (
	_ "embed"
	"fmt"

	"google.golang.org/protobuf/types/known/structpb"

	"github.com/attache-dev/attache/config"
)

//go:embed csrf.lua
var csrfSource string

var csrfScript = luaScript(csrfSource)

// csrf is the policy csrf of a route. Envoy's own filter refuses clients that
// send no Origin, and does not look at Sec-Fetch-Site.
func csrf(c *config.CSRF) []policy {
	if c == nil {
		return nil
	}
	return []policy{{
		name: routeCSRF,
		key:  fmt.Sprintf("%q", c.Origins),
		build: func() protoMessage {
			trusted := map[string]*structpb.Value{}
			for _, origin := range c.Origins {
				trusted[origin] = structpb.NewBoolValue(true)
			}
			return lua(csrfScript, map[string]*structpb.Value{"trusted": structpb.NewStructValue(&structpb.Struct{Fields: trusted})})
		},
	}}
}
