package translator

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/protobuf/types/known/structpb"

	"github.com/attache-dev/attache/config"
)

//go:embed cors.lua
var corsSource string

var corsScript = luaScript(corsSource)

// cors is the policy cors of a phase, of which name tells: gateway.cors or
// route.cors. It must be the first of its phase.
//
// Envoy's own filter forwards OPTIONS requests that are no preflights, tells
// methods to origins that are not allowed, and does not run where the route is
// a redirect or a direct response: on those of the user, on our 404, on routes
// without backends and on those whose chain chooses one. A script runs
// everywhere, so one mechanism does for all.
//
// The headers for the response wait in dynamic metadata, and both phases write
// to the same place: a route's replace those of its gateway.
func cors(name string, c *config.CORS) []policy {
	if c == nil {
		return nil
	}
	age := ""
	if c.MaxAge != nil {
		age = strconv.Itoa(int(c.MaxAge.Seconds()))
	}
	return []policy{{
		name:  name,
		key:   fmt.Sprintf("%v %+v %q %q %q %v %s", c.AnyOrigin, c.Origins, c.Methods, c.Headers, c.Exposed, c.Credentials, age),
		build: func() protoMessage { return lua(corsScript, corsData(c, age)) },
	}}
}

func corsData(c *config.CORS, age string) map[string]*structpb.Value {
	data := map[string]*structpb.Value{}
	for key, text := range map[string]string{
		"methods": strings.Join(c.Methods, ","),
		"headers": strings.Join(c.Headers, ","),
		"exposed": strings.Join(c.Exposed, ","),
		"age":     age,
	} {
		if text != "" {
			data[key] = structpb.NewStringValue(text)
		}
	}
	if c.Credentials {
		data["credentials"] = structpb.NewStringValue("true") // as the header has it
	}
	if c.AnyOrigin {
		data["any"] = structpb.NewBoolValue(true)
	}
	var origins []*structpb.Value
	for _, o := range c.Origins {
		origins = append(origins, stringList(strings.Split(fmt.Sprintf("%s://%s:%d", o.Scheme, o.Host, o.Port), "*")))
	}
	if len(origins) > 0 {
		data["origins"] = structpb.NewListValue(&structpb.ListValue{Values: origins})
	}
	return data
}

func stringList(list []string) *structpb.Value {
	values := make([]*structpb.Value, len(list))
	for i, s := range list {
		values[i] = structpb.NewStringValue(s)
	}
	return structpb.NewListValue(&structpb.ListValue{Values: values})
}
