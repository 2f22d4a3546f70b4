package e2e

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"os"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// processorCommand starts a server of F5's protocol with one processor, whose
// path ends in /labs/words. It does what the words in the text ask for:
//
//	tag=KEY:VALUE   add the tag
//	reject          reject
//	shout           put the text in capitals
//
// With FILE it speaks TLS, and FILE gets the certificate that verifies it.
func processorCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 || args[0] != "start" {
		ts.Fatalf("usage: processor start ADDR [FILE]")
	}
	l, err := net.Listen("tcp", args[1])
	ts.Check(err)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/signature/labs/words", signature)
	mux.HandleFunc("POST /api/v1/signature/labs/words", signature)
	mux.HandleFunc("POST /api/v1/execute/labs/words", execute)
	s := httptest.NewUnstartedServer(mux)
	s.Listener.Close()
	s.Listener = l
	if len(args) == 3 {
		s.StartTLS()
		cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
		ts.Check(os.WriteFile(ts.MkAbs(args[2]), cert, 0o644))
	} else {
		s.Start()
	}
	of(ts).servers = append(of(ts).servers, s.Config)
}

func signature(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprint(w, `{"fields":[{"type":"input.messages","required":false},{"type":"response.choices","required":false}],"parameters":{"type":"object","properties":{}}}`)
}

type processed struct {
	Messages []message `json:"messages,omitempty"`
	Choices  []choice  `json:"choices,omitempty"`
}

type choice struct {
	Index   int     `json:"index"`
	Message message `json:"message"`
}

type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

func execute(w http.ResponseWriter, r *http.Request) {
	form, err := r.MultipartReader()
	if err != nil {
		http.Error(w, `{"detail":"Content-Type header mismatch"}`, http.StatusUnsupportedMediaType)
		return
	}
	parts := map[string][]byte{}
	for {
		p, err := form.NextPart()
		if err != nil {
			break
		}
		parts[p.FormName()], _ = io.ReadAll(p)
	}
	part := "input.messages"
	if parts["response.choices"] != nil {
		part = "response.choices"
	}
	var in processed
	var ids map[string]any
	if json.Unmarshal(parts[part], &in) != nil || json.Unmarshal(parts["metadata"], &ids) != nil {
		http.Error(w, `{"detail":"invalid"}`, http.StatusBadRequest)
		return
	}
	meta := map[string]any{"processor_id": "labs:words", "processor_version": "v1", "request_id": ids["request_id"], "step_id": ids["step_id"]}
	tags := map[string][]string{}
	reply := multipart.NewWriter(w)
	w.Header().Set("Content-Type", mime.FormatMediaType("multipart/form-data", map[string]string{"charset": "utf-8", "boundary": reply.Boundary()}))
	write := func(name string, v any) {
		p, _ := reply.CreatePart(textproto.MIMEHeader{
			"Content-Disposition": {`form-data; name="` + name + `"`}, "Content-Type": {"application/json"},
		})
		_ = json.NewEncoder(p).Encode(v)
	}
	reject, shout := false, false
	each := func(m *message) {
		for word := range strings.FieldsSeq(m.Content) {
			if tag, ok := strings.CutPrefix(word, "tag="); ok {
				key, value, _ := strings.Cut(tag, ":")
				tags[key] = append(tags[key], value)
			}
			reject, shout = reject || word == "reject", shout || word == "shout"
		}
	}
	for i := range in.Messages {
		each(&in.Messages[i])
	}
	for i := range in.Choices {
		each(&in.Choices[i].Message)
	}
	switch {
	case reject:
		write("reject", map[string]any{"code": "AIGW_POLICY_VIOLATION", "detail": "You said reject"})
	case shout:
		for i := range in.Messages {
			in.Messages[i].Content = strings.ToUpper(in.Messages[i].Content)
		}
		for i := range in.Choices {
			in.Choices[i].Message.Content = strings.ToUpper(in.Choices[i].Message.Content)
		}
		write(part, in)
	}
	if len(tags) > 0 {
		meta["tags"] = tags
	}
	write("metadata", meta)
	_ = reply.Close()
}
