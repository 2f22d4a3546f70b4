package extprocsvc

import (
	"strings"

	"github.com/google/uuid"
)

// call identifies a request towards processors, as F5's core does.
func (h *head) call() Call {
	c := Call{ID: h.first("x-request-id"), TraceParent: h.first("traceparent"), TraceState: h.first("tracestate"), head: h}
	if c.ID == "" {
		// version-traceid-parentid-flags
		if parts := strings.Split(c.TraceParent, "-"); len(parts) >= 4 && len(parts[1]) == 32 {
			c.ID = parts[1]
		}
	}
	if c.ID == "" || len(c.ID) > 256 {
		c.ID = uuid.Must(uuid.NewV7()).String()
	}
	return c
}
