package xds

import (
	"slices"
	"strconv"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
)

// A session is what one Envoy was told on one stream and what it answered. It
// does no input or output and needs a lock around it.
//
// It decides what to send by comparing what was told with the snapshot of the
// moment. So its size depends on the number of resources alone, not on how
// many snapshots an Envoy is behind. For the same reason the number of
// unanswered responses needs no limit: there is at most one for each resource
// (a newer one takes its place), and gRPC's flow control bounds their bytes.
type session struct {
	node      Node // identity only
	snapshot  *Snapshot
	final     *Snapshot // what was accepted, see [Server.Judge]; may be nil
	types     [kinds]subscription
	nonce     uint64
	responses map[uint64]response // not yet answered
	patience  time.Duration       // see [session.warming]
	grace     time.Duration       // see [session.lingering]
	heldGrace time.Duration
}

// A subscription is the part of a session about one kind.
type subscription struct {
	started  bool // the first request has come
	wildcard bool
	// unanswered tells that the first response to a wildcard is still due.
	unanswered bool
	entries    map[string]*entry
	// The plan: what is to be sent and what is to be removed, and whether it
	// is valid for the snapshot and the subscriptions.
	planned    bool
	todo, gone []string
}

// An entry is about one resource.
type entry struct {
	subscribed bool // by its name
	due        bool // to be told even if nothing has changed
	// told is the version that was sent last, or that the Envoy had when it
	// connected. It is empty if nothing was told yet, or the absence.
	told string
	// acked is the version that the Envoy has acknowledged last and still
	// has, or empty.
	acked string
	// came is the version that the Envoy had when it connected, or empty.
	came string
	// nonce is the response that it has not answered yet, or 0.
	nonce uint64
	// warms is the response with a cluster for which these addresses were made due.
	warms uint64
	// since is when an Envoy that had none was first sent the told version.
	since time.Time
	// held tells that filters of the Envoy may have streams on this cluster.
	held bool
	// unused is since when nothing that the Envoy has uses it; zero while
	// something may.
	unused time.Time
	// refused tells that the told version was refused; nack remembers that
	// until a version is acknowledged.
	refused bool
	nack    *Nack
	// dissents tells that the Envoy has refused a version that was accepted, and
	// has acknowledged none since.
	dissents bool
	// again is when to send once more what a machine did not allow; zero if
	// nothing is.
	again time.Time
}

type response struct {
	kind  kind
	names []string
}

func newSession(patience, grace, heldGrace time.Duration) *session {
	s := &session{responses: map[uint64]response{}, patience: patience, grace: grace, heldGrace: heldGrace}
	for k := range s.types {
		s.types[k].entries = map[string]*entry{}
	}
	return s
}

// receive takes a request: a subscription, an answer to a response, or both.
// It returns what was refused, if anything.
func (s *session) receive(req *discoveryv3.DeltaDiscoveryRequest, now time.Time) *Nack {
	k, ok := kindOf(req.GetTypeUrl())
	if !ok {
		return nil // a type that we have nothing of
	}
	s.subscribe(k, req)
	return s.answer(k, req, now)
}

func (s *session) subscribe(k kind, req *discoveryv3.DeltaDiscoveryRequest) {
	t := &s.types[k]
	add, drop := req.GetResourceNamesSubscribe(), req.GetResourceNamesUnsubscribe()
	first := !t.started
	if !first && len(add) == 0 && len(drop) == 0 {
		return
	}
	t.started, t.planned = true, false
	if first && len(add) == 0 && k.wildcard() {
		add = []string{"*"}
	}
	for _, name := range add {
		if name == "*" && k.wildcard() {
			t.unanswered = t.unanswered || !t.wildcard
			t.wildcard = true
			continue
		}
		// A name that is subscribed again is sent again: the protocol lets
		// a client forget.
		e := t.entry(name)
		e.subscribed, e.due = true, true
	}
	for _, name := range drop {
		if name == "*" && k.wildcard() {
			t.wildcard = false
			for name, e := range t.entries {
				if !e.subscribed {
					s.forget(k, name)
				}
			}
			continue
		}
		switch e := t.entries[name]; {
		case e == nil:
		case t.wildcard:
			e.subscribed, e.due = false, true // it still has it by the wildcard
		default:
			s.forget(k, name)
		}
	}
	if !first {
		return
	}
	for name, version := range req.GetInitialResourceVersions() {
		if t.wildcard || t.entries[name] != nil {
			e := t.entry(name)
			e.told, e.acked, e.came, e.due = version, version, version, false
			e.held = true // if it is gone, nobody knows
		}
	}
}

