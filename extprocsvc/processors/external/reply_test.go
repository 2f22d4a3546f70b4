package external

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"unicode/utf8"

	"github.com/attache-dev/attache/extprocsvc"
	"github.com/attache-dev/attache/extprocsvc/extproctest"
	"github.com/attache-dev/attache/extprocsvc/llm"
)

// FuzzReply: whatever a processor answers, what is believed of it is within
// bounds.
func FuzzReply(f *testing.F) {
	f.Add(200, quoted, []byte(written("metadata", `{"tags":{"a":["b"]},"request_id":"req-1"}`, "input.messages", `{"messages":[]}`)))
	f.Add(200, quoted, []byte(written("reject", `{"code":"fAIGW_TIMEOUT","detail":"x"}`, "metadata", `{}`)))
	f.Add(422, quoted, []byte(written("metadata", `{"processor_result":{"rejection_reason":"x"}}`)))
	f.Add(422, "application/json", []byte(`{"metadata":{"processor_result":{"rejection_reason":1}}}`))
	f.Add(204, "", []byte(``))
	doc := extproctest.Doc(f, llm.ChatCompletions, hello)
	c := newCall(inputStage, nil, doc, nil, someCall)
	f.Fuzz(func(t *testing.T, status int, contentType string, body []byte) {
		r, err := readReply(&http.Response{
			StatusCode: status, Header: http.Header{"Content-Type": {contentType}}, Body: io.NopCloser(bytes.NewReader(body)),
		}, c)
		if err != nil && (r.list != nil && r.rejection != nil) {
			t.Error("an error and a result")
		}
		if len(r.tags) > extprocsvc.MaxTags {
			t.Errorf("%d tags", len(r.tags))
		}
		if r.rejection != nil && (r.list != nil || r.rejection.Code == "" || r.rejection.Detail == "" || len(r.rejection.Code) > maxCode || len(r.rejection.Detail) > maxDetail) {
			t.Errorf("%+v", r.rejection)
		}
		if r.list != nil && (!json.Valid(r.list) || !utf8.Valid(r.list) || r.list[0] != '[') {
			t.Errorf("list %q", r.list)
		}
	})
}
