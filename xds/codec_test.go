package xds

import (
	"bytes"
	"testing"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// TestCodec: what is written is protobuf, and large contents are not copied.
func TestCodec(t *testing.T) {
	item := func(name string, size int) *discoveryv3.Resource {
		return &discoveryv3.Resource{Name: name, Version: "v", Resource: &anypb.Any{TypeUrl: "type", Value: bytes.Repeat([]byte("x"), size)}}
	}
	large := item("large", 300_000)
	for _, r := range []*discoveryv3.DeltaDiscoveryResponse{
		{},
		{SystemVersionInfo: "1", TypeUrl: "t", Nonce: "2", RemovedResources: []string{"a", "b"}},
		{TypeUrl: "t", Nonce: "3", Resources: []*discoveryv3.Resource{item("small", 10)}},
		{TypeUrl: "t", Nonce: "4", Resources: []*discoveryv3.Resource{large}},
		{TypeUrl: "t", Nonce: "5", Resources: []*discoveryv3.Resource{item("empty", 0), large, item("limit", minShared), item("", 1), item("below", minShared-1)}},
	} {
		out, err := newCodec().Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		got := &discoveryv3.DeltaDiscoveryResponse{}
		if err := proto.Unmarshal(out.Materialize(), got); err != nil {
			t.Fatal(err)
		}
		// An empty text is written here, and left out there: it means the same.
		if !proto.Equal(got, r) {
			t.Errorf("nonce %s: read again, it is another response", r.Nonce)
		}
		shared := 0
		for _, b := range out {
			if data := b.ReadOnlyData(); len(data) == 300_000 && &data[0] == &large.Resource.Value[0] {
				shared++
			}
		}
		for _, item := range r.Resources {
			if item == large {
				shared--
			}
		}
		if shared != 0 {
			t.Errorf("nonce %s: the large content was copied", r.Nonce)
		}
	}
}
