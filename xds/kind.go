package xds

import (
	resourcev3 "github.com/envoyproxy/go-control-plane/pkg/resource/v3"
)

// A kind is a type of resource. The order is the order of updates: a kind
// names only resources of the kinds before it. Endpoints are the exception;
// they follow the clusters that name them, since Envoy asks for them only
// when it has the cluster.
type kind int

const (
	secrets kind = iota
	clusters
	endpoints
	extensions
	listeners
	routes
	kinds // how many there are
)

// removals is the order in which resources are removed: what uses goes before
// what is used. Extensions and routes are missing, see the package comment.
var removals = [...]kind{listeners, clusters, endpoints, secrets}

var typeURLs = [kinds]string{
	secrets:    resourcev3.SecretType,
	clusters:   resourcev3.ClusterType,
	endpoints:  resourcev3.EndpointType,
	extensions: resourcev3.ExtensionConfigType,
	listeners:  resourcev3.ListenerType,
	routes:     resourcev3.RouteType,
}

// kindOf returns false for a type that we do not serve.
func kindOf(typeURL string) (kind, bool) {
	for k, u := range typeURLs {
		if u == typeURL {
			return kind(k), true
		}
	}
	return 0, false
}

// String returns the name of the kind in messages to the user.
func (k kind) String() string {
	return [kinds]string{
		secrets:    "secret",
		clusters:   "cluster",
		endpoints:  "endpoint assignment",
		extensions: "extension configuration",
		listeners:  "listener",
		routes:     "route configuration",
	}[k]
}

// wildcard tells whether a first request without names asks for everything.
// The protocol has it so for these two only.
func (k kind) wildcard() bool { return k == clusters || k == listeners }

// answersMissing tells whether a name that does not exist is reported as
// removed at once.
func (k kind) answersMissing() bool { return k == secrets || k == endpoints }

// removable tells whether a resource that is gone is removed by a response.
func (k kind) removable() bool { return k != extensions && k != routes }

// usesClusters tells whether resources of the kind direct requests to
// clusters.
func (k kind) usesClusters() bool { return k == extensions || k == listeners || k == routes }
