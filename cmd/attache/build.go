package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"runtime/debug"
	"slices"
	"sync"

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/extprocsvc"
	_ "github.com/attache-dev/attache/extprocsvc/processors" // the built-in kinds
	"github.com/attache-dev/attache/translator"
	"github.com/attache-dev/attache/xds"
)

// built is a configuration with everything that is made of it. Making it had
// no effect on anything that runs.
type built struct {
	text      []byte
	config    *config.Config
	chains    *extprocsvc.Chains
	resources *translator.Resources
	snapshot  *xds.Snapshot
	// digest tells whether two files say the same, the files they name
	// included.
	digest string
	named  []string // see source
}

// source is a file that is read once, with the files that it names.
type source struct {
	path string
	// named are the files that were asked for, whether or not they could be
	// read: creating one may heal a refused configuration.
	named []string
	// alone is set where Envoy is configured by somebody else: then there are
	// chains for profiles, and no resources. It is the default profile.
	alone *string
	// followed is set in a process that reads the file again at each edit.
	followed bool
	// before is what the same settings have made of an earlier text, and may be nil.
	// What has not changed of it is not made again.
	before *built
}

// build reads the file and makes everything of it. Whatever can be wrong with a
// file is found here; the error is nil or a list of *[config.Error].
func (s *source) build(co config.Options, to translator.Options) (*built, error) {
	read := readFile
	if s.followed {
		read = readRegular
	}
	src, err := read(s.path)
	if err != nil {
		return nil, &config.Error{File: s.path, Kind: config.Reference, Msg: "cannot be read: " + reason(err)}
	}
	defer frugal(src)()
	var checked *xds.Snapshot
	if b := s.before; b != nil {
		if bytes.Equal(src, b.text) && digest(src, b.named) == b.digest {
			s.named = b.named
			return b, nil
		}
		if cutShort(b.text, src) {
			return nil, &config.Error{File: s.path, Line: bytes.Count(src, []byte("\n")) + 1, Column: 1, Kind: config.Syntax,
				Msg: "the file ends in the middle of a line that it had; expected the rest of it, or a line break if that is all"}
		}
		co.Previous, checked = b.config, b.snapshot
		s.before = nil // what is made keeps s, to read files, and need not keep that
	}
	sum := sha256.New()
	sum.Write(src)
	co.ReadFile = func(name string) ([]byte, error) {
		s.named = append(s.named, name)
		content, err := readRegular(name)
		sum.Write(content)
		return content, err
	}
	b := &built{text: src}
	co.Check = func(c *config.Config) (err error) {
		if s.alone != nil {
			b.chains, err = extprocsvc.BuildAlone(c, *s.alone)
		} else {
			b.chains, err = extprocsvc.Build(c)
		}
		return err
	}
	if b.config, err = config.Parse(s.path, src, co); err != nil {
		return nil, err
	}
	b.digest, b.named = shorten(sum), s.named
	if s.alone != nil {
		// That nothing of the file leads to a profile is as it should be.
		b.config.Warnings = slices.DeleteFunc(b.config.Warnings, func(w *config.Error) bool { return w.Kind == config.Unreachable })
		return b, nil
	}
	to.RouteChain = func(r *config.Route) *translator.Chain { return chainOf(b.chains.ForRoute(r)) }
	to.ListenerChain = func(l *config.Listener) *translator.Chain { return chainOf(b.chains.ForListener(l)) }
	to.GatewayChain = func(l *config.Listener) *translator.Chain { return chainOf(b.chains.ForGateway(l)) }
	if b.resources, err = translator.Translate(b.config, to); err != nil {
		return nil, err
	}
	// Routes are most of the memory, and everything is made of them by now.
	b.chains.Detach()
	b.config.DropRoutes()
	if b.snapshot, err = checked.Next(b.resources); err != nil {
		return nil, err
	}
	return b, nil
}

// frugal has the collector work harder until what it returns is called: what is made
// of a text on the way is much, and dies at once. GOGC is 75 in place of Go's 100, and
// 15 for a text that is large: with 10,000 routes that have a chain each the process
// then grows to 148 MB and not to 175 MB as with 50, for half as much CPU again. Who
// comes meanwhile waits: GOGC is one for the process.
func frugal(text []byte) (restore func()) {
	const large = 5 << 19 // 2.5 MiB
	percent := 75
	if len(text) > large {
		percent = 15
	}
	building.Lock()
	before := debug.SetGCPercent(percent)
	return func() {
		debug.SetGCPercent(before)
		building.Unlock()
	}
}

var building sync.Mutex

// cutShort tells whether a text looks like one that has not been written to its end,
// since the disk is full or the network slow: it stops in a line of the text before,
// which did end with a line break. Half of a file can be a good one. Blanks behind
// the last line break are what some editors leave.
func cutShort(before, now []byte) bool {
	lineBreak := []byte("\n")
	if !bytes.HasSuffix(before, lineBreak) || bytes.HasSuffix(now, lineBreak) {
		return false
	}
	last := now[bytes.LastIndexByte(now, '\n')+1:]
	if len(bytes.TrimSpace(last)) == 0 {
		return false
	}
	for line := range bytes.Lines(before) {
		if len(line) > len(last)+len(lineBreak) && bytes.HasPrefix(line, last) {
			return true
		}
	}
	return false
}

// digest is that of a text and the files that it names, as they are now.
func digest(text []byte, named []string) string {
	sum := sha256.New()
	sum.Write(text)
	for _, name := range named {
		content, _ := readRegular(name)
		sum.Write(content)
	}
	return shorten(sum)
}

func shorten(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil))[:16] }

// chainOf is what the translator has to know of a chain.
func chainOf(c *extprocsvc.Chain) *translator.Chain {
	if c == nil {
		return nil
	}
	t := &translator.Chain{Ref: c.Ref(), ReadsBody: c.ReadsBody(), ReadsResponse: c.ReadsResponse(), FailOpen: c.FailOpen()}
	if c.Chooses() {
		t.Choice = c.Choice
	}
	return t
}
