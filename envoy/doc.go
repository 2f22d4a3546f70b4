// Package envoy knows the program that carries the traffic: the bootstrap with
// which an Envoy joins Attaché, where to find the executable, whether its
// version fits, and how to run it as a child.
//
// [Bootstrap] is the only bootstrap there is. `attache run`, docker compose and
// the tests differ in addresses, not in content. It holds no secret and no
// route: all of that comes over xDS.
//
// [Process.Run] keeps one Envoy alive for as long as its context, and no longer:
// not even if this process is killed. At the end it lets Envoy finish what it has
// in hand. What Envoy writes about configurations that it refused does not come
// through, because such lines quote the refused resource, private keys included.
// The control plane reports refusals itself.
package envoy
