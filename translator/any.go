package translator

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

type protoMessage = proto.Message

// mustAny packs a message, always into the same bytes. It fails only for
// strings that are not UTF-8, which config has refused.
func mustAny(m protoMessage) *anypb.Any {
	a := new(anypb.Any)
	if err := anypb.MarshalFrom(a, m, proto.MarshalOptions{Deterministic: true}); err != nil {
		panic(fmt.Sprintf("translator: cannot pack %T: %v", m, err))
	}
	return a
}
