package external

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/attache-dev/attache/extprocsvc"
)

// Bounds of a reply. F5's protocol has none.
const (
	// maxReply is what a reply may be larger than three times the call: room
	// for metadata, and for a processor that writes all of the text anew with
	// escapes.
	maxReply   = 1 << 20
	replyRatio = 3
	maxParts   = 16
	// maxCode and maxDetail bound what a client is told, in bytes.
	maxCode   = 64
	maxDetail = 4096
)

// standardDetail is what a client is told by a rejection without a text.
const standardDetail = "Request rejected by policy"

// A reply is what is believed of an answer.
type reply struct {
	tags      []string
	list      []byte // what the list is to be; nil if it stays
	rejection *extprocsvc.Rejection
}

// A protocolError is an answer that F5's protocol does not know. It quotes
// nothing of it.
type protocolError string

func (e protocolError) Error() string { return string(e) }

// A statusError is the status of an answer that is none of the protocol's.
type statusError int

func (e statusError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", int(e), http.StatusText(int(e))))
}

// A limitError tells how many bytes an answer may have that has more.
type limitError int64

func (e limitError) Error() string { return fmt.Sprintf("answered with more than %d bytes", int64(e)) }

// limited reads up to so many bytes and fails beyond.
type limited struct {
	from  io.Reader
	left  int64
	limit int64
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left < 0 {
		return 0, limitError(l.limit)
	}
	n, err := l.from.Read(p[:min(int64(len(p)), l.left+1)])
	if l.left -= int64(n); l.left < 0 {
		return n, limitError(l.limit)
	}
	return n, err
}

// readReply reads the answer to a call. The error is a protocolError, a
// statusError, a limitError, or one of the connection.
func readReply(resp *http.Response, c *call) (reply, error) {
	switch resp.StatusCode {
	case http.StatusOK, http.StatusUnprocessableEntity:
	case http.StatusNoContent:
		return reply{}, nil
	default:
		return reply{}, statusError(resp.StatusCode)
	}
	if e := resp.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return reply{}, protocolError("the reply is compressed")
	}
	limit := maxReply + replyRatio*int64(len(c.body))
	body := &limited{from: resp.Body, left: limit, limit: limit}
	media, params, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if resp.StatusCode == http.StatusUnprocessableEntity {
		return readEarlyReject(media, params["boundary"], body, c)
	}
	if err != nil || media != "multipart/form-data" || params["boundary"] == "" {
		return reply{}, protocolError("the reply is not multipart/form-data with a boundary")
	}
	parts, err := readParts(body, params["boundary"], len(c.list()))
	if err != nil {
		return reply{}, err
	}
	// To its end, so that the connection can be kept.
	if _, err := io.Copy(io.Discard, body); err != nil {
		return reply{}, err
	}
	return c.understand(parts)
}

// part names that mean something in a reply.
const (
	metadataPart = "metadata"
	rejectPart   = "reject"
)

// readParts returns the parts that mean something, by name; hint is the size
// of the largest to expect.
func readParts(body io.Reader, boundary string, hint int) (map[string][]byte, error) {
	r := multipart.NewReader(body, boundary)
	parts := map[string][]byte{}
	for range maxParts + 1 {
		p, err := r.NextRawPart()
		if err == io.EOF {
			return parts, nil
		}
		if err != nil {
			return nil, multipartError(err)
		}
		name := p.FormName()
		switch name {
		case metadataPart, rejectPart, inputStage.part, responseStage.part:
		default:
			if _, err := io.Copy(io.Discard, p); err != nil {
				return nil, multipartError(err)
			}
			continue
		}
		if _, twice := parts[name]; twice {
			return nil, protocolError("a part comes twice")
		}
		var b bytes.Buffer
		if name == inputStage.part || name == responseStage.part {
			b.Grow(hint + 1024)
		}
		if _, err := b.ReadFrom(p); err != nil {
			return nil, multipartError(err)
		}
		parts[name] = b.Bytes()
	}
	return nil, protocolError("the reply has too many parts")
}

// multipartError tells errors of the form from those of the connection, as
// far as one can: an end in the middle may be either.
func multipartError(err error) error {
	var limit limitError
	if errors.As(err, &limit) {
		return limit
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return protocolError("the reply ends too early")
	}
	if strings.HasPrefix(err.Error(), "multipart: ") || strings.HasPrefix(err.Error(), "malformed MIME") {
		return protocolError("the reply is broken multipart")
	}
	return err
}

// metadata is the part of that name.
type metadata struct {
	RequestID *string             `json:"request_id"`
	StepID    *string             `json:"step_id"`
	Tags      map[string][]string `json:"tags"`
	Result    *struct {
		Reason any `json:"rejection_reason"`
	} `json:"processor_result"`
}

// understand makes sense of the parts of a reply with status 200.
func (c *call) understand(parts map[string][]byte) (r reply, err error) {
	text, ok := parts[metadataPart]
	if !ok {
		return r, protocolError("the reply has no metadata")
	}
	var meta struct {
		metadata
		Result json.RawMessage `json:"processor_result"` // anything
	}
	if !json.Valid(text) { // Python writes NaN and Infinity
		return r, protocolError("the metadata of the reply is not JSON, which has no NaN")
	}
	if json.Unmarshal(text, &meta) != nil || !isObject(text) {
		return r, protocolError("the metadata of the reply is not as expected")
	}
	if err := c.echoed(&meta.metadata); err != nil {
		return r, err
	}
	r.tags = flatten(meta.Tags)
	if text, ok := parts[rejectPart]; ok {
		var reject struct {
			Code   string `json:"code"`
			Detail string `json:"detail"`
		}
		if json.Unmarshal(text, &reject) != nil || !isObject(text) {
			return r, protocolError("the rejection in the reply is not as expected")
		}
		r.rejection = rejection(reject.Code, reject.Detail)
		return r, nil // decisive, whatever else there is
	}
	_, prompt := parts[inputStage.part]
	_, choices := parts[responseStage.part]
	if prompt && choices {
		return r, protocolError("the reply changes both the prompt and the response")
	}
	// What is of the other direction has no effect, as in F5's.
	if object, ok := parts[c.part]; ok {
		if r.list, ok = member(object, c.member); !ok {
			return r, protocolError("what the reply puts in place of the " + c.member + " is not as expected")
		}
	}
	return r, nil
}

