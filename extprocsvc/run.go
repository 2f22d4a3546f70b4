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

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/extprocsvc/llm"
)

// MaxTags bounds the tags of a request, and MaxTagBytes the length of each;
// what is beyond is dropped. Selectors look at few.
const (
	MaxTags     = 256
	MaxTagBytes = 256
)

// A run is one passage of one request, or of its response, through stages.
type run struct {
	server  *Server
	chain   *Chain
	profile *profile
	// doc is what the steps work on: the prompt or the completion; nil without
	// a body. prompt is the request as it was sent, in response stages.
	doc, prompt *llm.Doc
	response    bool
	anything    bool // the response is none of a model's
	unread      bool // what cannot be read may pass
	call        Call
	record      *Record
	tags        []string
}

// do runs the stages, with the edits noted in doc. It returns nil if the
// message may pass. The error is that of ctx: the client is gone and nobody
// wants an answer.
func (r *run) do(ctx context.Context, stages []stage) (refused *refusal, err error) {
	for i := range stages {
		st := &stages[i]
		if !st.selector.holds(r.tags) {
			continue
		}
		if refused, err = r.stage(ctx, st); refused != nil || err != nil {
			break
		}
	}
	r.record.Tags = r.tags
	return refused, err
}

// under is do for stages that do not belong to the profile of the request.
func (r *run) under(p *profile, ctx context.Context, stages []stage) (refused *refusal, err error) {
	own := r.profile
	r.profile = p
	refused, err = r.do(ctx, stages)
	r.profile = own
	return refused, err
}

// An answer is what became of one step.
type answer struct {
	result  Result
	err     error
	took    time.Duration
	refused *refusal // it could not be asked
	unread  bool     // and the message may pass all the same
}

// ends tells whether an answer would end the request.
func (a *answer) ends(s *step) bool {
	return !s.observe && a.err == nil && a.result.Rejection != nil && s.rights&Reject != 0
}

func (r *run) stage(ctx context.Context, st *stage) (*refusal, error) {
	steps := r.steps(st)
	if !st.parallel {
		for i := range steps {
			s := &steps[i]
			if refused, err := r.take(ctx, st, s, r.ask(ctx, s, r.tags)); refused != nil || err != nil {
				return refused, err
			}
		}
		return nil, nil
	}
	// All steps see the same request; what they say counts in step order. One
	// that rejects cancels those behind it, and none is left running: they
	// read the body, which is about to go away.
	within, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	answers := make([]chan answer, len(steps))
	stop := make([]context.CancelFunc, len(steps))
	before := slices.Clip(r.tags)
	contexts := make([]context.Context, len(steps))
	for i := range steps {
		answers[i] = make(chan answer, 1)
		contexts[i], stop[i] = context.WithCancel(within)
	}
	for i := range steps {
		all.Go(func() {
			defer stop[i]()
			a := r.ask(contexts[i], &steps[i], before)
			if a.ends(&steps[i]) {
				for _, cancel := range stop[i+1:] {
					cancel()
				}
			}
			answers[i] <- a
		})
	}
	for i := range steps {
		if refused, err := r.take(ctx, st, &steps[i], <-answers[i]); refused != nil || err != nil {
			return refused, err
		}
	}
	return nil, nil
}

// steps are those of a stage that look at the message.
func (r *run) steps(st *stage) []step {
	if !r.anything {
		return st.steps
	}
	return slices.DeleteFunc(slices.Clone(st.steps), func(s step) bool { return !s.kind.Texts })
}

