package xds

import (
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // the codec for everything else
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// codec is protobuf, but for large resources in responses: their bytes are those of
// the snapshot, and are not copied. So what fifty Envoys have not read yet is there
// once.
type codec struct{ encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2("proto")} }

// minShared is from which size on bytes are shared. Fewer are copied faster.
const minShared = 4 << 10

func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	r, ok := v.(*discoveryv3.DeltaDiscoveryResponse)
	if !ok {
		return c.CodecV2.Marshal(v)
	}
	b, err := proto.Marshal(&discoveryv3.DeltaDiscoveryResponse{
		SystemVersionInfo: r.GetSystemVersionInfo(), TypeUrl: r.GetTypeUrl(), Nonce: r.GetNonce(), RemovedResources: r.GetRemovedResources(),
	})
	if err != nil {
		return nil, err
	}
	var out mem.BufferSlice
	for _, item := range r.GetResources() {
		content := item.GetResource().GetValue()
		b = appendHead(b, item)
		if len(content) < minShared {
			b = append(b, content...)
			continue
		}
		out = append(out, mem.SliceBuffer(b), mem.SliceBuffer(content))
		b = nil
	}
	return append(out, mem.SliceBuffer(b)), nil
}

// appendHead writes a resource of a response up to its content, which is the last
// of its fields. A snapshot's resources have no others.
func appendHead(b []byte, item *discoveryv3.Resource) []byte {
	const ( // of DeltaDiscoveryResponse, Resource and Any
		resources               = 2
		version, resource, name = 1, 2, 3
		typeURL, value          = 1, 2
	)
	content := item.GetResource()
	field := func(n int) int { return protowire.SizeTag(1) + protowire.SizeBytes(n) }
	packed := field(len(content.GetTypeUrl())) + field(len(content.GetValue()))
	text := func(number protowire.Number, s string) {
		b = protowire.AppendString(protowire.AppendTag(b, number, protowire.BytesType), s)
	}
	open := func(number protowire.Number, size int) {
		b = protowire.AppendVarint(protowire.AppendTag(b, number, protowire.BytesType), uint64(size))
	}
	open(resources, field(len(item.GetVersion()))+field(len(item.GetName()))+field(packed))
	text(version, item.GetVersion())
	text(name, item.GetName())
	open(resource, packed)
	text(typeURL, content.GetTypeUrl())
	open(value, len(content.GetValue()))
	return b
}
