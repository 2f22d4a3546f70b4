package extprocsvc_test

import (
	"testing"

	"github.com/attache-dev/attache/extprocsvc"
	"github.com/attache-dev/attache/extprocsvc/extproctest"
)

// What a model's error says goes through the steps that look at texts, and keeps
// its status. It may be of any shape; what cannot be read does not pass.
func TestErrorsOfTheModel(t *testing.T) {
	const (
		mask   = `{name: d, type: data-security, params: {modify: true, action: mask, matchers: [email, credit_card]}}`
		reject = `{name: d, type: data-security, params: {reject: true, matchers: [email]}}`
		// A step that judges answers, and would reject this one.
		topics = `{name: w, type: topic-detect, params: {reject: true, rejected_topics: [a], topics: [{name: a, phrases: [no, hello]}]}}`
		both   = `
  - {name: s, steps: [{name: w}, {name: d}]}`
		parallel = `
  - {name: s, concurrency: parallel, steps: [{name: w}, {name: d}]}`
		only = `
  - {name: s, steps: [{name: d}]}`
		json   = "application/json"
		unread = `502 {"error":{"message":"the gateway cannot read the model's response","type":"server_error","param":null,"code":"unreadable_response"}}`
	)
	file := func(stages string, processors ...string) string {
		return replies("", stages, append(processors, `{name: tag, type: language-id}`)...)
	}
	one := file(only, mask)
	large := answer("500", "text/plain", "no")
	large.Header = append(large.Header, [2]string{"content-length", "999999999"})
	twice := answer("500", "text/plain", "no")
	twice.Header = append(twice.Header, [2]string{"content-type", "image/png"})
	bare := answer("500", "", "no ada@example.com")
	bare.Header = bare.Header[:1]
	for _, c := range []struct {
		name, file string
		answer     extproctest.Message
		want       string // status and body
	}{
		{"what a model has generated", one, answer("400", json, `{"error":{"code":"tool_use_failed","failed_generation":"to ada\u0040example.com","card":4111111111111111}} `),
			`400 {"error":{"code":"tool_use_failed","failed_generation":"to <EMAIL_ADDRESS>","card":"<CREDIT_CARD>"}} `},
		{"nothing to find", one, answer("429", json, "{ \"error\": {\"code\": 1e5, \"code\": \"\\u0061\"}}\n"), "429 { \"error\": {\"code\": 1e5, \"code\": \"\\u0061\"}}\n"},
		{"a list", one, answer("404", "application/problem+json", `[{"m":"ada\u0040example.com"}]`), `404 [{"m":"<EMAIL_ADDRESS>"}]`},
		{"a text in JSON", one, answer("500", json, `"ada\u0040example.com"`), `500 "<EMAIL_ADDRESS>"`},
		{"a text", one, answer("503", "text/plain", "no \"ada@example.com\"\n"), "503 no \"<EMAIL_ADDRESS>\"\n"},
		{"a text that says it is JSON", one, answer("503", json, "no ada@example.com"), "503 no <EMAIL_ADDRESS>"},
		{"a page", one, answer("502", "text/html; charset=ISO-8859-1", "<p>ada@example.com\\"), "502 <p><EMAIL_ADDRESS>\\"},
		{"a redirection", one, answer("302", "text/html", "to ada@example.com"), "302 to <EMAIL_ADDRESS>"},
		{"no content type", one, bare, "500 no <EMAIL_ADDRESS>"},
		{"compressed", one, encoded(t, answer("500", "text/plain", "no ada@example.com"), "gzip"), "500 no <EMAIL_ADDRESS>"},
		{"events", one, answer("429", "text/event-stream", chat("ada@example.com")), "429 " + chat("<EMAIL_ADDRESS>")},
		{"rejected", file(only, reject), answer("400", json, `{"error":"ada@example.com"}`), `422 {"error":{"message":"Sensitive data detected","type":"policy_violation","code":"AIGW_POLICY_VIOLATION"},"message":"Sensitive data detected"}`},
		{"steps that judge answers are not asked", file(both, topics, mask), answer("400", "text/plain", "no ada@example.com"), "400 no <EMAIL_ADDRESS>"},
		{"nor in parallel", file(parallel, topics, `{name: d, type: data-security, params: {reject: true, matchers: [ssn]}}`), answer("400", "text/plain", "no ada@example.com"), "400 no ada@example.com"},
		{"but answers are", file(both, topics, mask), answer("200", json, completion), `422 {"error":{"message":"Detected topic in rejected_topics","type":"policy_violation","code":"AIGW_POLICY_VIOLATION"},"message":"Detected topic in rejected_topics"}`},
		{"events that would be collected", file(both, topics, mask), answer("429", "text/event-stream", chat("x")), unread},
		{"another character set", one, answer("500", "text/plain; charset=utf-16", "n\x00o\x00"), unread},
		{"not UTF-8", one, answer("500", "text/plain", "n\xff"), unread},
		{"cut JSON", one, answer("500", json, ` {"error":"ada\u0040example.com`), unread},
		{"no text", one, answer("500", "image/png", "no"), unread},
		{"two types", one, twice, unread},
		{"an encoding", one, with(answer("500", "text/plain", "no"), "content-encoding", "compress"), unread},
		{"too large", one, large, `502 {"error":{"message":"the model's response is too large","type":"server_error","param":null,"code":"response_too_large"}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, extprocsvc.Build, extprocsvc.Options{}, c.file)
			for name, f := range readsResponse(s.ref(0)) {
				if c.answer.Header.Get("content-type") == "text/event-stream" && f.Response != extproctest.FullDuplex {
					continue // it is collected
				}
				out, err := f.Do(t.Context(), s.client, extproctest.Post(`{"messages":[]}`), c.answer)
				got := reaches(out, err)
				if out.Client != nil {
					got = out.Client.Header.Get(":status") + " " + got
				}
				if got != c.want {
					t.Errorf("%s:\ngot  %s\nwant %s", name, got, c.want)
				}
			}
			if st := s.settled(); st.Held != 0 {
				t.Errorf("%d bytes are still held", st.Held)
			}
		})
	}
}

// What a request without a body gets, such as a list of models, is looked at by
// steps that look at texts; others cannot know what it is.
func TestAnswersToNothing(t *testing.T) {
	mask := replies("", "\n  - {name: s, steps: [{name: d}]}", `{name: d, type: data-security, params: {modify: true, action: mask, matchers: [email]}}`, `{name: tag, type: language-id}`)
	judge := replies("", "\n  - {name: s, steps: [{name: d}]}", `{name: d, type: language-id}`, `{name: tag, type: language-id}`)
	request := with(extproctest.Post(""), ":method", "GET", ":path", "/v1/models", "content-type", "", "content-length", "")
	request.Chunks = nil
	for _, c := range []struct{ name, file, body, want string }{
		{"a list of models", mask, `{"object":"list","data":[{"id":"m","owned_by":"ada\u0040example.com"}]}`, `{"object":"list","data":[{"id":"m","owned_by":"<EMAIL_ADDRESS>"}]}`},
		{"a completion", mask, `{"choices":[{"message":{"content":"ada@example.com"},"logprobs":[1]}]}`, `{"choices":[{"message":{"content":"<EMAIL_ADDRESS>"},"logprobs":null}]}`},
		{"a response", mask, `{"output":[{"content":[{"text":"ada@example.com","logprobs":[1]}]}]}`, `{"output":[{"content":[{"text":"<EMAIL_ADDRESS>","logprobs":null}]}]}`},
		{"who knows what", judge, `{"object":"list","data":[]}`, `502 {"error":{"message":"the gateway cannot read the model's response","type":"server_error","param":null,"code":"unreadable_response"}}`},
	} {
		s := start(t, extprocsvc.Build, extprocsvc.Options{}, c.file)
		for name, f := range readsResponse(s.ref(0)) {
			if got := reaches(f.Do(t.Context(), s.client, request, answer("200", "application/json", c.body))); got != c.want {
				t.Errorf("%s, %s:\ngot  %s\nwant %s", c.name, name, got, c.want)
			}
		}
	}
}