// ask runs a step's processor within its deadline.
func (r *run) ask(ctx context.Context, s *step, tags []string) (a answer) {
	doc := r.doc
	if !s.kind.ReadsBody {
		doc = nil
	}
	if doc != nil {
		if err := doc.Messages(); err != nil {
			return answer{refused: r.unreadable(err), unread: r.unread}
		}
		if s.kind.ChatOnly && doc.Dialect() != llm.ChatCompletions && doc.Dialect() != llm.ChatCompletion {
			return answer{refused: r.foreign()}
		}
	}
	timeout := s.timeout
	if timeout == 0 {
		timeout = r.server.stepTimeout
	}
	began := time.Now()
	if limit := r.chain.limit; limit > 0 && !r.response { // the time of an answer is Envoy's
		timeout = min(timeout, r.record.Time.Add(limit).Sub(began))
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	defer func() {
		a.took = time.Since(began)
		if p := recover(); p != nil {
			r.server.log.LogAttrs(ctx, slog.LevelError, "a processor panicked",
				slog.String("chain", r.chain.ref), slog.String("step", s.name), slog.String("where", s.where),
				slog.String("panic", panicText(p)), slog.String("stack", string(debug.Stack())))
			a.result, a.err = Result{}, errors.New("panic")
		}
	}()
	if r.response {
		a.result, a.err = s.response.ProcessResponse(ctx, &Response{Completion: doc, Prompt: r.prompt, Tags: tags, Call: r.call})
	} else {
		a.result, a.err = s.request.ProcessRequest(ctx, &Request{Prompt: doc, Tags: tags, Call: r.call})
	}
	switch {
	case a.err != nil && ctx.Err() != nil:
		a.err = ctx.Err() // whatever the processor made of it
	case a.err == nil && a.result.Rejection != nil && len(a.result.Edits) > 0:
		a.err = errors.New("the result both rejects and modifies")
	}
	return a
}

// unreadable is the refusal of a message that no step can look at.
func (r *run) unreadable(err error) *refusal {
	if r.response {
		return unreadableResponse
	}
	return badMessages(err)
}

// foreign is the refusal of a message of an API that a step does not understand.
func (r *run) foreign() *refusal {
	if r.response {
		return unreadableResponse
	}
	return chatOnly
}

// panicText describes a panic without its value, which could quote the
// request, unless the runtime made it.
func panicText(p any) string {
	if e, ok := p.(runtime.Error); ok {
		return e.Error()
	}
	return fmt.Sprintf("%T", p)
}

// take does what a step says, as far as its rights go. A step that is only
// observed is recorded, and changes nothing.
func (r *run) take(ctx context.Context, st *stage, s *step, a answer) (*refusal, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if a.refused != nil {
		if a.unread {
			r.record.Unread = a.refused.code
			return nil, nil
		}
		if s.observe {
			return nil, nil
		}
		r.record.by(Refused, st.name, s)
		return a.refused, nil
	}
	rec := StepRecord{Stage: st.name, Step: s.name, Response: r.response, Verdict: Passed, Observed: s.observe, Where: s.where, Duration: a.took}
	defer func() {
		r.record.Steps = append(r.record.Steps, rec)
		r.server.calls.count(&rec)
	}()

	if a.err != nil {
		return r.failed(ctx, st, s, &rec, a.err), nil
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
		r.server.log.LogAttrs(ctx, slog.LevelWarn, "a processor went beyond its rights; what it did is dropped",
			slog.String("chain", r.chain.ref), slog.String("step", s.name), slog.String("where", s.where),
			slog.String("dropped", rec.Dropped.String()))
	}
	if rec.Dropped&Annotate == 0 && (!s.observe || r.profile.observe) {
		r.annotate(a.result.Tags)
	}
	if a.result.Rejection != nil && rec.Dropped&Reject == 0 {
		rec.Verdict, rec.Reason = Rejected, reasonOf(a.result.Rejection.Code)
		if s.observe {
			return nil, nil
		}
		r.record.by(Rejected, st.name, s)
		return rejected(r.profile, st.name, s.name, a.result.Rejection), nil
	}
	if rec.Dropped&Modify != 0 || len(a.result.Edits) == 0 || r.doc == nil {
		return nil, nil
	}
	rec.Modified = true
	if s.observe {
		return nil, nil
	}
	for _, e := range a.result.Edits {
		err := r.doc.Apply(e)
		switch {
		case err == nil:
		case errors.Is(err, llm.ErrChange):
			rec.Modified = false
			return r.failed(ctx, st, s, &rec, &StepError{Status: 500, Msg: err.Error(), Final: true}), nil
		case e.Replaces():
			rec.Modified = false
			return r.failed(ctx, st, s, &rec, &StepError{Status: 502, Msg: "what it put in place of the list cannot be read: " + err.Error()}), nil
		default:
			r.record.by(Refused, st.name, s)
			return r.unreadable(err), nil
		}
	}
	return nil, nil
}

// failed applies the failure mode to a step that could not do its work.
func (r *run) failed(ctx context.Context, st *stage, s *step, rec *StepRecord, err error) *refusal {
	skip := s.observe || s.failure == config.FailOpen || s.failure == config.FailDefault && r.chain.failOpen
	var known *StepError
	if errors.As(err, &known) && known.Final {
		skip = s.observe
	}
	rec.Verdict, rec.Reason = Failed, "processor_failed"
	if errors.Is(err, context.DeadlineExceeded) {
		rec.Reason = "processor_timeout"
	}
	r.server.log.LogAttrs(ctx, slog.LevelWarn, "a processor failed",
		slog.String("chain", r.chain.ref), slog.String("step", s.name), slog.String("where", s.where),
		slog.Bool("skipped", skip), slog.Any("error", err))
	if skip {
		rec.Verdict = Skipped
		return nil
	}
	r.record.by(Failed, st.name, s)
	return stepFailed(r.profile, st.name, s.name, err)
}

// reasonOf is a code as records have it: one of F5's, since those of others
// could be anything.
func reasonOf(code string) string {
	if _, ok := rejectionStatus[code]; ok {
		return code
	}
	return "other"
}

// annotate adds tags that are not there yet, in lower case.
func (r *run) annotate(tags []string) {
	for _, t := range tags {
		if t = strings.ToLower(strings.ToValidUTF8(t, "\ufffd")); len(t) <= MaxTagBytes && len(r.tags) < MaxTags && !slices.Contains(r.tags, t) {
			r.tags = append(r.tags, t)
		}
	}
}
