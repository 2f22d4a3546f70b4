// Package topicdetect is F5's processor topic-detect, by word lists instead of
// a model: it tells what a text is about by the words in it. README.md is its
// manual.
package topicdetect

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/extprocsvc"
	"github.com/attache-dev/attache/extprocsvc/llm"
	"github.com/attache-dev/attache/extprocsvc/words"
)

func init() {
	extprocsvc.Register(extprocsvc.Kind{
		Name:      "topic-detect",
		Phases:    extprocsvc.InputPhase | extprocsvc.ResponsePhase,
		NeedsOne:  extprocsvc.Annotate | extprocsvc.Reject,
		ReadsBody: true,
		New:       build,
	})
}

type params struct {
	Topics             []topic  `yaml:"topics"`
	Threshold          *float64 `yaml:"threshold"`
	AllowedTopics      []string `yaml:"allowed_topics"`
	RejectedTopics     []string `yaml:"rejected_topics"`
	SkipSystemMessages *bool    `yaml:"skip_system_messages"`
}

type topic struct {
	Name    string   `yaml:"name"`
	Phrases []string `yaml:"phrases"`
	Hints   []string `yaml:"hints"`
	File    string   `yaml:"file"`
}

// The confidence that a phrase gives in its topic, by itself.
const (
	phraseWeight = 0.95
	hintWeight   = 0.5
)

// maxName is how long the name of a topic may be, in bytes: it is part of a
// tag.
const maxName = extprocsvc.MaxTagBytes - len("topic:")

func build(s extprocsvc.Setup) (extprocsvc.Processor, error) {
	raw := s.Params
	var p params
	if err := raw.Decode(&p); err != nil {
		return nil, err
	}
	made := &processor{threshold: 0.95, skipSystem: true}
	var errs []*config.Error
	errorf := func(key, format string, args ...any) {
		errs = append(errs, raw.Errorf(key, config.Invalid, format, args...))
	}
	if p.Threshold != nil {
		if made.threshold = *p.Threshold; !(made.threshold > 0 && made.threshold <= 1) {
			errorf("threshold", "must be above 0 and at most 1")
		}
	}
	if p.SkipSystemMessages != nil {
		made.skipSystem = *p.SkipSystemMessages
	}
	phrases := made.read(p.Topics, s.ReadFile, errorf)
	made.forbid(p, s.Rights&extprocsvc.Reject != 0, errorf)
	if len(errs) > 0 {
		return nil, config.Join(errs)
	}
	made.finder = compile(phrases)
	for _, name := range made.names {
		made.tags = append(made.tags, "topic:"+name)
	}
	return made, nil
}

// report notes a mistake in a param.
type report func(key, format string, args ...any)

// read notes the topics and returns their phrases, cut into words.
func (p *processor) read(topics []topic, readFile func(string) ([]byte, error), errorf report) (phrases [][]string) {
	if len(topics) == 0 {
		errorf("topics", "topic-detect needs topics: a list of at least one topic with its phrases")
	}
	for i, t := range topics {
		name := strings.ToLower(t.Name)
		switch {
		case name == "" || len(name) > maxName:
			errorf("topics", "topic %d needs a name of at most %d bytes", i+1, maxName)
		case slices.Contains(p.names, name):
			errorf("topics", "two topics have the name %q", name)
		}
		p.names = append(p.names, name)
		list := t.Phrases
		if t.File != "" {
			text, err := readFile(t.File)
			if err != nil {
				errorf("topics", "topic %q: %v", name, err)
				continue
			}
			list = append(slices.Clip(list), lines(string(text))...)
		}
		if len(list)+len(t.Hints) == 0 {
			errorf("topics", "topic %q has no phrases", name)
		}
		for _, from := range []struct {
			list   []string
			weight float64
		}{{list, phraseWeight}, {t.Hints, hintWeight}} {
			for _, phrase := range from.list {
				folded := cut(phrase)
				if len(folded) == 0 {
					errorf("topics", "topic %q: the phrase %q has no word in it", name, phrase)
				}
				phrases = append(phrases, folded)
				p.of = append(p.of, mention{i, 1 - from.weight})
			}
		}
	}
	return phrases
}

