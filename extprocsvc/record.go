package extprocsvc

import (
	"context"
	"log/slog"
	"slices"
	"time"
)

// Record is the account of one decision: what ran, what it said, which line of
// the file decided, and how long it took. It never holds content of the
// request, and it is small: the lists are bounded by the file and by MaxTags.
type Record struct {
	// ID is in the response header [IDHeader].
	ID string `json:"id"`
	// Time is when the request was complete.
	Time time.Time `json:"time"`
	// Chain is the Ref of the chain, Profile the profile that was chosen.
	Chain   string  `json:"chain"`
	Profile string  `json:"profile,omitempty"`
	Verdict Verdict `json:"verdict"`
	// Reason is a short word for machines that goes with every verdict but
	// Passed, such as AIGW_POLICY_VIOLATION or unsupported_media_type.
	Reason string `json:"reason,omitempty"`
	// Stage, Step and Where tell what decided, if a step did. Where is
	// "file:line:col: path".
	Stage string `json:"stage,omitempty"`
	Step  string `json:"step,omitempty"`
	Where string `json:"where,omitempty"`
	// Unread is why the request, or the answer, could not be read, where it
	// passed unguarded all the same because the file says unreadable: pass.
	Unread string `json:"unread,omitempty"`
	// Service and Backend are those that were chosen, if there was a choice.
	Service string `json:"service,omitempty"`
	Backend string `json:"backend,omitempty"`
	// Unheard tells that Envoy took no answer (observability_mode): the verdict
	// had no effect.
	Unheard bool `json:"unheard,omitempty"`
	// Collected tells that a streamed answer was held until it was complete, since
	// a step had to see the whole of it.
	Collected bool `json:"collected,omitempty"`
	// Tags are those that were gathered, "key:value".
	Tags []string `json:"tags,omitempty"`
	// Steps are those that ran, in step order.
	Steps []StepRecord `json:"steps,omitempty"`
	// Duration is the time that the decisions about request and response took.
	Duration time.Duration `json:"duration_ns"`
	// Gateway is the account of what the gateway phase had decided about the
	// same request before. Only [Server.Explain] knows it.
	Gateway *Record `json:"gateway,omitempty"`
}

// StepRecord is the account of one step.
type StepRecord struct {
	Stage string `json:"stage"`
	Step  string `json:"step"`
	// Where is the step's place in the file.
	Where string `json:"where"`
	// Response tells that it looked at the response.
	Response bool `json:"response,omitempty"`
	// Verdict is Passed, Rejected, Failed, or Skipped for a failure that the
	// failure mode lets pass.
	Verdict Verdict `json:"verdict"`
	// Reason goes with a verdict that is not Passed.
	Reason string `json:"reason,omitempty"`
	// Observed tells that the verdict was recorded and not enforced.
	Observed bool `json:"observed,omitempty"`
	// Modified tells that the step changed the prompt or the response.
	Modified bool `json:"modified,omitempty"`
	// Dropped are rights that the step used without having them; what it did
	// with them was dropped.
	Dropped  Rights        `json:"dropped,omitempty"`
	Duration time.Duration `json:"duration_ns"`
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
	// Answered is for requests that the chain itself serves.
	Answered Verdict = "answered"
)

// reset empties the record and keeps its room.
func (r *Record) reset() { *r = Record{Steps: r.Steps[:0]} }

// copy is a record that shares nothing with r.
func (r *Record) copy() Record {
	c := *r
	c.Steps, c.Tags = slices.Clone(r.Steps), slices.Clone(r.Tags)
	return c
}

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
