package extprocsvc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/attache-dev/attache/extprocsvc/llm"
)

// MaxTags bounds the tags of a request, and MaxTagBytes the length of each;
// what is beyond is dropped. Selectors look at few.
const (
	MaxTags     = 256
	MaxTagBytes = 256
)

// A run is one passage of one request through a chain.
type run struct {
	chain   *Chain
	prompt  *llm.Doc // nil without a body
	timeout time.Duration
	log     *slog.Logger
	record  *Record
	tags    []string
}

// do runs the stages and then the AI settings, with the edits noted in the
// prompt. It returns nil if the request may pass. The error is that of ctx: the
// client is gone and nobody wants an answer.
func (r *run) do(ctx context.Context) (*refusal, error) {
	for i := range r.chain.stages {
		st := &r.chain.stages[i]
		if !st.selector.holds(r.tags) {
			continue
		}
		refused, err := r.stage(ctx, st)
		if refused != nil || err != nil {
			r.record.Tags = r.tags
			return refused, err
		}
	}
	r.record.Tags = r.tags
	if r.chain.model != "" {
		if r.prompt == nil {
			return needsBody, nil
		}
		if err := r.prompt.Apply(r.chain.modelEdit); err != nil {
			return badMessages(err), nil
		}
	}
	return nil, nil
}

// An answer is what became of one step.
type answer struct {
	result  Result
	err     error
	took    time.Duration
	refused *refusal // it could not be asked
}

func (r *run) stage(ctx context.Context, st *stage) (*refusal, error) {
	if !st.parallel {
		for i := range st.steps {
			s := &st.steps[i]
			if refused, err := r.take(ctx, st, s, r.ask(ctx, s, r.tags)); refused != nil || err != nil {
				return refused, err
			}
		}
		return nil, nil
	}
	// All steps see the same request; what they say counts in step order. The
	// first one that ends the request cancels the others, and none is left
	// running: they read the body, which is about to go away.
	within, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	answers := make([]chan answer, len(st.steps))
	before := slices.Clip(r.tags)
	for i := range st.steps {
		answers[i] = make(chan answer, 1)
		all.Go(func() { answers[i] <- r.ask(within, &st.steps[i], before) })
	}
	for i := range st.steps {
		if refused, err := r.take(ctx, st, &st.steps[i], <-answers[i]); refused != nil || err != nil {
			return refused, err
		}
	}
	return nil, nil
}

// ask runs a step's processor within its deadline.
func (r *run) ask(ctx context.Context, s *step, tags []string) (a answer) {
	req := Request{Tags: tags}
	if s.kind.ReadsBody && r.prompt != nil {
		if err := r.prompt.Messages(); err != nil {
			return answer{refused: badMessages(err)}
		}
		req.Prompt = r.prompt
	}
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	began := time.Now()
	defer func() {
		a.took = time.Since(began)
		if p := recover(); p != nil {
			r.log.LogAttrs(ctx, slog.LevelError, "a processor panicked",
				slog.String("chain", r.chain.ref), slog.String("step", s.name), slog.String("where", s.where),
				slog.String("panic", panicText(p)), slog.String("stack", string(debug.Stack())))
			a.result, a.err = Result{}, errors.New("panic")
		}
	}()
	a.result, a.err = s.run.ProcessRequest(ctx, &req)
	if a.err == nil && a.result.Rejection != nil && len(a.result.Edits) > 0 {
		a.err = errors.New("the result both rejects and modifies")
	}
	return a
}

// panicText describes a panic without its value, which could quote the
// request, unless the runtime made it.
func panicText(p any) string {
	if e, ok := p.(runtime.Error); ok {
		return e.Error()
	}
	return fmt.Sprintf("%T", p)
}

// take does what a step says, as far as its rights go.
func (r *run) take(ctx context.Context, st *stage, s *step, a answer) (*refusal, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if a.refused != nil {
		r.record.by(Refused, st.name, s)
		return a.refused, nil
	}
	rec := StepRecord{Stage: st.name, Step: s.name, Verdict: Passed, Duration: a.took}
	defer func() { r.record.Steps = append(r.record.Steps, rec) }()

	if a.err != nil {
		late := errors.Is(a.err, context.DeadlineExceeded)
		r.log.LogAttrs(ctx, slog.LevelWarn, "a processor failed",
			slog.String("chain", r.chain.ref), slog.String("step", s.name), slog.String("where", s.where),
			slog.Bool("skipped", r.chain.skipFailed), slog.Any("error", a.err))
		if r.chain.skipFailed {
			rec.Verdict = Skipped
			return nil, nil
		}
		rec.Verdict = Failed
		r.record.by(Failed, st.name, s)
		return stepFailed(r.chain, st.name, s.name, late), nil
	}
	for _, u := range []struct {
		right Rights
		used  bool
	}{{Annotate, len(a.result.Tags) > 0}, {Modify, len(a.result.Edits) > 0}, {Reject, a.result.Rejection != nil}} {
		if u.used && s.rights&u.right == 0 {
			rec.Dropped |= u.right
		}
	}
	if rec.Dropped != 0 {
		r.log.LogAttrs(ctx, slog.LevelWarn, "a processor went beyond its rights; what it did is dropped",
			slog.String("chain", r.chain.ref), slog.String("step", s.name), slog.String("where", s.where),
			slog.String("dropped", rec.Dropped.String()))
	}
	if rec.Dropped&Annotate == 0 {
		r.annotate(a.result.Tags)
	}
	if a.result.Rejection != nil && rec.Dropped&Reject == 0 {
		rec.Verdict = Rejected
		r.record.by(Rejected, st.name, s)
		return rejected(r.chain, st.name, s.name, a.result.Rejection), nil
	}
	if rec.Dropped&Modify == 0 && r.prompt != nil {
		for _, e := range a.result.Edits {
			if err := r.prompt.Apply(e); err != nil {
				r.record.by(Refused, st.name, s)
				return badMessages(err), nil
			}
			rec.Modified = true
		}
	}
	return nil, nil
}

// annotate adds tags that are not there yet, in lower case.
func (r *run) annotate(tags []string) {
	for _, t := range tags {
		if t = strings.ToLower(t); len(t) <= MaxTagBytes && len(r.tags) < MaxTags && !slices.Contains(r.tags, t) {
			r.tags = append(r.tags, t)
		}
	}
}
