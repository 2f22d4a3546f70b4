package e2e

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/rogpeppe/go-internal/testscript"
)

// hidden is what hostile clients try to get past a guard that masks addresses.
const hidden = "ada@example.com"

// hostileCommand plays clients that say one thing and send another, or hope that
// the guard and the model read it differently. Each gets the status below, and
// none gets to an upstream that answers with what it got.
func hostileCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: hostile ADDR")
	}
	failed := 0
	for _, c := range hostile() {
		status, answer, err := c.send(args[0])
		switch {
		case err != nil:
			fmt.Fprintf(ts.Stdout(), "%s: %v\n", c.name, err)
		case status != c.want:
			fmt.Fprintf(ts.Stdout(), "%s: %d, want %d\n%s\n", c.name, status, c.want, answer)
		case leaks(answer):
			fmt.Fprintf(ts.Stdout(), "%s: got through\n%s\n", c.name, answer)
		default:
			continue
		}
		failed++
	}
	if failed > 0 {
		ts.Fatalf("%d clients were not treated as they should be\n%s", failed, allLogs(ts))
	}
}

// leaks tells whether an answer holds what is hidden, in any way in which it was sent.
func leaks(answer []byte) bool {
	plain := bytes.ReplaceAll(answer, []byte{0}, nil) // UTF-16, UTF-32
	if i := bytes.Index(answer, []byte("\x1f\x8b")); i >= 0 {
		if zip, err := gzip.NewReader(bytes.NewReader(answer[i:])); err == nil {
			text, _ := io.ReadAll(zip)
			plain = append(plain, text...)
		}
	}
	return bytes.Contains(plain, []byte(hidden)) || bytes.Contains(plain, []byte(base64.StdEncoding.EncodeToString([]byte(hidden))[:12]))
}

// A raw is a request of one client, as it is written.
type raw struct {
	name    string
	want    int
	line    string // POST /v1/chat/completions HTTP/1.1 by default
	headers string // lines; content-type: application/json by default
	body    string
}

const chunks = "transfer-encoding: chunked"

func (r *raw) send(addr string) (status int, answer []byte, err error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return 0, nil, err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	line, headers := r.line, r.headers
	if line == "" {
		line = "POST /v1/chat/completions HTTP/1.1"
	}
	if headers == "" {
		headers = "content-type: application/json"
	}
	if !strings.Contains(headers, "transfer-encoding") && !strings.Contains(headers, "content-length") {
		headers += fmt.Sprintf("\ncontent-length: %d", len(r.body))
	}
	text := line + "\nhost: gateway\nconnection: close\n" + headers + "\n\n"
	go func() { _, _ = io.WriteString(conn, strings.ReplaceAll(text, "\n", "\r\n")+r.body) }()
	in := bufio.NewReader(conn)
	for {
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			return 0, nil, err
		}
		if resp.StatusCode == http.StatusContinue {
			continue
		}
		answer, err = io.ReadAll(resp.Body)
		if resp.Header.Get("Grpc-Status") != "" { // Envoy's form of an error for gRPC clients
			return 415, answer, err
		}
		return resp.StatusCode, answer, err
	}
}