// clientsNeed are the members of a choice without which clients of OpenAI's API do
// not understand it. F5's SDK before 1.2.0 leaves them out, and so does who makes a
// choice of a message alone.
var clientsNeed = []string{"index", "finish_reason"}

// numbered returns choices with what clients need, from those in their places if
// they lack it.
func numbered(was, theirs []byte) []byte {
	before, now := elements(was), elements(theirs)
	changed := false
	for i := range min(len(before), len(now)) {
		var old, given map[string]json.RawMessage
		if json.Unmarshal(before[i], &old) != nil || json.Unmarshal(now[i], &given) != nil || len(given) == 0 {
			continue
		}
		head := []byte{'{'}
		for _, key := range clientsNeed {
			if value, ok := old[key]; ok && given[key] == nil {
				head = slices.Concat(head, []byte(`"`+key+`":`), value, []byte{','})
			}
		}
		if len(head) > 1 {
			now[i], changed = append(head, now[i][1:]...), true
		}
	}
	if !changed {
		return theirs
	}
	return join(now)
}

// echoed checks that the reply is one to this call.
func (c *call) echoed(m *metadata) error {
	if m.RequestID != nil && *m.RequestID != c.requestID || m.StepID != nil && *m.StepID != c.stepID {
		return protocolError("the reply has the ids of another call")
	}
	return nil
}

func isObject(text []byte) bool {
	text = bytes.TrimLeft(text, " \t\r\n")
	return len(text) > 0 && text[0] == '{'
}

// flatten makes "key:value" of tags, in an order that does not change, and
// drops what the engine would.
func flatten(tags map[string][]string) (flat []string) {
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		for _, value := range tags[key] {
			if key == "" || value == "" || len(key)+1+len(value) > extprocsvc.MaxTagBytes {
				continue
			}
			if len(flat) == extprocsvc.MaxTags {
				return flat
			}
			flat = append(flat, strings.ToLower(key+":"+value))
		}
	}
	return flat
}

// rejection is what a client is told. Two of F5's codes have a stray letter in
// the SDK.
func rejection(code, detail string) *extprocsvc.Rejection {
	switch code {
	case "fAIGW_TIMEOUT", "fAIGW_VALIDATION":
		code = code[1:]
	case "":
		code = extprocsvc.PolicyViolation
	}
	if strings.TrimSpace(detail) == "" {
		detail = standardDetail
	}
	return &extprocsvc.Rejection{Code: cut(code, maxCode), Detail: cut(detail, maxDetail)}
}

// cut shortens a text to so many bytes, at a character's end.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// readEarlyReject reads an answer with status 422: a rejection of processors
// from before F5's 1.0, if it carries a processor_result, and an error like
// any other if it does not.
func readEarlyReject(media, boundary string, body io.Reader, c *call) (reply, error) {
	var text []byte
	var err error
	if media == "multipart/form-data" && boundary != "" {
		var parts map[string][]byte
		if parts, err = readParts(body, boundary, 0); err == nil {
			text = parts[metadataPart]
			_, err = io.Copy(io.Discard, body)
		}
	} else {
		text, err = io.ReadAll(body)
	}
	if err != nil { // what the status says is certain
		return reply{}, statusError(http.StatusUnprocessableEntity)
	}
	var object struct {
		metadata
		Nested *metadata `json:"metadata"`
	}
	if json.Unmarshal(text, &object) != nil {
		return reply{}, statusError(http.StatusUnprocessableEntity)
	}
	m := &object.metadata
	if object.Nested != nil {
		m = object.Nested
	}
	if m.Result == nil {
		return reply{}, statusError(http.StatusUnprocessableEntity)
	}
	if err := c.echoed(m); err != nil {
		return reply{}, err
	}
	reason, _ := m.Result.Reason.(string)
	return reply{tags: flatten(m.Tags), rejection: rejection(extprocsvc.PolicyViolation, reason)}, nil
}

// member returns the value of a key of an object, as it is written, if it is a
// list and the whole is valid JSON with that key once.
func member(object []byte, key string) (list []byte, ok bool) {
	if !utf8.Valid(object) || !json.Valid(object) || !isObject(object) {
		return nil, false
	}
	// The walk changes what it goes over in rare cases, which must not happen
	// to what is sent on.
	d := json.NewDecoder(bytes.NewReader(object))
	if _, err := d.Token(); err != nil {
		return nil, false
	}
	for d.More() {
		k, err := d.Token()
		if err != nil {
			return nil, false
		}
		if k != key {
			if !skip(d) {
				return nil, false
			}
			continue
		}
		if list != nil {
			return nil, false
		}
		var raw json.RawMessage
		if d.Decode(&raw) != nil || raw[0] != '[' {
			return nil, false
		}
		list = raw
	}
	return list, list != nil
}

func skip(d *json.Decoder) bool {
	var raw json.RawMessage
	return d.Decode(&raw) == nil
}
