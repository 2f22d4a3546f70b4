package extprocsvc

import (
	"context"
	"log/slog"
	"time"
)

// Record is the account of one decision: what ran, what it said, which line of
// the file decided, and how long it took. It never holds content of the
// request, and it is small: the lists are bounded by the file and by MaxTags.
type Record struct {
	// Chain is the Ref of the chain.
	Chain   string
	Verdict Verdict
	// Reason is a short word for machines that goes with every verdict but
	// Passed, such as AIGW_POLICY_VIOLATION or unsupported_media_type.
	Reason string
	// Stage, Step and Where tell what decided, if a step did. Where is
	// "file:line:col: path".
	Stage, Step, Where string
	// Tags are those that were gathered, "key:value".
	Tags []string
	// Steps are those that ran, in step order.
	Steps []StepRecord
	// Duration is the time from the complete request to the decision.
	Duration time.Duration
}

// StepRecord is the account of one step.
type StepRecord struct {
	Stage, Step string
	// Verdict is Passed, Rejected, Failed, or Skipped for a failure that the
	// failure mode lets pass.
	Verdict Verdict
	// Modified tells that the step changed the prompt.
	Modified bool
	// Dropped are rights that the step used without having them; what it did
	// with them was dropped.
	Dropped  Rights
	Duration time.Duration
}

// Verdict is how a request or a step came out.
type Verdict string

// The verdicts. Refused is for requests that no step could be asked about,
// such as those that cannot be read.
const (
	Passed   Verdict = "passed"
	Rejected Verdict = "rejected"
	Refused  Verdict = "refused"
	Failed   Verdict = "failed"
	Skipped  Verdict = "skipped"
)

// reset empties the record and keeps its room.
func (r *Record) reset() { *r = Record{Steps: r.Steps[:0]} }

// by notes which step decided.
func (r *Record) by(v Verdict, stage string, s *step) {
	r.Verdict, r.Stage, r.Step, r.Where = v, stage, s.name, s.where
}

func (r *Record) log(ctx context.Context, l *slog.Logger) {
	if !l.Enabled(ctx, slog.LevelDebug) {
		return
	}
	steps := make([]any, len(r.Steps))
	for i, s := range r.Steps {
		steps[i] = slog.Group(s.Stage+"/"+s.Step, "verdict", s.Verdict, "modified", s.Modified, "dropped", s.Dropped.String(), "duration", s.Duration)
	}
	l.LogAttrs(ctx, slog.LevelDebug, "request decided",
		slog.String("chain", r.Chain), slog.String("verdict", string(r.Verdict)), slog.String("reason", r.Reason),
		slog.String("stage", r.Stage), slog.String("step", r.Step), slog.String("where", r.Where),
		slog.Any("tags", r.Tags), slog.Group("steps", steps...), slog.Duration("duration", r.Duration))
}
