package config

// fileDirectResponse answers every request of a route, after its other policies
// have let it pass. The route needs no backends.
type fileDirectResponse struct {
	fileResponse `yaml:",inline"`

	// Conditional are alternatives with conditions.
	// Differs: only a single entry without a condition is supported.
	Conditional []fileConditionalResponse `yaml:"conditional"`
}

type fileConditionalResponse struct {
	// Condition says when the entry applies.
	Condition fileCEL `yaml:"condition,notyet"`

	fileResponse `yaml:",inline"`
}

// fileResponse is an answer.
type fileResponse struct {
	// Status is the status of the answer.
	// Envoy: the route's direct_response.
	// Differs: Envoy has no final answers below 200 or above 599, so those are
	// refused; gRPC clients get a gRPC status, with the body as its message, and
	// none of the headers.
	Status *uint16 `yaml:"status"`
	// Body is the body of the answer: a text, or a list of bytes. There is no
	// content type unless headers has one.
	// Default: empty.
	Body fileBytes `yaml:"body"`
	// BodyExpression is a CEL expression for the body, in place of body.
	// Differs: only a string literal is supported.
	BodyExpression *string `yaml:"bodyExpression"`
	// Headers are the headers of the answer, by name; the values are CEL
	// expressions.
	// Default: none.
	// Envoy: a Lua filter, the last of the route.
	// Differs: only string literals are supported, such as '"text/html"'.
	Headers map[string]string `yaml:"headers"`
}

// fileBytes is a text, or a list of bytes.
type fileBytes []byte

func (f *fileBytes) decodeNode(d *decoder, n *node) {
	switch {
	case n.isNull():
	case n.kind == scalarNode && n.tag == strTag:
		*f = fileBytes(n.value)
	case n.kind == sequenceNode:
		for _, c := range n.children {
			var b uint16
			d.decode(c, &b)
			if b > 255 {
				d.errorf(c, Invalid, "expected a byte, from 0 to 255")
			}
			*f = append(*f, byte(b))
		}
	default:
		d.errorf(n, Invalid, "expected a string or a list of bytes, found %s%s", n.what(), quoteHint(n))
	}
}
