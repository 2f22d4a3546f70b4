package main

import (
	"fmt"
	"net"
	"strconv"

	"gopkg.in/yaml.v3"
)

// bootstrap is an Envoy with what attache extproc has printed: a listener, its
// filter, and the clusters of the service and of a model.
func bootstrap(printed []byte, addr, model string) ([]byte, error) {
	var parts struct {
		Filters  []any `yaml:"http_filters"`
		Clusters []any `yaml:"clusters"`
	}
	if err := yaml.Unmarshal(printed, &parts); err != nil {
		return nil, err
	}
	var to [2]any
	for i, a := range []string{addr, model} {
		host, port, err := net.SplitHostPort(a)
		if err != nil {
			return nil, err
		}
		n, err := strconv.Atoi(port)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", a, err)
		}
		to[i] = map[string]any{"socket_address": map[string]any{"address": host, "port_value": n}}
	}
	most := map[string]any{"max_connections": 1 << 20, "max_pending_requests": 1 << 20, "max_requests": 1 << 20}
	return yaml.Marshal(map[string]any{"static_resources": map[string]any{
		"listeners": []any{map[string]any{
			"name": "l", "address": to[0],
			"filter_chains": []any{map[string]any{"filters": []any{map[string]any{"name": "hcm", "typed_config": map[string]any{
				"@type":       "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
				"stat_prefix": "l",
				"http_filters": append(parts.Filters, map[string]any{"name": "router", "typed_config": map[string]any{
					"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}),
				"route_config": map[string]any{"virtual_hosts": []any{map[string]any{
					"name": "all", "domains": []any{"*"},
					"routes": []any{map[string]any{"match": map[string]any{"prefix": "/"}, "route": map[string]any{"cluster": "model", "timeout": "0s"}}},
				}}},
			}}}}},
		}},
		"clusters": append(parts.Clusters, map[string]any{
			"name": "model", "type": "STATIC",
			"circuit_breakers": map[string]any{"thresholds": []any{most}},
			"load_assignment": map[string]any{"cluster_name": "model", "endpoints": []any{map[string]any{"lb_endpoints": []any{map[string]any{
				"endpoint": map[string]any{"address": to[1]}}}}}},
		}),
	}})
}
