// Package external calls processors that were written for F5's processor SDK,
// over HTTP or HTTPS, as F5's core does. README.md is its manual.
//
// external.go reads the configuration. One execution goes call.go (what is
// sent), shown.go (the list as a processor can read it), client.go (the
// connections, tls.go what they trust), reply.go (what is believed of an
// answer). signature.go asks a processor what it wants.
package external

import (
	"context"
	"encoding/json"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"unicode"

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/extprocsvc"
	"github.com/attache-dev/attache/extprocsvc/llm"
)

func init() {
	extprocsvc.Register(extprocsvc.Kind{
		Name:      "external",
		Phases:    extprocsvc.InputPhase | extprocsvc.ResponsePhase,
		ReadsBody: true,
		ChatOnly:  true,
		New:       build,
	})
}

// settings are the processor's section config.
type settings struct {
	_ struct{} `refused:"params"`

	Endpoint       *string `yaml:"endpoint"`
	Namespace      *string `yaml:"namespace"`
	Version        *int    `yaml:"version"`
	CAPath         *string `yaml:"caPath"`
	TLSMinVersion  *string `yaml:"tlsMinVersion"`
	ClientCertPath *string `yaml:"clientCertPath"`
	ClientKeyPath  *string `yaml:"clientKeyPath"`
}

// A processor is one step's view of a processor somewhere else.
type processor struct {
	client *client
	// id is namespace/name at the endpoint, for people.
	id string
	// execute and signature are its addresses.
	execute, signature *url.URL
	// params are sent as they are; nil if there are none.
	params []byte
	phase  extprocsvc.Phases
	// promptless tells that its signature, once known, does not list the
	// prompt. Until then a prompt accompanies every response, which every
	// signature accepts.
	promptless atomic.Bool
	// refused tells that it does not want to stand here with these params.
	// What it answers 400 to is then not the client's doing.
	refused atomic.Bool
}

var (
	_ extprocsvc.RequestProcessor  = (*processor)(nil)
	_ extprocsvc.ResponseProcessor = (*processor)(nil)
	_ extprocsvc.Checker           = (*processor)(nil)
)

func build(s extprocsvc.Setup) (extprocsvc.Processor, error) {
	raw := s.Config
	var set settings
	if err := raw.Decode(&set); err != nil {
		return nil, err
	}
	var errs []*config.Error
	invalid := func(key, format string, args ...any) {
		errs = append(errs, raw.Errorf(key, config.Invalid, format, args...))
	}
	var base *url.URL
	if set.Endpoint == nil {
		invalid("endpoint", "external processors need endpoint: where they are, such as http://host:8000")
	} else if base = parseEndpoint(*set.Endpoint); base == nil {
		invalid("endpoint", "not an address; expected http://host:port or https://host:port, without a path")
	}
	switch {
	case set.Namespace == nil:
		invalid("namespace", "external processors need namespace: the second last element of their path")
	case !isName(*set.Namespace):
		invalid("namespace", "not a namespace; it must not be empty nor hold white space")
	}
	if !isName(s.Name) {
		invalid("", "the name of the processor is the last element of its path; it must not be empty nor hold white space")
	}
	switch {
	case set.Version == nil:
		invalid("version", "external processors need version: the number of the API, 1 for all that are known")
	case *set.Version < 1:
		invalid("version", "expected a number from 1 on, which makes the path /api/v1")
	}
	secure := base == nil || base.Scheme == "https"
	if !secure {
		for key, value := range map[string]*string{
			"caPath": set.CAPath, "tlsMinVersion": set.TLSMinVersion, "clientCertPath": set.ClientCertPath, "clientKeyPath": set.ClientKeyPath,
		} {
			if value != nil {
				errs = append(errs, raw.Errorf(key, config.Conflict, "the endpoint is not https; take this key out, or write https://"))
			}
		}
	}
	var material material
	if secure {
		material, errs = readTLS(s, set, errs)
	}
	var params []byte
	if len(s.AllParams.Keys()) > 0 {
		var err error
		if params, err = json.Marshal(s.AllParams); err != nil {
			errs = append(errs, s.AllParams.Errorf("", config.Invalid, "cannot be sent as JSON: a number in it is not finite"))
		}
	}
	if len(errs) > 0 {
		return nil, config.Join(errs)
	}
	name := strings.ToLower(*set.Namespace) + "/" + strings.ToLower(s.Name)
	address := func(command string) *url.URL {
		u := *base
		u.Path = "/api/v" + strconv.Itoa(*set.Version) + "/" + command + "/" + name
		u.RawPath = "/api/v" + strconv.Itoa(*set.Version) + "/" + command + "/" +
			url.PathEscape(strings.ToLower(*set.Namespace)) + "/" + url.PathEscape(strings.ToLower(s.Name))
		return &u
	}
	c, err := clients.get(base.Scheme+"://"+base.Host, material)
	if err != nil {
		return nil, config.Join([]*config.Error{raw.Errorf("clientCertPath", config.Invalid, "%v", err)})
	}
	return &processor{
		client:    c,
		id:        name + " at " + base.Scheme + "://" + base.Host,
		execute:   address("execute"),
		signature: address("signature"),
		params:    params,
		phase:     s.Phase,
	}, nil
}