// forbid notes which topics are refused.
func (p *processor) forbid(set params, rejects bool, errorf report) {
	p.forbidden = make([]string, len(p.names))
	for _, name := range set.AllowedTopics {
		if !slices.Contains(p.names, strings.ToLower(name)) {
			errorf("allowed_topics", "no topic has the name %q", name)
		}
	}
	for _, name := range set.RejectedTopics {
		if !slices.Contains(p.names, strings.ToLower(name)) {
			errorf("rejected_topics", "no topic has the name %q", name)
		}
	}
	listed := func(list []string, name string) bool {
		return slices.ContainsFunc(list, func(l string) bool { return strings.ToLower(l) == name })
	}
	for i, name := range p.names {
		switch {
		case listed(set.RejectedTopics, name):
			p.forbidden[i] = "Detected topic in rejected_topics"
		case len(set.AllowedTopics) > 0 && !listed(set.AllowedTopics, name):
			p.forbidden[i] = "Detected topic not in allowed_topics"
		}
	}
	switch {
	case !rejects:
		clear(p.forbidden)
	case len(set.AllowedTopics)+len(set.RejectedTopics) == 0:
		errorf("", "reject: true needs rejected_topics or allowed_topics")
	}
}

// lines returns the lines of a word list. Empty ones and those that begin with
// # are left out.
func lines(text string) (all []string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			all = append(all, line)
		}
	}
	return all
}

type processor struct {
	*finder
	threshold  float64
	skipSystem bool
	// names, tags and forbidden are by topic; forbidden holds the details of
	// the rejection, or nothing.
	names, tags, forbidden []string
	// of holds the topic of each phrase.
	of []mention
}

// A mention is what a phrase says about a topic, and the doubt that it leaves.
type mention struct {
	topic int
	doubt float64
}

var (
	_ extprocsvc.RequestProcessor  = &processor{}
	_ extprocsvc.ResponseProcessor = &processor{}
)

// ProcessRequest tells the topics of the messages.
func (p *processor) ProcessRequest(ctx context.Context, r *extprocsvc.Request) (extprocsvc.Result, error) {
	return p.process(ctx, r.Prompt)
}

// ProcessResponse tells the topics of the choices.
func (p *processor) ProcessResponse(ctx context.Context, r *extprocsvc.Response) (extprocsvc.Result, error) {
	return p.process(ctx, r.Completion)
}

// A reader is what one message needs. It can be used again.
type reader struct {
	scan words.Scanner
	text []byte
	// seen are the phrases of the message, found those that are set in it.
	seen  []bool
	found []int32
	// doubt is what is left of it, by topic.
	doubt []float64
}

var readers = sync.Pool{New: func() any { return new(reader) }}

// maxKept is the size, in bytes, of the largest buffer that is kept.
const maxKept = 64 << 10

func (p *processor) process(ctx context.Context, doc *llm.Doc) (result extprocsvc.Result, err error) {
	if doc == nil {
		return result, nil
	}
	rd := readers.Get().(*reader)
	defer func() {
		if cap(rd.text) <= maxKept {
			readers.Put(rd)
		}
	}()
	rd.seen = slices.Grow(rd.seen[:0], len(p.of))[:len(p.of)]
	rd.doubt = slices.Grow(rd.doubt[:0], len(p.names))[:len(p.names)]
	clear(rd.seen)
	rd.found = rd.found[:0]
	message, state := -1, int32(0)
	for t := range doc.Texts() {
		if t.Message != message {
			p.conclude(rd, &result)
			if err := ctx.Err(); err != nil {
				return extprocsvc.Result{}, err
			}
			message, state = t.Message, 0
		}
		if p.skipSystem && t.Operator() {
			continue
		}
		for rd.scan.Reset(t.Unquoted(&rd.text)); rd.scan.Next(); {
			if state = p.word(state, &rd.scan); state != 0 {
				p.note(rd, state)
			}
		}
	}
	p.conclude(rd, &result)
	return result, nil
}

// note notes the phrases that end at a state. Phrases that were seen are
// passed over, and with them all that end in them: a phrase is noted with its
// suffixes.
func (p *processor) note(rd *reader, state int32) {
	for ; state != 0; state = p.more[state] {
		for _, phrase := range p.ends[state] {
			if rd.seen[phrase] {
				return
			}
			rd.seen[phrase] = true
			rd.found = append(rd.found, phrase)
		}
	}
}

// conclude adds the topics of a message to the result, and forgets it.
func (p *processor) conclude(rd *reader, result *extprocsvc.Result) {
	if len(rd.found) == 0 {
		return
	}
	for i := range rd.doubt {
		rd.doubt[i] = 1
	}
	for _, phrase := range rd.found {
		m := p.of[phrase]
		rd.doubt[m.topic] *= m.doubt
		rd.seen[phrase] = false
	}
	rd.found = rd.found[:0]
	for i, doubt := range rd.doubt {
		// The sums of weights may be off a little.
		if 1-doubt < p.threshold-1e-9 || doubt == 1 {
			continue
		}
		if !slices.Contains(result.Tags, p.tags[i]) {
			result.Tags = append(result.Tags, p.tags[i])
		}
		if p.forbidden[i] != "" && result.Rejection == nil {
			result.Rejection = &extprocsvc.Rejection{Code: extprocsvc.PolicyViolation, Detail: p.forbidden[i]}
		}
	}
}
