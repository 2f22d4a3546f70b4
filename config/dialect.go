package config

import (
	"fmt"
	"slices"
	"strings"
)

// f5Keys are what only F5's own file has: keys of the whole file, and keys of
// the entries of a list.
var f5Keys = []struct{ list, key string }{
	{"", "server"}, {"", "adminServer"}, {"", "mode"},
	{"routes", "policy"}, {"policies", "profiles"}, {"services", "executor"},
}

// agentgatewayKeys are what only agentgateway's file has.
var agentgatewayKeys = strings.Fields("binds gatewayPolicies config frontendPolicies workloads backends routeGroups gateways tcpRoutes llm mcp ui")

// f5Sign returns the first place that shows the file to be F5's own; empty if
// it is not. processors and profiles alone are a file of ours.
func f5Sign(root *node) string {
	for _, s := range f5Keys {
		if s.list == "" {
			if root.get(s.key) != nil {
				return s.key
			}
			continue
		}
		list := root.get(s.list)
		if list == nil {
			continue
		}
		for i, entry := range list.children {
			if list.kind == sequenceNode && entry.get(s.key) != nil {
				return fmt.Sprintf("%s[%d].%s", s.list, i, s.key)
			}
		}
	}
	return ""
}

// mixture refuses agentgateway's keys in a file that sign shows to be F5's.
// What else is wrong with such a file nobody can tell.
func mixture(name string, root *node, sign string) (errs []*Error) {
	for i, key := range root.keys() {
		if slices.Contains(agentgatewayKeys, key.name) {
			errs = append(errs, &Error{
				File: name, Line: int(key.line), Column: int(key.column), Path: root.children[i].path(), Kind: Conflict,
				Msg: fmt.Sprintf("agentgateway's key beside F5's %s (line %d); a file is one or the other: see attache convert", sign, root.at(sign).line),
			})
		}
	}
	return errs
}
