package extprocsvc

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/attache-dev/attache/extprocsvc/events"
)

// A guarding is the work of one step on one streamed answer: it holds the
// step's processor to its rights.
type guarding struct {
	run   *run
	ctx   context.Context
	stage *stage
	step  *step
	guard StreamGuard
	rec   StepRecord
	// over tells that it failed and is skipped.
	over bool
	// refused is why it has stopped the answer.
	refused *refusal
}

// canStream tells whether response stages can work on an answer while it comes.
func canStream(replies []stage) bool {
	annotated := false
	for i := range replies {
		st := &replies[i]
		if annotated && st.selector != nil {
			return false // it may hold because of what an earlier step says at the end
		}
		for j := range st.steps {
			if st.steps[j].stream == nil {
				return false
			}
			annotated = annotated || st.steps[j].rights&Annotate != 0
		}
	}
	return len(replies) > 0
}

// begin starts the steps that are to guard a streamed answer.
func (r *run) begin(ctx context.Context, stages []stage) (list []*guarding, refused *refusal) {
	for i := range stages {
		st := &stages[i]
		if !st.selector.holds(r.tags) {
			continue
		}
		for j := range st.steps {
			s := &st.steps[j]
			g := &guarding{run: r, ctx: ctx, stage: st, step: s, rec: StepRecord{
				Stage: st.name, Step: s.name, Response: true, Verdict: Passed, Observed: s.observe, Where: s.where,
			}}
			list = append(list, g)
			err := g.protect(func() (err error) {
				g.guard, err = s.stream.ProcessStream(ctx, &Response{Prompt: r.prompt, Tags: r.tags, Call: r.call})
				return err
			})
			if err == nil && g.guard == nil {
				err = errors.New("no guard")
			}
			if err != nil {
				g.fail(err)
			}
			if g.refused != nil {
				return list, g.refused
			}
		}
	}
	return list, nil
}

// protect calls a processor, and makes an error of a panic.
func (g *guarding) protect(call func() error) (err error) {
	began := time.Now()
	defer func() {
		g.rec.Duration += time.Since(began)
		if p := recover(); p != nil {
			g.run.server.log.LogAttrs(g.ctx, slog.LevelError, "a processor panicked",
				slog.String("chain", g.run.chain.ref), slog.String("step", g.step.name), slog.String("where", g.step.where),
				slog.String("panic", panicText(p)), slog.String("stack", string(debug.Stack())))
			err = errors.New("panic")
		}
	}()
	return call()
}

// fail applies the failure mode. The step is over, one way or the other.
func (g *guarding) fail(err error) {
	g.over = true
	g.refused = g.run.failed(g.ctx, g.stage, g.step, &g.rec, err)
}

// A textGuarding is a text guard within the rights of its step.
type textGuarding struct {
	g    *guarding
	text TextGuard
	size int
}

func (g *guarding) newText() events.Guard {
	t := &textGuarding{g: g}
	t.Reset()
	return t
}

func (t *textGuarding) Reset() {
	t.size = 0
	if t.g.over {
		return
	}
	if err := t.g.protect(func() error {
		if t.text == nil {
			t.text = t.g.guard.Text()
		} else {
			t.text.Reset()
		}
		return nil
	}); err != nil {
		t.g.fail(err)
	}
}

func (t *textGuarding) Write(piece []byte) events.Decision {
	t.size += len(piece)
	return t.ask(func() TextResult { return t.text.Write(piece) })
}

func (t *textGuarding) Close() events.Decision { return t.ask(t.close) }

func (t *textGuarding) close() TextResult { return t.text.Close() }

// ask does what the step says, as far as its rights go. A step that may change
// nothing holds nothing.
func (t *textGuarding) ask(call func() TextResult) events.Decision {
	g := t.g
	pass := events.Decision{Safe: t.size, Stop: g.refused != nil}
	if g.over {
		return pass
	}
	var res TextResult
	if err := g.protect(func() error { res = call(); return nil }); err != nil {
		g.fail(err)
		pass.Stop = g.refused != nil
		return pass
	}
	g.drop(&res)
	if len(res.Tags) > 0 && (!g.step.observe || g.run.profile.observe) {
		g.run.annotate(res.Tags)
	}
	if res.Rejection != nil {
		g.rec.Verdict, g.rec.Reason = Rejected, reasonOf(res.Rejection.Code)
	}
	g.rec.Modified = g.rec.Modified || len(res.Edits) > 0
	switch {
	case g.step.observe, g.step.rights&(Modify|Reject) == 0:
		return pass
	case res.Rejection != nil:
		g.run.record.by(Rejected, g.stage.name, g.step)
		g.refused = rejected(g.run.profile, g.stage.name, g.step.name, res.Rejection)
		return events.Decision{Safe: res.Safe, Stop: true}
	}
	return events.Decision{Edits: res.Edits, Safe: res.Safe}
}

// drop takes away what the step has no right to.
func (g *guarding) drop(res *TextResult) {
	var dropped Rights
	if len(res.Tags) > 0 && g.step.rights&Annotate == 0 {
		res.Tags, dropped = nil, dropped|Annotate
	}
	if len(res.Edits) > 0 && g.step.rights&Modify == 0 {
		res.Edits, dropped = nil, dropped|Modify
	}
	if res.Rejection != nil && g.step.rights&Reject == 0 {
		res.Rejection, dropped = nil, dropped|Reject
	}
	if dropped&^g.rec.Dropped != 0 { // once for each right
		g.run.server.log.LogAttrs(g.ctx, slog.LevelWarn, "a processor went beyond its rights; what it did is dropped",
			slog.String("chain", g.run.chain.ref), slog.String("step", g.step.name), slog.String("where", g.step.where),
			slog.String("dropped", dropped.String()))
	}
	g.rec.Dropped |= dropped
}
