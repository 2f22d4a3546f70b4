package xds

import (
	"regexp"
	"slices"
	"strings"
	"time"
)

// settleLimit is how long the Envoys that have said nothing about a snapshot can
// keep the others from accepting it.
const settleLimit = 30 * time.Second

// joinLimit is how long after a start Envoys may need to join again. They try
// every second.
const joinLimit = 5 * time.Second

// A Verdict is what the Envoys make of the published snapshot.
type Verdict struct {
	// Accepted tells that it is in force. It is then what a later refusal goes
	// back to.
	Accepted bool
	// Final tells that it stays accepted, whoever joins. Soon after a start it is
	// not, for Envoys that were connected before are still to come.
	Final bool
	// Refused are the refusals for which it has to go: an Envoy does not take the
	// content of a resource that is not in what was accepted finally.
	Refused []Nack
	// Again is when another look is due, even if no Envoy says anything; 0 is
	// never.
	Again time.Duration
}

// Judge looks at what the Envoys have answered, and remembers a snapshot that
// they have accepted. A snapshot is accepted when every Envoy has acknowledged
// all of it, or some have and the others keep silent for half a minute. Two
// kinds of refusals do not count:
//
//   - That a listener cannot bind its address says something about a machine and
//     nothing about the configuration.
//   - An Envoy that refuses what all others have accepted, because it is older,
//     does not decide about what comes later, as long as there are others. What an
//     Envoy has when it connects was accepted before this process began.
func (s *Server) Judge() Verdict {
	s.mu.Lock()
	snap, good, published, look := s.snapshot, s.final, s.publishedAt, s.look
	s.look = false
	streams := s.streamsLocked()
	s.mu.Unlock()
	if snap == nil {
		return Verdict{}
	}

	var v Verdict
	if look {
		v.Refused = refusals(streams, snap, good)
	}
	if len(v.Refused) > 0 {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.look = true // it stays refused, whoever asks
		if s.accepted == snap {
			s.accepted = s.final
		}
		return v
	}
	if v := s.accept(snap, false); v.Accepted {
		return v
	}

	sound, silent := 0, 0
	for _, st := range streams {
		switch settled, whole := st.settled(snap); {
		case !settled:
			silent++
		case whole:
			sound++
		}
	}
	if sound == 0 {
		return Verdict{}
	}
	if left := s.settleLimit - time.Since(published); silent > 0 && left > 0 {
		return Verdict{Again: left}
	}
	return s.accept(snap, true)
}

// accept remembers that the snapshot is accepted now, or was before, and whether
// that is final.
func (s *Server) accept(snap *Snapshot, now bool) Verdict {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.snapshot != snap || s.look {
		return Verdict{Again: time.Nanosecond} // something has happened meanwhile
	}
	if !now && snap != s.accepted {
		return Verdict{}
	}
	s.accepted = snap
	if left := s.joinLimit - time.Since(s.begun); left > 0 && snap != s.final {
		return Verdict{Accepted: true, Again: left}
	}
	s.final = snap
	return Verdict{Accepted: true, Final: true}
}

// ExpectOne tells that there is a single Envoy, so that none is waited for after
// it has joined.
func (s *Server) ExpectOne() { s.joinLimit = 0 }

// refusals are those for which the snapshot has to go: of the Envoys that have what
// was accepted, and of the others only where there is none of these.
func refusals(streams []*stream, snap, good *Snapshot) (list []Nack) {
	for _, st := range streams {
		vetoes, _ := st.vetoes(snap, good)
		for _, n := range vetoes {
			if slices.ContainsFunc(streams, func(other *stream) bool { return other.cameWith(n) }) {
				st.dissent(n)
			}
		}
	}
	var dissenting []Nack
	agreed := false
	for _, st := range streams {
		vetoes, dissents := st.vetoes(snap, good)
		if dissents {
			dissenting = append(dissenting, vetoes...)
			continue
		}
		agreed, list = agreed || st.known(), append(list, vetoes...)
	}
	if !agreed {
		return dissenting
	}
	return list
}

