package translator

import (
	"bytes"
	"encoding/json"
	"fmt"

	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"gopkg.in/yaml.v3"
)

// Redacted stands in the place of every secret that is printed.
const Redacted = "[redacted]"

// YAML prints the resources for people, in a stable order, with field names as
// in Envoy's documentation. Secrets are redacted.
func (r *Resources) YAML() ([]byte, error) {
	var doc yaml.Node
	doc.Kind = yaml.MappingNode
	for _, s := range []struct {
		name string
		list []proto.Message
	}{
		{"listeners", messages(r.Listeners)},
		{"routes", messages(r.Routes)},
		{"clusters", messages(r.Clusters)},
		{"endpoints", messages(r.Endpoints)},
		{"secrets", messages(redacted(r.Secrets))},
	} {
		list := make([]any, len(s.list))
		for i, m := range s.list {
			v, err := plain(m)
			if err != nil {
				return nil, err
			}
			list[i] = v
		}
		var key, value yaml.Node
		key.SetString(s.name)
		if err := value.Encode(list); err != nil {
			return nil, err
		}
		doc.Content = append(doc.Content, &key, &value)
	}
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(&doc); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func messages[M proto.Message](list []M) []proto.Message {
	out := make([]proto.Message, len(list))
	for i, m := range list {
		out[i] = m
	}
	return out
}

func redacted(secrets []*tlsv3.Secret) []*tlsv3.Secret {
	out := make([]*tlsv3.Secret, len(secrets))
	for i, s := range secrets {
		out[i] = &tlsv3.Secret{Name: s.Name}
		switch {
		case s.GetTlsCertificate() != nil:
			// The certificate is redacted too, for its file may hold the key.
			out[i].Type = &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{
				CertificateChain: inlineString(Redacted),
				PrivateKey:       inlineString(Redacted),
			}}
		case s.GetValidationContext() != nil:
			out[i].Type = s.Type // certificates of authorities are public
		default:
			out[i].Type = &tlsv3.Secret_GenericSecret{GenericSecret: &tlsv3.GenericSecret{Secret: inlineString(Redacted)}}
		}
	}
	return out
}

// Plain is a message as values that encoders of YAML and JSON know, with the names
// of its fields as Envoy's documentation spells them.
func Plain(m proto.Message) (any, error) { return plain(m) }

// plain goes by way of JSON, whose text is not stable, to values that are.
func plain(m proto.Message) (any, error) {
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("cannot print %s: %w", m.ProtoReflect().Descriptor().FullName(), err)
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	return withIntegers(v), nil
}

// withIntegers turns JSON numbers into integers where they are, so that YAML
// does not print 1.048576e+07.
func withIntegers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, item := range v {
			v[k] = withIntegers(item)
		}
	case []any:
		for i, item := range v {
			v[i] = withIntegers(item)
		}
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i
		}
		f, _ := v.Float64()
		return f
	}
	return v
}