// answer takes the part of a request that answers a response.
func (s *session) answer(k kind, req *discoveryv3.DeltaDiscoveryRequest, now time.Time) *Nack {
	nonce, err := strconv.ParseUint(req.GetResponseNonce(), 10, 64)
	if err != nil {
		return nil // only a subscription
	}
	r, ok := s.responses[nonce]
	if !ok || r.kind != k {
		return nil // answered before, or replaced by a newer response
	}
	delete(s.responses, nonce)
	t, refusal := &s.types[k], req.GetErrorDetail()
	for _, name := range r.names {
		e := t.entries[name]
		if e == nil || e.nonce != nonce {
			continue // replaced by a newer response
		}
		e.nonce = 0
		switch {
		case refusal == nil:
			e.acked, e.nack, e.dissents = e.told, nil, false
			if e.told == "" && !e.subscribed {
				s.forget(k, name)
			}
		case len(r.names) > 1:
			// Somewhere in the batch is a mistake. Sent one by one, the good
			// ones arrive and the bad one is known.
			e.due, t.planned = true, false
		default:
			e.refused = e.told != "" // nobody can refuse to have nothing
			e.dissents = e.dissents || s.final.holds(k, name, e.told)
			before := e.nack
			e.nack = s.refusal(k, e, name, refusal.GetMessage(), now)
			e.nack.repeats = before != nil && before.Version == e.nack.Version && before.Message == e.nack.Message
			if !e.nack.Content {
				e.again = now.Add(retryPause)
			}
			return e.nack
		}
	}
	return nil
}

// refusal notes what may be kept of it.
func (s *session) refusal(k kind, e *entry, name, reason string, now time.Time) *Nack {
	n := &Nack{
		Node:     s.node.ID,
		Resource: name,
		Type:     typeURLs[k],
		Version:  e.told,
		Time:     now,
	}
	place, hint := s.trace(k, e, name, reason)
	message, machine := machineReason(k, reason)
	if !machine {
		n.Content = true
		message = s.reason(k, e, name, reason) + hint
	}
	n.Place, n.Message = place, message
	return n
}

// reason returns what may be kept of a refusal of content.
func (s *session) reason(k kind, e *entry, name, reason string) string {
	item := s.snapshot.find(k, name)
	if item == nil || item.Version != e.told {
		return "refused; it is about to be replaced" // what it contained is not known any more
	}
	return redact(item.GetResource(), reason)
}

// forget drops what is known about a resource, its unanswered response
// included.
func (s *session) forget(k kind, name string) {
	e := s.types[k].entries[name]
	s.replace(e)
	delete(s.types[k].entries, name)
}

// replace makes the answer to an entry's last response irrelevant. A batch
// remains until it is answered; there is one for each stream.
func (s *session) replace(e *entry) {
	if len(s.responses[e.nonce].names) == 1 {
		delete(s.responses, e.nonce)
	}
	e.nonce = 0
}

// next returns the response to send now, or nil. If it holds one back, it says
// for how long at most.
func (s *session) next(snap *Snapshot, now time.Time) (*discoveryv3.DeltaDiscoveryResponse, time.Duration) {
	if snap == nil {
		return nil, 0
	}
	retry := s.retry(now)
	resp, wait := s.choose(snap, now)
	if resp == nil && retry > 0 && (wait == 0 || retry < wait) {
		wait = retry
	}
	return resp, wait
}

