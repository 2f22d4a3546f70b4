package collect

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/attache-dev/attache/extprocsvc/llm"
)

// Why a stream has no body. Others are an [*llm.Error].
var (
	errContradiction = errors.New("the events say of one text two different things")
	errMixed         = errors.New("the events are of several APIs")
	errUnknown       = errors.New("the events are of no API that is known")
	errTooMany       = fmt.Errorf("more than %d choices, items, keys or texts", maxItems)
)

// An Answer is a streamed answer as a whole.
type Answer struct {
	// Body is what the API would have answered without a stream.
	Body []byte
	// Dialect is that of the body.
	Dialect *llm.Dialect
	// Events is the stream as it came, without comments and fields that no reader
	// knows: nothing in it is not in the body.
	Events []byte

	api  *api
	done bool // it ended with [DONE]
	// failed tells that an event has told of an error, which is the key error of
	// the body.
	failed bool
}

// An api is a dialect in both directions.
type api struct {
	answer *llm.Dialect
	// begin returns what puts the events together.
	begin func() gatherer
	// stream makes events of a body.
	stream func(w *writer, body *value)
}

// A gatherer puts the events of one answer together.
type gatherer interface {
	// add takes an event's payload, an object, and its type.
	add(kind string, data *value) error
	// body is the answer. said are texts that it holds in another form.
	body() (body *value, said []string)
}

// apis are the dialects that have streams.
var apis = map[*llm.EventDialect]*api{
	llm.ChatEvents:       {llm.ChatCompletion, func() gatherer { return newChoices("chat.completion") }, streamChat},
	llm.CompletionEvents: {llm.Completion, func() gatherer { return newChoices("text_completion") }, streamCompletion},
	llm.ResponseEvents:   {llm.Response, func() gatherer { return &response{object(), listOf()} }, streamResponse},
	llm.MessageEvents:    {llm.AnthropicMessage, func() gatherer { return &message{object(), listOf(), map[*value]*value{}} }, streamMessage},
}

// Read puts the events of a streamed answer together. The error quotes nothing.
func Read(stream []byte) (*Answer, error) {
	r := reading{answer: &Answer{}, uncommented: uncommented{stream: stream}}
	var s llm.Splitter
	if err := s.Write(stream, r.event); err != nil {
		return nil, err
	}
	// Readers that are not strict take what no blank line ends for an event.
	if rest := s.Rest(); len(bytes.TrimSpace(rest)) > 0 {
		if err := r.event(rest); err != nil {
			return nil, err
		}
	}
	return r.end()
}

// A reading is an answer that is being put together.
type reading struct {
	answer   *Answer
	events   llm.EventReader
	dialect  *llm.EventDialect
	gatherer gatherer
	early    []*value // events before the dialect was known
	failure  *value   // what an event has told of an error
	cover    cover
	uncommented
}

func (r *reading) event(raw []byte) error {
	e, err := r.events.Read(raw)
	if err != nil {
		return err
	}
	r.uncommented.add(raw, e.Finds)
	if err := r.cover.note(raw, e.Finds); err != nil {
		return err
	}
	switch string(e.Data) {
	case "":
		return nil
	case "[DONE]":
		r.answer.done = true
		return nil
	}
	data := parse(e.Data)
	if e.Dialect != nil {
		if r.dialect != nil && r.dialect != e.Dialect {
			return errMixed
		}
		if r.dialect == nil {
			r.dialect = e.Dialect
			r.answer.api = apis[e.Dialect]
			r.answer.Dialect = r.answer.api.answer
			r.gatherer = r.answer.api.begin()
			for _, v := range r.early {
				if err := r.add(v); err != nil {
					return err
				}
			}
		}
	}
	if r.gatherer == nil {
		if r.early = append(r.early, data); len(r.early) > maxItems {
			return errTooMany
		}
		return nil
	}
	return r.add(data)
}

func (r *reading) add(data *value) error {
	kind := data.get("type").str()
	if kind == "error" {
		r.answer.failed = true
		if r.failure = data.get("error"); r.failure == nil {
			r.failure = data.without("type", "sequence_number")
		}
		return nil
	}
	return r.gatherer.add(kind, data)
}

func (r *reading) end() (*Answer, error) {
	a := r.answer
	if r.gatherer == nil {
		return nil, errUnknown
	}
	body, said := r.gatherer.body()
	if r.failure != nil {
		body.set("error", r.failure)
	}
	var read llm.Doc
	if err := read.Scan(a.Dialect, body.append(nil)); err != nil {
		return nil, err
	}
	beside, err := r.cover.check(body, &read, said)
	if err != nil {
		return nil, err
	}
	if len(beside) > 0 {
		body.set(llm.Beside, listOf(beside...))
	}
	a.Body, a.Events = body.append(nil), r.uncommented.end()
	return a, nil
}

// Stream makes events of a body of the answer's API, which is valid JSON. What was
// beside the answer is left out.
func (a *Answer) Stream(body []byte) []byte {
	v := parse(body).without(llm.Beside)
	w := &writer{answer: a}
	if a.failed || a.Dialect != llm.Response { // of a response it is a part
		w.error = v.get("error")
		v = v.without("error")
	}
	a.api.stream(w, v)
	if a.done {
		w.out = append(w.out, "data: [DONE]\n\n"...)
	}
	return w.out
}

// A writer writes events.
type writer struct {
	answer *Answer
	out    []byte
	error  *value // that the answer ends with, or nil
	number int    // of the next event, where they are numbered
}

// data writes an event without a name.
func (w *writer) data(v *value) {
	w.out = append(v.append(append(w.out, "data: "...)), "\n\n"...)
}

// named writes an event with its type as its name, and keys and values in turn.
func (w *writer) named(kind string, pairs ...any) {
	w.out = append(append(append(w.out, "event: "...), kind...), '\n')
	w.data(object("type", text(kind)).with(pairs...))
}

// fail ends an answer that has failed, and tells whether it has.
func (w *writer) fail() bool {
	if w.error.isNothing() {
		return false
	}
	if w.answer.failed {
		w.named("error", "error", w.error)
	} else {
		w.data(object("error", w.error))
	}
	return true
}
