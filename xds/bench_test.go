package xds

import (
	"fmt"
	"testing"
	"time"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/attache-dev/attache/translator"
)

// manyRoutes makes one table with n routes, with or without a chain for each,
// every chain another. The edit tells two tables apart.
func manyRoutes(n, edit int, chains bool) *translator.Resources {
	rc := &routev3.RouteConfiguration{Name: "r"}
	for i := range n {
		if i%100 == 0 {
			host := fmt.Sprintf("host-%d.example.com", i)
			rc.VirtualHosts = append(rc.VirtualHosts, &routev3.VirtualHost{Name: host, Domains: []string{host}})
		}
		r := route(fmt.Sprintf("/path/%d", i), "a")
		if i == 0 {
			r.Match.PathSpecifier = &routev3.RouteMatch_Prefix{Prefix: fmt.Sprintf("/edit/%d", edit)}
		}
		if chains {
			r.TypedPerFilterConfig = map[string]*anypb.Any{"policies": extProc("a", time.Duration(i)*time.Millisecond)}
		}
		vh := rc.VirtualHosts[len(rc.VirtualHosts)-1]
		vh.Routes = append(vh.Routes, r)
	}
	return resources(cluster("a", 1), listener("l", "r"), rc)
}

func sizes(b *testing.B, f func(b *testing.B, n int, chains bool)) {
	for _, n := range []int{1000, 10000} {
		b.Run(fmt.Sprintf("routes=%d/plain", n), func(b *testing.B) { f(b, n, false) })
		b.Run(fmt.Sprintf("routes=%d/chains", n), func(b *testing.B) { f(b, n, true) })
	}
}

// BenchmarkNewSnapshot is the cost of checking, marshalling and hashing.
func BenchmarkNewSnapshot(b *testing.B) {
	sizes(b, func(b *testing.B, n int, chains bool) {
		r := manyRoutes(n, 0, chains)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := NewSnapshot(r); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkPublish is the way from a snapshot with one edited route to the
// acknowledgement of an Envoy that does nothing but answer.
func BenchmarkPublish(b *testing.B) {
	sizes(b, func(b *testing.B, n int, chains bool) {
		var snaps [2]*Snapshot
		for i := range snaps {
			s, err := NewSnapshot(manyRoutes(n, i, chains))
			if err != nil {
				b.Fatal(err)
			}
			snaps[i] = s
		}
		s := newServer()
		s.Publish(snaps[0])
		e := dial(b, s, serve(b, s), "fake")
		e.boot("r")
		b.ReportAllocs()
		b.SetBytes(int64(len(snaps[0].find(routes, "r").Resource.Value)))
		for i := 1; b.Loop(); i++ {
			s.Publish(snaps[i%2])
			e.take("route configuration +r")
		}
	})
}
