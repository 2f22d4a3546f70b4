package xds

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/cncf/xds/go/udpa/annotations"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	apikeyauthv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/api_key_auth/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
)

const (
	// maxReason bounds what is kept of Envoy's reason for a refusal, in bytes.
	maxReason = 300
	// minSensitive is the length from which on a value can be a secret.
	// Shorter ones would be found everywhere.
	minSensitive = 4

	withheld   = "(withheld)"
	constraint = "Proto constraint validation failed ("
)

// redact returns the part of Envoy's reason for refusing a resource that is
// safe to store and to show. Envoy likes to repeat what it refuses: a whole
// message with its private keys, an API key that is given twice, the value of
// a header. So what the resource holds in the fields for such things is left
// out, and whatever is quoted, and everything from the first sign of a message
// on. Of the reason for a secret nothing is kept.
func redact(resource *anypb.Any, reason string) string {
	if resource.GetTypeUrl() == typeURLs[secrets] {
		return "refused; the reason is withheld, since it can contain the secret"
	}
	return unquoted(withhold(resource, reason))
}

// withhold leaves out what may be a secret of the resource.
func withhold(resource *anypb.Any, reason string) string {
	for _, value := range sensitive(resource) {
		reason = strings.ReplaceAll(reason, value, withheld)
	}
	return reason
}

// unquoted leaves out what is quoted.
func unquoted(reason string) string {
	// "goo.gle/debugproto ...the message... : Proto constraint validation
	// failed (field: rule)". Other versions of Envoy put the message behind.
	if i := strings.LastIndex(reason, constraint); i >= 0 {
		reason = reason[i:]
		if end := strings.Index(reason, "): "); end >= 0 {
			reason = reason[:end+1]
		}
	}
	reason = braces.ReplaceAllString(reason, "regex "+withheld)
	for _, sign := range []string{
		"{", "\n", "\r", "debugproto", "type_url", "inline_", // a message as JSON or text
		"-----BEGIN", // a key or a certificate
		"://",        // a URL can carry a password
	} {
		reason, _, _ = strings.Cut(reason, sign)
	}
	reason = quoted.ReplaceAllString(reason, withheld)
	if i := quote.FindStringIndex(reason); i != nil {
		reason = reason[:i[0]] // the end of what is quoted was cut off
	}
	reason = strings.ToValidUTF8(strings.TrimRight(reason, " :"), "?")
	if len(reason) > maxReason {
		cut := maxReason
		for !utf8.RuneStart(reason[cut]) {
			cut--
		}
		reason = reason[:cut] + "..."
	}
	return reason
}

// A quotation goes from the first quote to the last one, for the quoted text
// can contain some itself. The apostrophe within a word is none.
var (
	quoted = regexp.MustCompile(`\B'.*'\B|\B".*"\B`)
	// braces is a quoted regular expression, or what looks like one. Its braces
	// are no message, and what follows tells what is wrong with it.
	braces = regexp.MustCompile(`^regex '[^'"\n]*'`)
	quote  = regexp.MustCompile(`\B['"]`)
)

// sensitive returns the values in a message that may be secrets, longest
// first: header values, data in the message itself with its lines, API keys,
// and what the API marks as sensitive.
func sensitive(packed *anypb.Any) []string {
	var values []string
	add := func(list ...string) {
		for _, v := range list {
			if v = strings.TrimSpace(v); len(v) >= minSensitive {
				values = append(values, v)
			}
		}
	}
	var see func(m protoreflect.Message) bool
	see = func(m protoreflect.Message) bool {
		switch m := m.Interface().(type) {
		case *anypb.Any:
			if inner, err := m.UnmarshalNew(); err == nil {
				walk(inner.ProtoReflect(), see)
			}
			return false
		case *corev3.HeaderValue:
			add(m.GetValue(), string(m.GetRawValue()))
		case *corev3.DataSource:
			for _, data := range []string{m.GetInlineString(), string(m.GetInlineBytes())} {
				add(data)
				add(strings.Split(data, "\n")...)
			}
		case *apikeyauthv3.Credential:
			add(m.GetKey())
		}
		m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			if marked, _ := proto.GetExtension(f.Options(), annotations.E_Sensitive).(bool); !marked || f.IsList() || f.IsMap() {
				return true
			}
			switch f.Kind() {
			case protoreflect.StringKind:
				add(v.String())
			case protoreflect.BytesKind:
				add(string(v.Bytes()))
			}
			return true
		})
		return true
	}
	walk(packed.ProtoReflect(), see)
	slices.SortFunc(values, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
	return values
}
