package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	resourcev3 "github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/attache-dev/attache/bench/measuring"
)

// fleet is a size with several Envoys, simulated.
type fleet struct {
	Routes int  `json:"routes"`
	Chains bool `json:"chains"`
	Envoys int  `json:"envoys"`

	LoadAverage float64 `json:"load_average"`
	// Acked is from an edit until all have acknowledged it.
	Acked     times   `json:"edit_to_acknowledged"`
	EditBytes int64   `json:"bytes_per_edit"` // to all together
	Resources float64 `json:"resources_per_edit_and_envoy"`
	Attache   usage   `json:"attache"`
}

func (f fleet) title() string {
	return fmt.Sprintf("%d routes, chains %t, %d Envoys", f.Routes, f.Chains, f.Envoys)
}

func (f fleet) String() string {
	return fmt.Sprintf("%s: edit to acknowledged %.0f ms (max %.0f), attache %.0f ms CPU %.0f MB, load average %.1f",
		f.title(), f.Acked.P50, f.Acked.Max, f.Attache.CPU, f.Attache.Peak, f.LoadAverage)
}

func (f *fleet) measure(ctx context.Context, s *scene, of sizes) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	got := make(chan received, f.Envoys)
	for i := range f.Envoys {
		go func() {
			if err := simulate(ctx, "unix:"+s.socket("xds"), i, s.file.port, got); ctx.Err() == nil {
				cancel(errors.Join(errors.New("a simulated Envoy has ended"), err))
			}
		}()
	}
	// next waits until each has acknowledged a route table of one and the same
	// configuration, which is not the one before.
	before, has := "", make([]string, f.Envoys)
	next := func() (bytes, resources int, err error) {
		limit := time.After(measuring.Patience)
		for has[0] == before || slices.ContainsFunc(has, func(v string) bool { return v != has[0] }) {
			select {
			case r := <-got:
				resources++
				bytes += r.bytes
				if r.typeURL == resourcev3.RouteType {
					has[r.envoy] = r.configuration
				}
			case <-ctx.Done():
				return 0, 0, context.Cause(ctx)
			case <-limit:
				return 0, 0, fmt.Errorf("not all %d Envoys have the edit after %s", f.Envoys, measuring.Patience)
			}
		}
		before = has[0]
		return bytes, resources, nil
	}
	if _, _, err := next(); err != nil {
		return err
	}
	var took []time.Duration
	bytes, resources := 0, 0
	used, err := of.during(func() error {
		for i := 1; i <= of.edits; i++ {
			s.file.versions[s.file.edited(i)]++
			text := s.file.text()
			began := time.Now()
			if err := s.file.replace(text); err != nil {
				return err
			}
			b, r, err := next()
			if err != nil {
				return err
			}
			took = append(took, time.Since(began))
			bytes, resources = bytes+b, resources+r
		}
		return nil
	}, s.attache)
	if err != nil {
		return err
	}
	f.EditBytes = int64(bytes / of.edits)
	f.Resources = float64(resources) / float64(of.edits*f.Envoys)
	f.Acked, f.Attache, f.LoadAverage = summary(took), used[0], measuring.LoadAverage()
	return nil
}

// received is a response that was acknowledged.
type received struct {
	envoy   int
	typeURL string
	// configuration is the version of the whole.
	configuration string
	bytes         int
}

// simulate does what an Envoy says on its delta stream, and tells what it has
// acknowledged. It subscribes to all clusters and listeners and to the route
// table of a port, and has no use for what is in them.
func simulate(ctx context.Context, addr string, envoy, port int, got chan<- received) error {
	conn, err := grpc.NewClient(addr,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(envelope{}), grpc.MaxCallRecvMsgSize(256<<20)))
	if err != nil {
		return err
	}
	defer conn.Close()
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true},
		discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResources_FullMethodName)
	if err != nil {
		return err
	}
	for _, first := range []*discoveryv3.DeltaDiscoveryRequest{
		{Node: &corev3.Node{Id: fmt.Sprintf("envoy-%d", envoy)}, TypeUrl: resourcev3.ClusterType},
		{TypeUrl: resourcev3.ListenerType},
		{TypeUrl: resourcev3.RouteType, ResourceNamesSubscribe: []string{fmt.Sprintf("routes/%d", port)}},
	} {
		if err := stream.SendMsg(first); err != nil {
			return err
		}
	}
	for {
		var r response
		if err := stream.RecvMsg(&r); err != nil {
			return err
		}
		if err := stream.SendMsg(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: r.typeURL, ResponseNonce: r.nonce}); err != nil {
			return err
		}
		select {
		case got <- received{envoy, r.typeURL, r.configuration, r.bytes}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// response is what is read of a response. Fifty clients that unpacked ten
// thousand routes each would be what is measured.
type response struct {
	configuration, typeURL, nonce string
	bytes                         int
}

// envelope is the codec for it.
type envelope struct{}

func (envelope) Name() string { return "proto" }

func (envelope) Marshal(v any) ([]byte, error) { return proto.Marshal(v.(proto.Message)) }

func (envelope) Unmarshal(data []byte, v any) error {
	r := v.(*response)
	r.bytes = len(data)
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return protowire.ParseError(n)
		}
		data = data[n:]
		if n = protowire.ConsumeFieldValue(number, kind, data); n < 0 {
			return protowire.ParseError(n)
		}
		value, _ := protowire.ConsumeBytes(data[:n])
		switch number {
		case 1:
			r.configuration = string(value)
		case 4:
			r.typeURL = string(value)
		case 5:
			r.nonce = string(value)
		}
		data = data[n:]
	}
	return nil
}
