// Package jsonschema is the processor json-schema: it checks requests, or what
// a model answers, against a JSON Schema. README.md is its manual.
package jsonschema

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	schemas "github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/extprocsvc"
	"github.com/attache-dev/attache/extprocsvc/llm"
)

func init() {
	extprocsvc.Register(extprocsvc.Kind{
		Name:      "json-schema",
		Phases:    extprocsvc.InputPhase | extprocsvc.ResponsePhase,
		NeedsOne:  extprocsvc.Annotate | extprocsvc.Reject,
		ReadsBody: true,
		New:       build,
	})
}

type params struct {
	Schema     config.Raw `yaml:"schema"`
	SchemaFile string     `yaml:"schema_file"`
	Target     string     `yaml:"target"`
	At         string     `yaml:"at"`
	Roles      []string   `yaml:"roles"`
	Formats    *bool      `yaml:"formats"`
	AllowEmpty *bool      `yaml:"allow_empty"`
	MaxValues  *int       `yaml:"max_values"`
}

// The targets.
const (
	body = "body"
	text = "text"
)

// validation is F5's code of a request that is not valid: status 400.
const validation = "AIGW_VALIDATION"

func build(s extprocsvc.Setup) (extprocsvc.Processor, error) {
	raw := s.Params
	var p params
	if err := raw.Decode(&p); err != nil {
		return nil, err
	}
	response := s.Phase == extprocsvc.ResponsePhase
	made := &processor{
		target: body, at: p.At, roles: p.Roles, maxValues: 100_000,
		reject: s.Rights&extprocsvc.Reject != 0, code: validation, subject: "The request",
	}
	if response {
		made.target, made.code, made.subject = text, extprocsvc.PolicyViolation, "The answer"
	} else if p.Roles == nil {
		made.roles = []string{"user"}
	}
	var errs []*config.Error
	errorf := func(key, format string, args ...any) {
		errs = append(errs, raw.Errorf(key, config.Invalid, format, args...))
	}
	switch p.Target {
	case "":
	case body, text:
		made.target = p.Target
	default:
		errorf("target", "unknown target %q; expected body or text", p.Target)
	}
	if p.At != "" && !strings.HasPrefix(p.At, "/") {
		errorf("at", "must be a JSON pointer, such as /messages/0")
	}
	if p.Roles != nil && (response || made.target == body) {
		errorf("roles", "is for the target text in input stages")
	}
	if p.AllowEmpty != nil {
		if made.allowEmpty = *p.AllowEmpty; made.target == body {
			errorf("allow_empty", "is for the target text")
		}
	}
	if p.MaxValues != nil {
		if made.maxValues = *p.MaxValues; made.maxValues < 1 {
			errorf("max_values", "must be at least 1")
		}
	}
	key, source, err := "schema", []byte(nil), error(nil)
	switch {
	case p.Schema.IsZero() == (p.SchemaFile == ""):
		errorf("", "json-schema needs one of schema and schema_file")
	case p.SchemaFile != "":
		key = "schema_file"
		source, err = s.ReadFile(p.SchemaFile)
	default:
		source, err = p.Schema.MarshalJSON()
	}
	if err == nil && source != nil {
		made.schema, err = compile(source, p.Formats == nil || *p.Formats)
	}
	if err != nil {
		errorf(key, "%s", oneLine(err))
	}
	if len(errs) > 0 {
		return nil, config.Join(errs)
	}
	return made, nil
}

// base is what references of the schema are relative to. Nothing is there.
const base = "https://schema.invalid/schema"

// offline refuses to load anything.
type offline struct{}

// Load fails.
func (offline) Load(url string) (any, error) {
	return nil, fmt.Errorf("a reference to another document is not followed: %s", strings.TrimPrefix(url, "https://schema.invalid/"))
}

func compile(source []byte, formats bool) (*schemas.Schema, error) {
	doc, err := schemas.UnmarshalJSON(bytes.NewReader(source))
	if err != nil {
		return nil, fmt.Errorf("the schema is not JSON: %w", err)
	}
	c := schemas.NewCompiler()
	c.UseLoader(offline{})
	if formats {
		c.AssertFormat()
	}
	if err := c.AddResource(base, doc); err != nil {
		return nil, err
	}
	return c.Compile(base)
}

// oneLine is an error of the library for an operator: it quotes the schema.
func oneLine(err error) string {
	line := strings.Join(strings.Fields(err.Error()), " ")
	if len(line) > 300 {
		line = strings.ToValidUTF8(line[:300], "") + " …"
	}
	return strings.ReplaceAll(line, base, "")
}

type processor struct {
	schema        *schemas.Schema
	target, at    string
	roles         []string // empty: all
	allowEmpty    bool
	maxValues     int
	reject        bool
	code, subject string
}

var (
	_ extprocsvc.RequestProcessor  = &processor{}
	_ extprocsvc.ResponseProcessor = &processor{}
)

// ProcessRequest checks the body of a request, or the texts of its messages.
func (p *processor) ProcessRequest(ctx context.Context, r *extprocsvc.Request) (extprocsvc.Result, error) {
	return p.process(ctx, r.Prompt)
}