// cameWith tells whether the Envoy had what was refused when it connected.
func (st *stream) cameWith(n Nack) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	k, _ := kindOf(n.Type)
	e := st.session.types[k].entries[n.Resource]
	return e != nil && e.came == n.Version
}

// dissent notes that what the Envoy has refused was accepted before.
func (st *stream) dissent(n Nack) {
	st.mu.Lock()
	defer st.mu.Unlock()
	k, _ := kindOf(n.Type)
	if e := st.session.types[k].entries[n.Resource]; e != nil {
		e.dissents = true
	}
}

// known tells whether the Envoy has told who it is.
func (st *stream) known() bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.identified
}

// vetoes are the refusals of an Envoy of what is not accepted yet, and whether it
// refuses something that is.
func (st *stream) vetoes(snap, good *Snapshot) (list []Nack, dissents bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	for k := range kinds {
		for name, e := range st.session.types[k].entries {
			if n := e.nack; n != nil && n.Content && !e.dissents && snap.holds(k, name, n.Version) && !good.holds(k, name, n.Version) {
				nack := *n
				nack.Published = true
				nack.Node = st.session.node.ID
				list = append(list, nack)
			}
		}
	}
	sortNacks(list)
	return list, st.session.dissents()
}

// dissents tells whether the Envoy refuses something that was accepted.
func (s *session) dissents() bool {
	for k := range kinds {
		for _, e := range s.types[k].entries {
			if e.dissents {
				return true
			}
		}
	}
	return false
}

// settled tells whether the Envoy has answered everything in the snapshot, and
// has the whole of it but for what its machine does not allow. A stream that has
// not told who it is has no say: it is settled, and has nothing.
func (st *stream) settled(snap *Snapshot) (settled, whole bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if !st.identified {
		return true, false
	}
	return st.session.settled(snap)
}

func (s *session) settled(snap *Snapshot) (settled, whole bool) {
	if len(s.responses) > 0 || !s.types[clusters].started || !s.types[listeners].started {
		return false, false
	}
	dissents := s.dissents()
	whole, closed := !dissents, false
	for k := range kinds {
		t, answered := &s.types[k], 0
		for name, e := range t.entries {
			item := snap.find(k, name)
			if item == nil {
				continue
			}
			answered++
			switch {
			case e.has(item):
			case e.nonce != 0 || e.nack == nil || e.nack.Version != item.Version || e.nack.Content && !dissents:
				return false, false
			default:
				closed = closed || k == listeners // then nobody asks for its routes
			}
		}
		if t.wildcard && answered < len(snap.names[k]) {
			return false, false
		}
	}
	return closed || s.asked(snap), whole
}

// asked tells whether the Envoy has asked for all that the listeners name.
func (s *session) asked(snap *Snapshot) bool {
	for k, names := range snap.named {
		for _, name := range names {
			if s.types[k].entries[name] == nil {
				return false
			}
		}
	}
	return true
}

// holds tells whether the snapshot, which may be nil, has this version.
func (s *Snapshot) holds(k kind, name, version string) bool {
	if s == nil {
		return false
	}
	item := s.find(k, name)
	return item != nil && item.Version == version
}

// unbound is how Envoy says that a listener cannot have its address. It may be
// taken, or foreign to the machine, or need a right; Envoy's words for that are
// the operating system's.
var unbound = regexp.MustCompile(`: cannot bind '([^'\s]*)': ([A-Za-z ]+)`)

// machineReason returns why the machine of the Envoy does not allow a resource;
// false is that the content is refused.
func machineReason(k kind, reason string) (message string, ok bool) {
	if k != listeners {
		return "", false
	}
	m := unbound.FindStringSubmatch(reason)
	if m == nil {
		return "", false
	}
	return "cannot bind " + m[1] + ": " + strings.ToLower(m[2]), true
}
