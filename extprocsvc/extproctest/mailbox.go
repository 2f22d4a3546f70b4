package extproctest

import (
	"sync"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
)

// A reply is a message of the server, or the error that ends its stream.
type reply struct {
	message *extprocv3.ProcessingResponse
	err     error
}

// A mailbox keeps replies until somebody takes them, since neither Envoy nor
// agentgateway stops reading while it waits for something else. The last reply
// has an error, which is taken again and again.
type mailbox struct {
	mu      sync.Mutex
	arrived *sync.Cond
	replies []reply
}

func newMailbox() *mailbox {
	b := &mailbox{}
	b.arrived = sync.NewCond(&b.mu)
	return b
}

func (b *mailbox) put(r reply) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.replies = append(b.replies, r)
	b.arrived.Signal()
}

func (b *mailbox) take() reply {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.replies) == 0 {
		b.arrived.Wait()
	}
	r := b.replies[0]
	if r.err == nil {
		b.replies = b.replies[1:]
	}
	return r
}
