package xds

import (
	"fmt"
	"slices"
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
)

// minMention is from which length on a text in Envoy's reason can tell where it
// comes from, in bytes.
const minMention = 3

// suspects returns where in the file the routes are for which a route table may
// have been refused, in the order of the table. Envoy names none. What was
// accepted before is right, so the mistake is in a route that is not in the
// accepted table, which may be nil; and if Envoy's reason quotes a text of some
// of those, it is in one that has the longest.
func suspects(accepted, refused *discoveryv3.Resource, reason string, places map[string]string) (list []string) {
	right := map[string]bool{}
	for _, vh := range virtualHosts(accepted) {
		for _, r := range vh.Routes {
			right[bytesOf(r)] = true
		}
		vh.Routes = nil
		right[bytesOf(vh)] = true
	}
	longest := 0
	for _, vh := range virtualHosts(refused) {
		shell := &routev3.VirtualHost{}
		proto.Merge(shell, vh)
		shell.Routes = nil
		changed := !right[bytesOf(shell)]
		for _, r := range vh.Routes {
			place := places[r.Name]
			if place == "" || !changed && right[bytesOf(r)] {
				continue
			}
			n := mention(r, reason)
			if n < longest {
				continue
			}
			if n > longest {
				longest, list = n, nil
			}
			if !slices.Contains(list, place) {
				list = append(list, place)
			}
		}
	}
	return list
}

// Explain is for what Envoy's validate mode says about all resources at once. It
// returns where in the file that comes from, if that is known, and what of it is
// safe to show.
func (s *Snapshot) Explain(reason string) (place, message string) {
	message = reason
	for _, items := range s.items {
		for _, item := range items {
			message = withhold(item.GetResource(), message)
		}
	}
	return s.trace(reason), unquoted(message)
}

// trace returns the place of the only route whose longest text the reason quotes,
// else of the resource with the longest name that it has, or nothing.
func (s *Snapshot) trace(reason string) (place string) {
	longest, several := 0, false
	for _, table := range s.items[routes] {
		for _, vh := range virtualHosts(table) {
			for _, r := range vh.Routes {
				at, n := s.routePlaces[r.Name], mention(r, reason)
				switch {
				case at == "" || n < longest || n == 0:
				case n > longest:
					longest, place, several = n, at, false
				case at != place:
					several = true
				}
			}
		}
	}
	if place != "" && !several {
		return place
	}
	longest, place = 0, ""
	for k := range kinds {
		for _, name := range s.names[k] {
			if at := s.places[name]; at != "" && len(name) > longest && strings.Contains(reason, name) {
				longest, place = len(name), at
			}
		}
	}
	return place
}

func virtualHosts(table *discoveryv3.Resource) []*routev3.VirtualHost {
	var rc routev3.RouteConfiguration
	if table == nil || table.GetResource().UnmarshalTo(&rc) != nil {
		return nil
	}
	return rc.VirtualHosts
}

func bytesOf(m proto.Message) string {
	b, _ := proto.MarshalOptions{Deterministic: true}.Marshal(m) // it was unmarshalled before
	return string(b)
}

// mention is the length of the longest text in m that the reason quotes.
func mention(m proto.Message, reason string) (longest int) {
	var see func(m protoreflect.Message) bool
	see = func(m protoreflect.Message) bool {
		if packed, ok := m.Interface().(*anypb.Any); ok {
			if inner, err := packed.UnmarshalNew(); err == nil {
				walk(inner.ProtoReflect(), see)
			}
			return false
		}
		m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			if f.Kind() != protoreflect.StringKind || f.IsList() || f.IsMap() {
				return true
			}
			if s := v.String(); len(s) >= minMention && len(s) > longest && strings.Contains(reason, s) {
				longest = len(s)
			}
			return true
		})
		return true
	}
	walk(m.ProtoReflect(), see)
	return longest
}

// trace returns the place of what was refused, as closely as it is known, and
// what is to be said about it.
func (s *session) trace(k kind, e *entry, name, reason string) (place, hint string) {
	place = s.snapshot.places[name]
	item := s.snapshot.find(k, name)
	if k != routes || item == nil || item.Version != e.told {
		return place, ""
	}
	var before *discoveryv3.Resource
	if s.final != nil {
		before = s.final.find(k, name)
	}
	switch list := suspects(before, item, reason, s.snapshot.routePlaces); {
	case len(list) == 1:
		return list[0], ""
	case len(list) > 1 && before != nil:
		return list[0], fmt.Sprintf("; here, or in one of %d other routes that have changed", len(list)-1)
	default:
		return place, ""
	}
}
