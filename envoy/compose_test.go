package envoy_test

import (
	"bytes"
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"github.com/attache-dev/attache/envoy"
	"github.com/attache-dev/attache/envoy/envoytest"
)

var update = flag.Bool("update", false, "rewrite deploy/compose/envoy.yaml")

// The bootstrap that docker compose mounts is the one that the program makes:
//
//	attache bootstrap --xds unix:/run/attache/xds.sock --envoy-admin 0.0.0.0:9901
func TestComposeBootstrap(t *testing.T) {
	const path = "../deploy/compose/envoy.yaml"
	want, err := envoy.Bootstrap(envoy.BootstrapOptions{XDS: "unix:/run/attache/xds.sock", Admin: "0.0.0.0:9901"})
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what Bootstrap makes; go test ./envoy -update rewrites it\n%s",
			path, cmp.Diff(string(want), string(got)))
	}
	if err := envoytest.Find(t).Validate(t.Context(), got); err != nil {
		t.Error(err)
	}
}

// The Envoy of docker compose has the pinned version and the usual flags.
func TestComposeEnvoy(t *testing.T) {
	text, err := os.ReadFile("../docker-compose.yml")
	if err != nil {
		t.Fatal(err)
	}
	var compose struct {
		Services struct {
			Envoy struct {
				Image   string
				Command []string
			}
		}
	}
	if err := yaml.Unmarshal(text, &compose); err != nil {
		t.Fatal(err)
	}
	got := compose.Services.Envoy
	if want := "envoyproxy/envoy:distroless-v" + envoy.Pinned.String(); got.Image != want {
		t.Errorf("image %s, want %s", got.Image, want)
	}
	want := append([]string{"--config-path", "/etc/envoy/envoy.yaml"}, envoy.Flags...)
	if diff := cmp.Diff(want, got.Command); diff != "" {
		t.Error(diff)
	}
}
