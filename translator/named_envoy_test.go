package translator_test

import (
	"strings"
	"testing"
)

// An ext_proc server and the receiver of copies can be entries of the section
// "backends", and the receiver a service.
func TestNamedServersInEnvoy(t *testing.T) {
	up, copies, server := newRecorder(t), newRecorder(t), newMarker(t, "named")
	ip, port, _ := strings.Cut(copies.addr, ":")
	b := newTestbed(t, strings.NewReplacer("UP", up.addr, "COPIES", copies.addr, "SERVER", server.addr, "IP", ip, "PORT", port).Replace(`
backends:
- {name: server, host: "SERVER"}
- {name: copies, host: "COPIES"}
services: [{name: s, namespace: ns, hostname: s.ns, vips: [], ports: {80: PORT}}]
workloads: [{uid: w, name: w, namespace: ns, workloadIps: ["IP"], services: {ns/s.ns: {80: PORT}}}]
binds:
- port: %d
  listeners:
  - routes:
    - name: named
      matches: [{path: {exact: /named}}]
      policies: {extProc: {backend: /server}, requestMirror: {backend: {backend: copies}, percentage: 1}}
      backends: [{host: "UP"}]
    - name: service
      matches: [{path: {exact: /service}}]
      policies: {requestMirror: {backend: {service: {name: ns/s.ns, port: 80}}, percentage: 1}}
      backends: [{host: "UP"}]
`), nil)
	lines(t, b.ask(t, "GET", "a.test", "/named", "").body, "GET /named host=a.test body=0")
	lines(t, <-copies.copies, "GET /named host=a.test body=0")
	if log, _, _ := server.forget(); log == "" {
		t.Error("the server of the section backends was not asked")
	}
	lines(t, b.ask(t, "GET", "a.test", "/service", "").body, "GET /service host=a.test body=0")
	lines(t, <-copies.copies, "GET /service host=a.test body=0")
}
