package translator

import (
	"strings"

	luav3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/lua/v3"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// Where no filter of Envoy's does what agentgateway does, a script does. Each
// is constant, and all that the user wrote reaches it as data. Scripts keep
// nothing between requests, so the routes that run the same one share its
// interpreters.

// luaVM names them.
const luaVM = "attache"

// luaScript is the text of a script as Envoy gets it: once for each route, so
// without comment lines and indentation.
func luaScript(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "--") {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}

// lua is a filter that runs a script, which finds the data in filterContext.
func lua(script string, data map[string]*structpb.Value) protoMessage {
	return &luav3.Lua{
		DefaultSourceCode: inlineString(script),
		ClearRouteCache:   wrapperspb.Bool(false), // no script changes what routes match
		FilterContext:     &structpb.Struct{Fields: data},
		SharedVmId:        luaVM,
	}
}