// retry makes due what a machine did not allow, when its time has come. It
// returns how long the next has to wait, or 0.
func (s *session) retry(now time.Time) (wait time.Duration) {
	t := &s.types[listeners]
	for _, e := range t.entries {
		if e.again.IsZero() {
			continue
		}
		left := e.again.Sub(now)
		switch {
		case left <= 0:
			e.again, e.due, t.planned = time.Time{}, true, false
		case wait == 0 || left < wait:
			wait = left
		}
	}
	return wait
}

// retryPause is how often a machine is asked whether it allows something now.
const retryPause = 5 * time.Second

// choose is next for what is due.
func (s *session) choose(snap *Snapshot, now time.Time) (*discoveryv3.DeltaDiscoveryResponse, time.Duration) {
	if s.snapshot != snap {
		s.snapshot = snap
		for k := range s.types {
			s.types[k].planned = false
		}
	}
	for k := range kinds {
		t := &s.types[k]
		if k == endpoints {
			s.addressAgain()
		}
		t.plan(k, snap)
		if len(t.todo) == 0 && !t.unanswered {
			continue
		}
		if k.usesClusters() {
			if wait := s.warming(now); wait > 0 {
				return nil, wait
			}
		}
		n := min(1, len(t.todo))
		if k == clusters && t.unanswered {
			n = len(t.todo)
		}
		t.unanswered = false
		names := slices.Clone(t.todo[:n])
		t.todo = t.todo[n:]
		return s.send(k, names, now), 0
	}
	for _, k := range removals {
		t := &s.types[k]
		if len(t.gone) == 0 || !s.mayRemove(k) {
			continue
		}
		i := 0
		if k == clusters {
			var wait time.Duration
			if i, wait = s.lingering(now); wait > 0 {
				return nil, wait
			}
		}
		name := t.gone[i]
		t.gone = slices.Delete(t.gone, i, i+1)
		return s.send(k, []string{name}, now), 0
	}
	return nil, 0
}

// addressAgain makes due the addresses of each cluster that the Envoy has not
// answered yet: before it answers an edit it waits for them, and it does not ask
// again for what it has.
func (s *session) addressAgain() {
	t := &s.types[endpoints]
	for cluster, name := range s.snapshot.addresses {
		c, e := s.types[clusters].entries[cluster], t.entries[name]
		if c == nil || c.nonce == 0 || e == nil || e.warms == c.nonce {
			continue
		}
		e.warms, e.due, t.planned = c.nonce, true, false
	}
}

// lingering returns which of the clusters that are gone goes next, and how long
// it has to stay: requests that found their route before it changed may still be
// on their way to it, in external processing or waiting for a connection, and
// filters may have streams on it.
func (s *session) lingering(now time.Time) (next int, wait time.Duration) {
	t := &s.types[clusters]
	for i, name := range t.gone {
		e := t.entries[name]
		if e.unused.IsZero() {
			e.unused = now
		}
		grace := s.grace
		if e.held {
			grace = s.heldGrace
		}
		if left := grace - now.Sub(e.unused); i == 0 || left < wait {
			next, wait = i, left
		}
	}
	return next, wait
}

// plan compares what was told with what the snapshot has.
func (t *subscription) plan(k kind, snap *Snapshot) {
	if t.planned {
		return
	}
	t.planned, t.todo, t.gone = true, nil, nil
	for _, name := range snap.names[k] {
		e := t.entries[name]
		if e == nil && !t.wildcard {
			continue
		}
		if e != nil {
			e.unused, e.held = time.Time{}, snap.held[name]
		}
		if e == nil || e.due || e.told != snap.find(k, name).Version {
			t.todo = append(t.todo, name)
		}
	}
	for name, e := range t.entries {
		switch {
		case snap.find(k, name) != nil:
		case e.told != "" || e.acked != "":
			e.refused = false // whatever it has is to go
			t.gone = append(t.gone, name)
		case e.due && k.answersMissing():
			t.todo = append(t.todo, name)
		}
	}
	slices.Sort(t.gone)
}

