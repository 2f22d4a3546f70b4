package extprocsvc

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/attache-dev/attache/config"
)

// Rights is what a processor may do to a request. The engine enforces them.
type Rights uint8

const (
	// Annotate is the right to add tags; F5's parameter annotate, default
	// true.
	Annotate Rights = 1 << iota
	// Modify is the right to change the prompt; F5's parameter modify, default
	// false.
	Modify
	// Reject is the right to reject the request; F5's parameter reject,
	// default false.
	Reject
)

// rightNames are the parameters that grant the rights.
var rightNames = []struct {
	right Rights
	name  string
}{{Annotate, "annotate"}, {Modify, "modify"}, {Reject, "reject"}}

// String lists the rights by the names of their parameters.
func (r Rights) String() string {
	var names []string
	for _, n := range rightNames {
		if r&n.right != 0 {
			names = append(names, n.name)
		}
	}
	return strings.Join(names, "+")
}

// grants lists what params say to grant the rights, for messages.
func (r Rights) grants() string {
	var words []string
	for _, n := range rightNames {
		switch {
		case r&n.right == 0:
		case n.right == Annotate: // the default
			words = append(words, n.name)
		default:
			words = append(words, n.name+": true")
		}
	}
	last := len(words) - 1
	if last < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// Phases is where processors of a kind may stand.
type Phases uint8

const (
	// InputPhase are the input stages of a profile. Their processors are
	// [RequestProcessor]s.
	InputPhase Phases = 1 << iota
	// ResponsePhase are its response stages. Their processors are
	// [ResponseProcessor]s.
	ResponsePhase
)

// Kind is a type of processor: the static facts about it, and how to make one.
type Kind struct {
	// Name is the word in the file.
	Name string
	// Phases is where it may stand.
	Phases Phases
	// Needs are the rights without which it cannot do its work. A step that
	// lacks one is refused when the file is loaded.
	Needs Rights
	// NeedsOne are rights of which it needs one at least, or it could do nothing.
	// A step without is refused when the file is loaded. Zero asks for none.
	NeedsOne Rights
	// Internal kinds are F5's internal processors: they have the rights they
	// need without being granted them.
	Internal bool
	// ReadsBody tells that it looks at the prompt or changes it. Requests whose
	// chain has no such step never send us their body.
	ReadsBody bool
	// Texts tells that it looks at texts and not at what an answer is, and so at
	// responses that are none of a model's: errors, with another status than 2xx, and
	// what is asked for without a body.
	Texts bool
	// ChatOnly tells that it understands OpenAI's Chat Completions and no other
	// API. Requests of others that reach such a step are refused.
	ChatOnly bool
	// New makes the processor of one step. It has no effects. Errors are made
	// by Raw.Decode and Raw.Errorf, so that they have places.
	New func(Setup) (Processor, error)
}

// Setup is what a processor is made of.
type Setup struct {
	// Name is the processor's name in the file.
	Name string
	// Phase is the one that the step stands in.
	Phase Phases
	// Rights are those that the step has. Work that they do not allow need not
	// be done: the engine would drop it.
	Rights Rights
	// Params are those of the processor with those of the step over them,
	// without annotate, modify and reject.
	Params config.Raw
	// AllParams are the same with annotate, modify and reject.
	AllParams config.Raw
	// Config is the processor's section config.
	Config config.Raw
	// ReadFile reads a file that the section names, relative to the working
	// directory. An edit to such a file is an edit to the configuration.
	ReadFile func(name string) ([]byte, error)
}

// Processor does the work of a step. It implements one interface for each of
// its kind's phases: [RequestProcessor] for [InputPhase], [ResponseProcessor]
// for [ResponsePhase]. It may be a [Checker].
type Processor any

// Checker is a processor that depends on something outside of this process.
type Checker interface {
	// Check tells whether the processor can do its work as it is set up. It is
	// called in the background after the chain was installed, and again now and
	// then; it returns soon after ctx ends. The error's text is shown to
	// operators. An error that errors.Is [ErrRefused] will not go away by
	// itself.
	Check(ctx context.Context) error
}

// ErrRefused is wrapped by the errors of a [Checker] whose params or place do
// not suit what it depends on.
var ErrRefused = errors.New("refused")

// Registry is a set of kinds. The zero Registry is empty.
type Registry struct {
	kinds map[string]*Kind
}

var standard Registry

// Register adds a kind to those that [Build] knows. It is called from init
// functions and panics on nonsense: an incomplete kind, or a second one of the
// same name.
func Register(k Kind) { standard.Register(k) }

// Register adds a kind, and panics on nonsense.
func (r *Registry) Register(k Kind) {
	switch {
	case k.Name == "" || k.Name != strings.ToLower(k.Name):
		panic(fmt.Sprintf("extprocsvc: kind %q: the name must be in lower case", k.Name))
	case k.New == nil:
		panic(fmt.Sprintf("extprocsvc: kind %q: no constructor", k.Name))
	case k.Phases == 0:
		panic(fmt.Sprintf("extprocsvc: kind %q: no phase", k.Name))
	case (k.Needs&Modify != 0 || k.ChatOnly) && !k.ReadsBody:
		panic(fmt.Sprintf("extprocsvc: kind %q: cannot modify or understand what it does not read", k.Name))
	case r.kinds[k.Name] != nil:
		panic(fmt.Sprintf("extprocsvc: kind %q is registered twice", k.Name))
	case notYet[k.Name]:
		panic(fmt.Sprintf("extprocsvc: kind %q is on the list of kinds that are not supported yet", k.Name))
	}
	if r.kinds == nil {
		r.kinds = map[string]*Kind{}
	}
	r.kinds[k.Name] = &k
}

// MarshalText writes the rights by the names of their parameters.
func (r Rights) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads what MarshalText has written.
func (r *Rights) UnmarshalText(text []byte) error {
	*r = 0
	for word := range strings.SplitSeq(string(text), "+") {
		for _, n := range rightNames {
			if n.name == word {
				*r |= n.right
			}
		}
	}
	return nil
}

// Names returns the names of the kinds, sorted.
func (r *Registry) Names() []string { return slices.Sorted(maps.Keys(r.kinds)) }

// notYet are the types of processors that F5's documentation or ours names and
// that we do not have, so that they are told from typing mistakes.
var notYet = set(

	"prompt-guard", "content-guard",
	"pii-redactor", "prompt-enforcement", "watermark", "prohibited-phrases-detect", "thirtywords",
)

func set(words ...string) map[string]bool {
	m := make(map[string]bool, len(words))
	for _, w := range words {
		m[w] = true
	}
	return m
}
