package extprocsvc

import (
	"strings"
	"sync"
)

// RingSize is how many decisions are remembered.
const RingSize = 4096

// A ring remembers the latest decisions.
type ring struct {
	mu      sync.Mutex
	records [RingSize]Record
	next    int
}

// add remembers a copy of a record, in the room of the oldest one.
func (r *ring) add(rec *Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := &r.records[r.next]
	steps, tags := old.Steps[:0], old.Tags[:0]
	*old = *rec
	old.Steps, old.Tags = append(steps, rec.Steps...), append(tags, rec.Tags...)
	r.next = (r.next + 1) % RingSize
}

// find returns the record of an ID, with that of the gateway phase in it.
func (r *ring) find(id string) (found Record, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var gateway *Record
	for i := range r.records {
		switch rec := &r.records[i]; {
		case rec.ID != id || id == "":
		case strings.HasPrefix(rec.Chain, gatewayChains):
			c := rec.copy()
			gateway = &c
		default:
			found, ok = rec.copy(), true
		}
	}
	if ok {
		found.Gateway = gateway
	} else if gateway != nil {
		found, ok = *gateway, true
	}
	return found, ok
}

// latest returns at most n records, the latest one first.
func (r *ring) latest(n int) (list []Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range min(n, RingSize) {
		rec := &r.records[(r.next-1-i+2*RingSize)%RingSize]
		if rec.ID == "" {
			break
		}
		list = append(list, rec.copy())
	}
	return list
}

// Explain returns the record of a decision, for as long as it is remembered:
// the latest [RingSize].
func (s *Server) Explain(id string) (Record, bool) { return s.ring.find(id) }

// Latest returns at most n of the latest decisions, the latest one first.
func (s *Server) Latest(n int) []Record { return s.ring.latest(n) }
