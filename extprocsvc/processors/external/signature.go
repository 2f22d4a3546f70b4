package external

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"github.com/attache-dev/attache/extprocsvc"
)

// Bounds of what is read and shown of a signature.
const (
	maxSignature = 1 << 20
	// maxMessages and maxMessage bound what is shown of the errors about
	// params: their number, and the bytes of each.
	maxMessages = 5
	maxMessage  = 200
)

// A signature is what a processor says about itself.
type signature struct {
	Fields []struct {
		Type     string `json:"type"`
		Required bool   `json:"required"`
	} `json:"fields"`
	Validation struct {
		Errors []string `json:"errors"`
	} `json:"validation"`
	Messages []string `json:"messages"`
}

// Check asks the processor whether it can stand where it stands, and whether
// the params suit it. It learns whether the processor wants the prompt beside
// a response.
func (p *processor) Check(ctx context.Context) error {
	err := p.check(ctx)
	if refused := errors.Is(err, extprocsvc.ErrRefused); refused || err == nil {
		p.refused.Store(refused)
	}
	return err
}

func (p *processor) check(ctx context.Context) error {
	status, sig, err := p.ask(ctx, http.MethodGet, nil)
	switch {
	case err != nil:
		return err
	case status == http.StatusNotFound:
		return fmt.Errorf("%w: there is no processor %s", extprocsvc.ErrRefused, p.id)
	case status != http.StatusOK:
		return p.fail(502, "answered "+statusError(status).Error()+" when asked for its signature")
	}
	wantsPrompt, err := p.fits(sig)
	if err != nil {
		return err
	}
	p.promptless.Store(!wantsPrompt)

	params := p.params
	if params == nil {
		params = []byte("{}") // whether it can do without
	}
	status, sig, err = p.ask(ctx, http.MethodPost, params)
	switch {
	case err != nil:
		return err
	case status == http.StatusBadRequest:
		text := "processor " + p.id + " does not accept the params"
		if told := p.tellable(append(sig.Validation.Errors, sig.Messages...)); told != "" {
			text += ": " + told
		}
		return fmt.Errorf("%w: %s", extprocsvc.ErrRefused, text)
	case status != http.StatusOK:
		return p.fail(502, "answered "+statusError(status).Error()+" when asked about the params")
	}
	return nil
}

// fits tells whether the signature suits the phase, and whether it lists the
// prompt.
func (p *processor) fits(s signature) (wantsPrompt bool, err error) {
	if len(s.Fields) == 0 {
		return false, p.fail(502, "has no signature that lists what it works on")
	}
	input, response := inputStage.part, responseStage.part
	lists := func(part string) bool {
		return slices.ContainsFunc(s.Fields, func(f struct {
			Type     string `json:"type"`
			Required bool   `json:"required"`
		}) bool {
			return f.Type == part
		})
	}
	refuse := func(why string) error {
		return fmt.Errorf("%w: processor %s cannot stand in this stage: %s", extprocsvc.ErrRefused, p.id, why)
	}
	for _, f := range s.Fields {
		if f.Required && f.Type != input && f.Type != response {
			return false, refuse("it requires something that is neither a prompt nor a response")
		}
		if f.Required && f.Type == response && p.phase == extprocsvc.InputPhase {
			return false, refuse("it works on responses; use it in responseStages")
		}
	}
	switch {
	case p.phase == extprocsvc.InputPhase && !lists(input):
		return false, refuse("it does not work on prompts; use it in responseStages")
	case p.phase == extprocsvc.ResponsePhase && !lists(response):
		return false, refuse("it does not work on responses; use it in inputStages")
	}
	return lists(input), nil
}

// ask calls the signature's address.
func (p *processor) ask(ctx context.Context, method string, params []byte) (status int, s signature, err error) {
	resp, err := p.client.do(ctx, func(ctx context.Context) *http.Request {
		return signatureRequest(ctx, method, p.signature, params)
	})
	if err != nil {
		return 0, s, p.broken(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusBadRequest {
		return resp.StatusCode, s, nil
	}
	text, err := io.ReadAll(&limited{from: resp.Body, left: maxSignature, limit: maxSignature})
	if err != nil {
		return 0, s, p.broken(ctx, err)
	}
	if err := json.Unmarshal(text, &s); err != nil && resp.StatusCode == http.StatusOK && method == http.MethodGet {
		return 0, s, p.fail(502, "answered with something other than a signature")
	}
	return resp.StatusCode, s, nil
}

func (p *processor) broken(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return p.fail(504, "did not answer in time")
	}
	return p.fail(502, reason(err))
}

func signatureRequest(ctx context.Context, method string, to *url.URL, params []byte) *http.Request {
	r := (&http.Request{
		Method: method, URL: to, Host: to.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"User-Agent": {userAgent}, "Accept": {"application/json"}},
	}).WithContext(ctx)
	if params != nil {
		r.Header.Set("Content-Type", "application/json")
		r.ContentLength = int64(len(params))
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(params)), nil }
		r.Body, _ = r.GetBody()
	}
	return r
}

// tellable is what operators are shown of errors about params: a few, short,
// and without any text of the params, which may hold secrets.
func (p *processor) tellable(messages []string) string {
	var params any
	if p.params != nil {
		_ = json.Unmarshal(p.params, &params)
	}
	var secrets []string
	gather(params, &secrets)
	// Longer ones first, since one may be a part of another.
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	var told []string
	for _, m := range messages[:min(len(messages), maxMessages)] {
		for _, s := range secrets {
			m = strings.ReplaceAll(m, s, "…")
		}
		m = strings.Map(func(r rune) rune {
			if !unicode.IsPrint(r) {
				return -1
			}
			return r
		}, m)
		told = append(told, cut(m, maxMessage))
	}
	if len(messages) > maxMessages {
		told = append(told, "and more")
	}
	return strings.Join(told, "; ")
}

// gather collects the texts of params that are long enough to be secrets.
func gather(v any, into *[]string) {
	switch v := v.(type) {
	case string:
		if len(v) >= 4 {
			*into = append(*into, v)
		}
	case []any:
		for _, e := range v {
			gather(e, into)
		}
	case map[string]any:
		for _, e := range v {
			gather(e, into)
		}
	}
}
