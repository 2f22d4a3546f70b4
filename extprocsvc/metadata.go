package extprocsvc

import (
	"encoding/hex"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/protobuf/encoding/protowire"
)

const (
	// MetadataNamespace is the dynamic metadata that every decision is written
	// to. The ext_proc filter must list it in receiving_namespaces. Its keys
	// are "id", "verdict", "reason", "chain", "profile", "stage", "step",
	// "where", "unread", "collected", "service", "tags" (a list), "duration_us" and
	// [BackendKey], where they have something to say; see [Record].
	MetadataNamespace = "attache"
	// BackendKey is the key under which a chain that chooses names the backend;
	// its value is [Chain.Choice].
	BackendKey = "backend"
	// IDHeader is the response header with the record's ID. The service sets
	// it on answers of its own; for others Envoy has it in the metadata.
	IDHeader = "x-attache-id"
)

// newID returns 16 hexadecimal digits.
func newID() string {
	var b [8]byte
	n := rand.Uint64()
	for i := range b {
		b[i] = byte(n >> (8 * i))
	}
	return hex.EncodeToString(b[:])
}

// gatewayID returns the ID under which our chain in the gateway phase decided
// about the request, or nothing. Envoy forwards it in the metadata of a message.
func gatewayID(m *extprocv3.ProcessingRequest) string {
	id := m.GetMetadataContext().GetFilterMetadata()[MetadataNamespace].GetFields()["id"].GetStringValue()
	if len(id) != 16 || strings.Trim(id, "0123456789abcdef") != "" {
		return "" // not one of ours
	}
	return id
}

// Field numbers of the messages that the metadata is made of.
const (
	responseDynamicMetadata = 8 // ProcessingResponse.dynamic_metadata

	structFields                       = 1 // Struct.fields, a map
	entryKey, entryValue               = 1, 2
	valueNumber, valueString           = 2, 3 // Value.kind
	valueStruct, valueList, listValues = 5, 6, 1
)

// metadata is the record for Envoy, and with it for its access log: the field
// dynamic_metadata of a reply, encoded. A Struct of Go objects would cost more
// than everything else about a request that has nothing but a route. The
// result is valid until the next call.
func (s *stream) metadata() []byte {
	r := &s.record
	in := s.fields[:0]
	collected := ""
	if r.Collected {
		collected = "true"
	}
	for _, f := range [...]struct{ key, value string }{
		{"id", r.ID}, {"verdict", string(r.Verdict)}, {"reason", r.Reason}, {"chain", r.Chain},
		{"profile", r.Profile}, {"stage", r.Stage}, {"step", r.Step}, {"where", r.Where}, {"unread", r.Unread}, {"collected", collected},
		{"service", r.Service}, {BackendKey, s.choice},
	} {
		if f.value != "" {
			in = appendEntry(in, f.key, sizeString(f.value))
			in = appendString(in, f.value)
		}
	}
	if len(r.Tags) > 0 {
		size := 0
		for _, t := range r.Tags {
			size += sizeField(listValues, sizeString(t))
		}
		in = appendEntry(in, "tags", sizeField(valueList, size))
		in = protowire.AppendTag(in, valueList, protowire.BytesType)
		in = protowire.AppendVarint(in, uint64(size))
		for _, t := range r.Tags {
			in = protowire.AppendTag(in, listValues, protowire.BytesType)
			in = protowire.AppendVarint(in, uint64(sizeString(t)))
			in = appendString(in, t)
		}
	}
	in = appendEntry(in, "duration_us", protowire.SizeTag(valueNumber)+protowire.SizeFixed64())
	in = protowire.AppendTag(in, valueNumber, protowire.Fixed64Type)
	in = protowire.AppendFixed64(in, math.Float64bits(float64(r.Duration/time.Microsecond)))
	s.fields = in

	value := sizeField(valueStruct, len(in))
	entry := sizeField(entryKey, len(MetadataNamespace)) + sizeField(entryValue, value)
	out := protowire.AppendTag(s.wire[:0], responseDynamicMetadata, protowire.BytesType)
	out = protowire.AppendVarint(out, uint64(sizeField(structFields, entry)))
	out = appendEntry(out, MetadataNamespace, value)
	out = protowire.AppendTag(out, valueStruct, protowire.BytesType)
	s.wire = protowire.AppendBytes(out, in)
	return s.wire
}

// sizeField is the size of a field of size bytes, with its tag and length.
func sizeField(number protowire.Number, size int) int {
	return protowire.SizeTag(number) + protowire.SizeBytes(size)
}

func sizeString(v string) int { return sizeField(valueString, len(v)) }

// appendString appends a Value that is a string.
func appendString(b []byte, v string) []byte {
	b = protowire.AppendTag(b, valueString, protowire.BytesType)
	return protowire.AppendString(b, v)
}

// appendEntry appends an entry of a Struct up to the Value, which has size
// bytes.
func appendEntry(b []byte, key string, size int) []byte {
	b = protowire.AppendTag(b, structFields, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(sizeField(entryKey, len(key))+sizeField(entryValue, size)))
	b = protowire.AppendTag(b, entryKey, protowire.BytesType)
	b = protowire.AppendString(b, key)
	b = protowire.AppendTag(b, entryValue, protowire.BytesType)
	return protowire.AppendVarint(b, uint64(size))
}