// send makes a response and notes it. The names are of resources of the
// snapshot, or of such as it does not have.
func (s *session) send(k kind, names []string, now time.Time) *discoveryv3.DeltaDiscoveryResponse {
	s.nonce++
	resp := &discoveryv3.DeltaDiscoveryResponse{
		TypeUrl:           typeURLs[k],
		Nonce:             strconv.FormatUint(s.nonce, 10),
		SystemVersionInfo: s.snapshot.version,
	}
	for _, name := range names {
		e := s.types[k].entry(name)
		s.replace(e)
		e.nonce, e.due, e.refused, e.again = s.nonce, false, false, time.Time{}
		item := s.snapshot.find(k, name)
		if item == nil {
			e.told, e.acked = "", ""
			resp.RemovedResources = append(resp.RemovedResources, name)
			continue
		}
		if e.acked == "" && e.told != item.Version {
			e.since = now
		}
		e.told, e.held = item.Version, s.snapshot.held[name]
		resp.Resources = append(resp.Resources, item)
	}
	s.responses[s.nonce] = response{k, names}
	return resp
}

// warming returns how long updates that may name a new cluster have to wait:
// until the Envoy has acknowledged each cluster that it did not have before,
// but not longer than the session's patience for any of them.
func (s *session) warming(now time.Time) time.Duration {
	for name, e := range s.types[clusters].entries {
		if e.told == "" || e.acked != "" || s.snapshot.find(clusters, name) == nil {
			continue
		}
		if left := s.patience - now.Sub(e.since); left > 0 {
			return left
		}
	}
	return 0
}

// mayRemove tells whether nothing that the Envoy has can still use those
// resources of the kind that are gone.
func (s *session) mayRemove(k kind) bool {
	// The new must run first. An Envoy that has just connected may not have
	// told yet what it has, so what listeners name is asked for as well.
	if !s.types[listeners].started || !s.runs(s.snapshot) {
		return false
	}
	for user := extensions; user < kinds; user++ {
		if t := &s.types[user]; !t.updated() || k != listeners && !t.cleared() {
			return false
		}
	}
	// Clusters use endpoints and secrets. But an Envoy withholds its answer
	// while any cluster warms, so clusters do not wait for each other.
	switch t := &s.types[clusters]; k {
	case endpoints, secrets:
		return t.updated() && t.cleared()
	default:
		return true
	}
}

// runs tells whether the Envoy has what the listeners of the snapshot name.
func (s *session) runs(snap *Snapshot) bool {
	for k, names := range snap.named {
		for _, name := range names {
			if e := s.types[k].entries[name]; e == nil || !e.has(snap.find(kind(k), name)) {
				return false
			}
		}
	}
	return true
}

// updated tells whether the Envoy has accepted every update.
func (t *subscription) updated() bool {
	for _, e := range t.entries {
		if e.refused || e.nonce != 0 && e.told != "" {
			return false
		}
	}
	return len(t.todo) == 0
}

// cleared tells whether the Envoy has nothing any more that is gone.
func (t *subscription) cleared() bool {
	for _, e := range t.entries {
		if e.nonce != 0 && e.told == "" {
			return false
		}
	}
	return len(t.gone) == 0
}

func (t *subscription) entry(name string) *entry {
	e := t.entries[name]
	if e == nil {
		e = &entry{}
		t.entries[name] = e
	}
	return e
}

// has tells whether the Envoy has acknowledged this version and no other was
// sent since.
func (e *entry) has(item *discoveryv3.Resource) bool {
	return e.nonce == 0 && e.told == item.Version && e.acked == item.Version
}
