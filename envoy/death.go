package envoy

import (
	"errors"
	"fmt"
	"os/exec"
	"regexp"
)

// plainWords are what Envoy says when it gives up, and what that means to the
// person who started it.
var plainWords = []struct {
	says  *regexp.Regexp
	means string
}{
	{regexp.MustCompile(`cannot bind '([^']+)': Address already in use`), "$1 is taken by another program"},
	{regexp.MustCompile(`cannot bind '([^']+)': Permission denied`), "this user may not listen on $1; ports below 1024 need a right of their own (CAP_NET_BIND_SERVICE)"},
	{regexp.MustCompile(`cannot bind '([^']+)': Cannot assign requested address`), "$1 is not an address of this machine"},
	{regexp.MustCompile(`Couldn't find match for argument|PARSE ERROR`), "it does not know an option that attache starts it with; its version does not fit"},
	{regexp.MustCompile(`has unknown fields`), "it does not know a part of the bootstrap; its version does not fit"},
	{regexp.MustCompile(`error while loading shared libraries: ([^:]+)`), "this machine lacks the library $1"},
	{regexp.MustCompile(`version .(GLIBC_[\d.]+)' not found`), "this machine's C library is too old; it needs $1"},
}

// plain returns what the last words of an Envoy mean, or the words.
func plain(words string) string {
	for _, p := range plainWords {
		if m := p.says.FindStringSubmatchIndex(words); m != nil {
			return string(p.says.ExpandString(nil, p.means, words, m))
		}
	}
	return withoutResources(words)
}

// deathError is how an Envoy ended that nobody asked to end.
func deathError(err error, lastWords string) error {
	if err == nil {
		err = errors.New("exit status 0")
	}
	if lastWords != "" {
		return fmt.Errorf("%s (%w)", plain(lastWords), err)
	}
	return err
}

// gaveUp tells whether an Envoy has ended by itself, because of something that a
// new one would find as well.
func gaveUp(err error) bool {
	var exit *exec.ExitError
	return errors.As(err, &exit) && exit.Exited() && exit.ExitCode() > 0
}
