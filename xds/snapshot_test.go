package xds

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
)

func TestVersionsAreContentHashes(t *testing.T) {
	// A map with many keys would give other bytes each time.
	fields := map[string]*structpb.Value{}
	for i := range 50 {
		fields[fmt.Sprint("key", i)] = structpb.NewNumberValue(float64(i))
	}
	metadata := func() *clusterv3.Cluster {
		c := cluster("a", 1)
		c.Metadata = &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{"x": {Fields: fields}}}
		return c
	}
	one := snapshot(t, metadata(), cluster("b", 1))
	for range 20 {
		if two := snapshot(t, metadata(), cluster("b", 1)); two.Version() != one.Version() || len(changes(one, two)) != 0 {
			t.Fatal("equal content has another version")
		}
	}
	two := snapshot(t, metadata(), cluster("b", 2))
	if two.Version() == one.Version() {
		t.Error("other content has the same version")
	}
	if got := changes(one, two); !slices.Equal(got, []string{"b"}) {
		t.Errorf("changed %q, want b", got)
	}
	if got := one.find(clusters, "a").Resource; got.TypeUrl != typeURLs[clusters] {
		t.Errorf("type URL %q", got.TypeUrl)
	} else if c := new(clusterv3.Cluster); got.UnmarshalTo(c) != nil || !proto.Equal(c, metadata()) {
		t.Error("the bytes are not the cluster")
	}
}

// A version must not let anybody check a guess of a secret.
func TestVersionsOfSecretsAreKeyed(t *testing.T) {
	s := snapshot(t, secret("s", "hunter2"))
	item := s.find(secrets, "s")
	plain := sha256.Sum256(item.Resource.Value)
	if item.Version == hex.EncodeToString(plain[:8]) {
		t.Error("the version is a plain hash")
	}
	if snapshot(t, secret("s", "hunter2")).find(secrets, "s").Version != item.Version {
		t.Error("an equal secret has another version")
	}
	if snapshot(t, secret("s", "hunter3")).find(secrets, "s").Version == item.Version {
		t.Error("another secret has the same version")
	}
}

func TestPublishNamesWhatChanged(t *testing.T) {
	s := newServer()
	for _, step := range []struct {
		messages []message
		want     string
	}{
		{[]message{secret("s", "x"), cluster("b", 1), cluster("a", 1), table("r", "a")}, "s a b r"},
		{[]message{secret("s", "x"), cluster("b", 1), cluster("a", 1), table("r", "a")}, ""},
		{[]message{secret("s", "y"), cluster("c", 1), cluster("a", 1), table("r", "c")}, "s b c r"},
		{nil, "s a c r"},
	} {
		if got := strings.Join(s.Publish(snapshot(t, step.messages...)), " "); got != step.want {
			t.Errorf("changed %q, want %q", got, step.want)
		}
	}
}
