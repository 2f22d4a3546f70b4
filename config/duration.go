package config

import "time"

// fileDuration is a span of time in Go's spelling, as agentgateway has it: 10s,
// 1m30s. A bare number is refused.
type fileDuration time.Duration

func (f *fileDuration) decodeNode(d *decoder, n *node) {
	if n.isNull() {
		return
	}
	span, err := time.ParseDuration(n.value)
	switch {
	case n.kind != scalarNode || n.tag != strTag || err != nil:
		d.errorf(n, Invalid, "expected a duration such as 500ms, 10s or 1m30s, found %s", n.what())
	case span <= 0:
		d.errorf(n, Invalid, "expected more than no time; leave the key out for the default")
	default:
		*f = fileDuration(span)
	}
}