func hostile() []raw {
	chat := func(content string) string { return `{"messages":[{"role":"user","content":"` + content + `"}]}` }
	ask := chat(hidden)
	wide := func(s string, bom string) string {
		b := []byte(bom)
		for _, u := range utf16.Encode([]rune(s)) {
			b = append(b, byte(u), byte(u>>8))
		}
		return string(b)
	}
	zipped := func(s string) string {
		var b bytes.Buffer
		zip := gzip.NewWriter(&b)
		_, _ = io.WriteString(zip, s)
		_ = zip.Close()
		return b.String()
	}
	chunked := func(s string, n int, trailers string) string {
		var b strings.Builder
		for len(s) > 0 {
			n = min(n, len(s))
			fmt.Fprintf(&b, "%x\r\n%s\r\n", n, s[:n])
			s = s[n:]
		}
		return b.String() + "0\r\n" + trailers + "\r\n"
	}
	const socket = "\nconnection: upgrade\nupgrade: websocket\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\nsec-websocket-version: 13"
	const form = "--x\r\ncontent-disposition: form-data; name=a\r\n\r\n" + hidden + "\r\n--x--"
	text64 := base64.StdEncoding.EncodeToString([]byte(hidden))
	json := func(more string) string { return "content-type: application/json" + more }

	return []raw{
		{name: "an honest one", want: 200, body: ask},
		{name: "escapes", want: 200, body: chat(`ada\u0040example.com`)},

		// What the body is said to be.
		{name: "text", want: 415, headers: "content-type: text/plain", body: ask},
		{name: "no type", want: 200, headers: "accept: */*", body: ask},
		{name: "no type, no JSON", want: 400, headers: "accept: */*", body: hidden},
		{name: "an empty type", want: 415, headers: "content-type:", body: ask},
		{name: "two types", want: 415, headers: json("\ncontent-type: text/plain"), body: ask},
		{name: "two types in one", want: 415, headers: json(", text/plain"), body: ask},
		{name: "capitals", want: 200, headers: "CONTENT-TYPE: Application/JSON", body: ask},
		{name: "a form", want: 415, headers: "content-type: application/x-www-form-urlencoded", body: "q=" + hidden},
		{name: "multipart", want: 415, headers: "content-type: multipart/form-data; boundary=x", body: form},
		{name: "multipart for another API", want: 415, line: "POST /v1/audio/transcriptions HTTP/1.1", headers: "content-type: multipart/form-data; boundary=x", body: form},
		{name: "lines of JSON", want: 415, headers: "content-type: application/x-ndjson", body: ask + "\n" + ask},
		{name: "gRPC", want: 415, headers: "content-type: application/grpc", body: "\x00\x00\x00\x00\x05" + ask},
		{name: "gRPC for browsers", want: 415, headers: "content-type: application/grpc-web+json", body: ask},

		// How it is written.
		{name: "UTF-16, said", want: 415, headers: json("; charset=utf-16"), body: wide(ask, "\xff\xfe")},
		{name: "UTF-16, said in quotes", want: 415, headers: json(`; charset="utf-16"`), body: wide(ask, "")},
		{name: "UTF-16, not said", want: 400, body: wide(ask, "")},
		{name: "UTF-16 with a BOM", want: 400, body: wide(ask, "\xff\xfe")},
		{name: "UTF-16, UTF-8 said", want: 400, headers: json("; charset=utf-8"), body: wide(ask, "")},
		{name: "two character sets", want: 415, headers: json("; charset=utf-8; charset=utf-16"), body: ask},
		{name: "UTF-7", want: 415, headers: json("; charset=utf-7"), body: chat("ada+AEA-example.com")},
		{name: "Latin-1", want: 415, headers: json("; charset=latin1"), body: ask},
		{name: "a BOM", want: 400, body: "\ufeff" + ask},
		{name: "overlong UTF-8", want: 400, body: chat("ada\xc1\x80example.com")},
		{name: "gzip, said", want: 200, headers: json("\ncontent-encoding: gzip"), body: zipped(ask)},
		{name: "gzip on gzip on gzip", want: 415, headers: json("\ncontent-encoding: gzip, gzip, gzip"), body: zipped(zipped(zipped(ask)))},
		{name: "gzip, cut off", want: 400, headers: json("\ncontent-encoding: gzip"), body: zipped(ask)[:40]},
		{name: "gzip, and something behind", want: 400, headers: json("\ncontent-encoding: gzip"), body: zipped(`{"messages":[]}`) + ask},
		{name: "too much in gzip", want: 413, headers: json("\ncontent-encoding: gzip"), body: zipped(chat(strings.Repeat("x", 11<<20)))},
		{name: "an unknown encoding", want: 415, headers: json("\ncontent-encoding: compress"), body: ask},
		{name: "gzip, not said", want: 400, body: zipped(ask)},
		{name: "gzip behind identity", want: 200, headers: json("\ncontent-encoding: identity, gzip"), body: zipped(ask)},
		{name: "gzip in a second header", want: 200, headers: json("\ncontent-encoding: identity\ncontent-encoding: gzip"), body: zipped(ask)},
		{name: "gzip in a trailer", want: 400, headers: json("\n" + chunks + "\ntrailer: content-encoding"), body: chunked(zipped(ask), 7, "content-encoding: gzip\r\n")},
		{name: "gzip as a transfer coding", want: 501, headers: json("\ntransfer-encoding: gzip, chunked"), body: chunked(zipped(ask), 7, "")},

		// What it says.
		{name: "a key twice", want: 400, body: `{"messages":[],` + ask[1:]},
		{name: "a key twice, in escapes", want: 400, body: `{"mess\u0061ges":[],` + ask[1:]},
		{name: "a key in two cases", want: 400, body: `{"Messages":[],` + ask[1:]},
		{name: "content twice", want: 400, body: `{"messages":[{"role":"user","content":"hi","content":"` + hidden + `"}]}`},
		{name: "something behind", want: 400, body: ask + ask},
		{name: "NUL behind", want: 400, body: ask + "\x00"},
		{name: "a comment", want: 400, body: "/* */" + ask},
		{name: "NaN", want: 400, body: `{"x":NaN,` + ask[1:]},
		{name: "deep", want: 400, body: `{"x":` + strings.Repeat("[", 100_000) + `"` + hidden + `"` + strings.Repeat("]", 100_000) + "}"},
		{name: "as deep as may be", want: 200, body: `{"messages":[],"x":` + strings.Repeat(`{"a":`, 120) + `"` + hidden + `"` + strings.Repeat("}", 120) + "}"},
		{name: "half of a surrogate pair", want: 200, body: chat(`\ud800 ` + hidden)},
		{name: "an unknown key", want: 200, body: `{"messages":[],"` + hidden + `":1}`},
		{name: "instead of an identifier", want: 200, body: `{"messages":[{"role":"` + hidden + `","content":"hi"}],"user":"` + hidden + `"}`},
		{name: "a text in base64", want: 400, body: `{"messages":[{"role":"user","content":[{"type":"file","file":{"file_data":"data:text/plain;base64,` + text64 + `"}}]}]}`},
		{name: "another API", want: 400, body: `{"input":"` + hidden + `"}`},
		{name: "another path", want: 400, line: "POST /v1/responses HTTP/1.1", body: ask},
		{name: "two APIs", want: 200, body: `{"prompt":"` + hidden + `","input":"` + hidden + `",` + ask[1:]},
		{name: "messages that are none", want: 400, body: `{"messages":"` + hidden + `"}`},
		{name: "content that is none", want: 400, body: `{"messages":[{"role":"user","content":{"text":"` + hidden + `"}}]}`},
		{name: "tokens", want: 400, line: "POST /v1/completions HTTP/1.1", body: `{"prompt":[1,2,3]}`},
		{name: "nothing", want: 400},
		{name: "white space", want: 400, body: " "},

		// How it is sent.
		{name: "byte by byte", want: 200, headers: json("\n" + chunks), body: chunked(ask, 1, "")},
		{name: "with trailers", want: 200, headers: json("\n" + chunks + "\ntrailer: x-a"), body: chunked(ask, 7, "x-a: b\r\n")},
		{name: "a length and chunks", want: 400, headers: json("\n" + chunks + "\ncontent-length: 5"), body: chunked(ask, 7, "")},
		{name: "two lengths", want: 400, headers: json("\ncontent-length: 5\ncontent-length: 62"), body: ask},
		{name: "less than there is", want: 400, headers: json("\ncontent-length: 5"), body: ask},
		{name: "more than may be", want: 413, headers: json("\ncontent-length: 99999999999"), body: ask},
		{name: "too much", want: 413, headers: json("\n" + chunks), body: chunked(chat(strings.Repeat("x", 11<<20)), 1<<20, "")},
		{name: "expecting 100", want: 200, headers: json("\nexpect: 100-continue"), body: ask},
		{name: "HTTP/1.0", want: 426, line: "POST /v1/chat/completions HTTP/1.0", body: ask},
		{name: "GET with a body", want: 200, line: "GET /v1/chat/completions HTTP/1.1", body: ask},
		{name: "GET with a text", want: 415, line: "GET /v1/chat/completions HTTP/1.1", headers: "content-type: text/plain", body: ask},
		{name: "OPTIONS with a text", want: 415, line: "OPTIONS /v1/chat/completions HTTP/1.1", headers: "content-type: text/plain", body: ask},
		{name: "DELETE with a body", want: 200, line: "DELETE /v1/chat/completions HTTP/1.1", body: ask},
		{name: "a method of its own", want: 400, line: "BREW /v1/chat/completions HTTP/1.1", body: ask},
		{name: "CONNECT", want: 400, line: "CONNECT gateway:80 HTTP/1.1", body: ask},
		{name: "a web socket", want: 403, line: "GET /v1/realtime HTTP/1.1", headers: "accept: */*" + socket},
		{name: "a web socket with a body", want: 403, headers: json(socket), body: ask},
		{name: "around the path", want: 415, line: "POST /x/../v1/chat/completions HTTP/1.1", headers: "content-type: text/plain", body: ask},
		{name: "headers of ours", want: 415, headers: "content-type: text/plain\nx-attache-chain: none\nx-attache-backend: none\nx-envoy-original-path: /", body: ask},
	}
}