// ProcessResponse checks the texts of the choices, or the body of a response.
func (p *processor) ProcessResponse(ctx context.Context, r *extprocsvc.Response) (extprocsvc.Result, error) {
	return p.process(ctx, r.Completion)
}

// buffers are used again.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// maxKept is the size, in bytes, of the largest buffer that is kept.
const maxKept = 64 << 10

func (p *processor) process(ctx context.Context, doc *llm.Doc) (extprocsvc.Result, error) {
	if doc == nil {
		return extprocsvc.Result{}, nil
	}
	buffer := buffers.Get().(*[]byte)
	defer func() {
		if cap(*buffer) <= maxKept {
			buffers.Put(buffer)
		}
	}()
	var wrong string
	var err error
	if p.target == body {
		*buffer = doc.Append((*buffer)[:0])
		wrong = p.check(*buffer)
	} else {
		wrong, err = p.texts(ctx, doc, buffer)
	}
	if wrong == "" || err != nil {
		return extprocsvc.Result{}, err
	}
	result := extprocsvc.Result{Tags: []string{"json-schema:mismatch"}}
	if p.reject {
		result.Rejection = &extprocsvc.Rejection{Code: p.code, Detail: p.subject + " " + wrong}
	}
	return result, nil
}

// said tells whether a text is what a message says, and not what stands in it
// beside that: reasoning, refusals, calls, names and sources.
func said(k llm.Kind) bool { return k == llm.Content || k == llm.System || k == llm.ToolResult }

// texts checks what each message says, all its parts together.
func (p *processor) texts(ctx context.Context, doc *llm.Doc, buffer *[]byte) (wrong string, err error) {
	message := -1
	for t := range doc.Texts() {
		if t.Message < 0 || !said(t.Kind) || len(p.roles) > 0 && !slices.Contains(p.roles, string(t.Role)) {
			continue // what stands beside the messages is none
		}
		if t.Message != message {
			if message >= 0 {
				if wrong = p.check(*buffer); wrong != "" {
					return wrong, nil
				}
			}
			if err := ctx.Err(); err != nil {
				return "", err
			}
			message, *buffer = t.Message, (*buffer)[:0]
		}
		*buffer = llm.AppendUnquoted(*buffer, t.Raw)
	}
	switch {
	case message >= 0:
		return p.check(*buffer), nil
	case p.allowEmpty:
		return "", nil
	}
	return "has no text", nil
}

// check tells what is wrong with a JSON text, or nothing. It quotes the schema
// at most.
func (p *processor) check(text []byte) string {
	v, err := read(text, p.maxValues)
	if err != nil {
		return err.Error()
	}
	v, ok := resolve(v, p.at)
	if !ok {
		return "has nothing at " + p.at
	}
	return describe(p.schema.Validate(v))
}

// unescape is how JSON pointers spell / and ~; RFC 6901, section 4.
var unescape = strings.NewReplacer("~1", "/", "~0", "~")

// resolve returns the part of a value that a JSON pointer names.
func resolve(v any, pointer string) (any, bool) {
	if pointer == "" {
		return v, true
	}
	for token := range strings.SplitSeq(pointer[1:], "/") {
		token = unescape.Replace(token)
		switch in := v.(type) {
		case map[string]any:
			next, ok := in[token]
			if !ok {
				return nil, false
			}
			v = next
		case []any:
			n, err := strconv.Atoi(token)
			if err != nil || n < 0 || n >= len(in) || strconv.Itoa(n) != token {
				return nil, false
			}
			v = in[n]
		default:
			return nil, false
		}
	}
	return v, true
}

const (
	// maxPlaces is how many places of the schema a rejection names, and
	// maxPlace how many bytes each has.
	maxPlaces = 3
	maxPlace  = 120
)

// describe names the places of the schema that a value does not fit. It says
// nothing of the value.
func describe(err error) string {
	if err == nil {
		return ""
	}
	var invalid *schemas.ValidationError
	if !errors.As(err, &invalid) {
		return "cannot be checked against the schema"
	}
	var places []string
	more := gather(invalid, &places)
	line := "does not fit the schema at " + strings.Join(places, ", ")
	if more {
		line += ", …"
	}
	return line
}

// gather adds the places of the innermost causes, each once. It returns true
// when there are too many.
func gather(e *schemas.ValidationError, places *[]string) (more bool) {
	for _, c := range e.Causes {
		if gather(c, places) {
			return true
		}
	}
	if len(e.Causes) > 0 {
		return false
	}
	place := placeOf(e)
	if slices.Contains(*places, place) {
		return false
	}
	if len(*places) == maxPlaces {
		return true
	}
	*places = append(*places, place)
	return false
}

// placeOf is the keyword that a value does not fit, as a JSON pointer into the
// schema.
func placeOf(e *schemas.ValidationError) string {
	_, place, _ := strings.Cut(e.SchemaURL, "#")
	if _, always := e.ErrorKind.(*kind.FalseSchema); !always {
		for _, k := range e.ErrorKind.KeywordPath() {
			place += "/" + k
		}
	}
	if len(place) > maxPlace {
		place = strings.ToValidUTF8(place[:maxPlace], "") + "…"
	}
	return place
}