// parseEndpoint reads a base URL, or returns nil. Without a scheme it is
// http, as F5's labs have it.
func parseEndpoint(text string) *url.URL {
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.Opaque != "" ||
		u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.ForceQuery || strings.Contains(text, "#") ||
		u.Hostname() == "" || strings.ContainsFunc(u.Host, unicode.IsSpace) {
		return nil
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil
		}
	} else if strings.HasSuffix(u.Host, ":") {
		return nil
	}
	return &url.URL{Scheme: u.Scheme, Host: strings.ToLower(hostPort(u))}
}

// hostPort leaves out the port that the scheme has anyway, so that equal
// endpoints share their connections.
func hostPort(u *url.URL) string {
	host, port, err := net.SplitHostPort(u.Host)
	if err == nil && (u.Scheme == "http" && port == "80" || u.Scheme == "https" && port == "443") {
		if strings.Contains(host, ":") {
			return "[" + host + "]"
		}
		return host
	}
	return u.Host
}

// isName tells whether a word can be an element of a processor's path.
func isName(s string) bool {
	return s != "" && s != "." && s != ".." && !strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
}

// ProcessRequest shows the processor the prompt.
func (p *processor) ProcessRequest(ctx context.Context, r *extprocsvc.Request) (extprocsvc.Result, error) {
	if r.Prompt == nil {
		return extprocsvc.Result{}, nil
	}
	return p.run(ctx, inputStage, r.Prompt, nil, r.Call)
}

// ProcessResponse shows the processor the model's answer and, unless its
// signature tells that it does not look at it, the prompt.
func (p *processor) ProcessResponse(ctx context.Context, r *extprocsvc.Response) (extprocsvc.Result, error) {
	if r.Completion == nil {
		return extprocsvc.Result{}, nil
	}
	prompt := r.Prompt
	if p.promptless.Load() {
		prompt = nil
	} else if prompt == nil || prompt.Messages() != nil {
		prompt = noPrompt
	}
	return p.run(ctx, responseStage, r.Completion, prompt, r.Call)
}

// noPrompt stands for a prompt that is not there, or that has no messages that
// one could read: a processor that wants one must not fail for want of it.
var noPrompt = func() *llm.Doc {
	var d llm.Doc
	if err := d.Scan(llm.ChatCompletions, []byte(`{"messages":[]}`)); err != nil {
		panic(err)
	}
	return &d
}()

// run does one execution.
func (p *processor) run(ctx context.Context, d *direction, doc, prompt *llm.Doc, id extprocsvc.Call) (extprocsvc.Result, error) {
	if err := doc.Messages(); err != nil {
		return extprocsvc.Result{}, p.fail(500, "was not called: the list is unreadable")
	}
	c := newCall(d, p.params, doc, prompt, id)
	defer c.release()
	r, err := p.exchange(ctx, c)
	if err != nil {
		return extprocsvc.Result{}, err
	}
	result := extprocsvc.Result{Tags: r.tags, Rejection: r.rejection}
	if r.list == nil {
		return result, nil
	}
	theirs := r.list
	if d.choices {
		theirs = numbered(c.list(), theirs)
	}
	list, ok := c.shown.restore(c.list(), doc, theirs)
	if !ok {
		// Not the processor's fault, and not covered by a failure mode: a
		// client could get around the processor by sending such content.
		e := p.fail(502, "changed a message of which it was shown a simplified copy, and the change cannot be carried over")
		e.Final = true
		return extprocsvc.Result{}, e
	}
	if list != nil {
		result.Edits = []llm.Edit{llm.ReplaceList(list)}
	}
	return result, nil
}

// fail makes the error of a call. The text holds nothing that the processor
// said, since that may quote the prompt.
func (p *processor) fail(status uint32, what string) *extprocsvc.StepError {
	return &extprocsvc.StepError{Status: status, Msg: "processor " + p.id + " " + what}
}
