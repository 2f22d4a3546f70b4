package envoy_test

import (
	"net"
	"path/filepath"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// controlPlane is as little of a delta ADS server as an Envoy can join. It
// answers the first request of each type with one resource, or with none.
type controlPlane struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer
	address   string
	resources map[string]proto.Message // by type URL
	joined    chan *corev3.Node        // an Envoy opened a stream
	left      chan struct{}            // and it ended
	refused   chan string              // why a resource was
}

func newControlPlane(t *testing.T, resources ...proto.Message) *controlPlane {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	return serve(t, listener, "unix:"+path, insecure.NewCredentials(), resources...)
}

func serve(t *testing.T, listener net.Listener, address string, creds credentials.TransportCredentials, resources ...proto.Message) *controlPlane {
	t.Helper()
	c := &controlPlane{
		address:   address,
		resources: map[string]proto.Message{},
		joined:    make(chan *corev3.Node, 10),
		left:      make(chan struct{}, 10),
		refused:   make(chan string, 10),
	}
	for _, resource := range resources {
		c.resources["type.googleapis.com/"+string(resource.ProtoReflect().Descriptor().FullName())] = resource
	}
	server := grpc.NewServer(grpc.Creds(creds))
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(server, c)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return c
}

// DeltaAggregatedResources implements the service.
func (c *controlPlane) DeltaAggregatedResources(stream discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	defer func() { c.left <- struct{}{} }()
	first := true
	for {
		request, err := stream.Recv()
		if err != nil {
			return err
		}
		if first {
			c.joined <- request.GetNode()
			first = false
		}
		if request.GetErrorDetail() != nil {
			c.refused <- request.GetErrorDetail().GetMessage()
		}
		if request.GetResponseNonce() != "" {
			continue
		}
		response := &discoveryv3.DeltaDiscoveryResponse{TypeUrl: request.GetTypeUrl(), Nonce: request.GetTypeUrl()}
		if resource := c.resources[request.GetTypeUrl()]; resource != nil {
			content, err := anypb.New(resource)
			if err != nil {
				return err
			}
			response.Resources = []*discoveryv3.Resource{{Name: resource.(interface{ GetName() string }).GetName(), Version: "1", Resource: content}}
		}
		if err := stream.Send(response); err != nil {
			return err
		}
	}
}
