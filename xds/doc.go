// Package xds turns the resources of one configuration into a [Snapshot] and
// serves it to Envoys over delta ADS. It keeps what each Envoy has
// acknowledged and what it refused.
//
// # Building and committing
//
// [NewSnapshot] checks and marshals; it may fail and has no effect.
// [Server.Publish] commits; it cannot fail and waits for no Envoy. All Envoys
// share one view and the same marshalled bytes. A version is a hash of the
// content, so the same resource has the same version on every replica and
// after every restart, and a reconnecting Envoy is not sent it again.
//
// # The protocol, and why it is ours
//
// The server of go-control-plane counts a refused response as delivered, and
// stops sending a type while one answer is outstanding. Both lose updates: a
// refused response is not applied as a whole, and Envoy withholds the answer
// for clusters while any cluster warms. So this package has its own rules,
// each measured on a real Envoy:
//
//   - A response carries one resource, and no response waits for the answer to
//     another. The nonce then names the resource that was refused, and a bad
//     one cannot take good ones with it.
//   - The first cluster response of a stream is the exception. It carries all
//     clusters, for Envoy opens its listeners as soon as the clusters of that
//     response are warm. If it is refused, the clusters are sent one by one.
//   - The first wildcard subscription is answered even if there is nothing to
//     send: Envoy's start waits for it.
//   - Until an Envoy answers a cluster, it waits for the addresses of that cluster,
//     but it does not ask for what it has. So they are sent again behind it.
//   - A secret or an endpoint assignment that does not exist is reported as
//     removed at once, or Envoy would wait for it for 15 seconds. A route table
//     or an extension configuration is not: Envoy would take that for an
//     answer and never open the listener.
//   - What is sent is the difference between what an Envoy was told and the
//     current snapshot. There is no queue: a slow Envoy skips the snapshots
//     that it missed, and costs nobody else anything.
//   - A refused resource is not sent again before its content changes. The
//     refusal is kept for [Server.Status] with the place in the file, and
//     without Envoy's full text, which can contain private keys.
//   - The exception is a listener whose address the machine does not give, for
//     that may change. It is sent again every 5 s.
//   - [Server.Judge] tells which snapshot all Envoys have accepted, and which one
//     has to go because one of them refuses what it says.
//
// # Make before break
//
// What uses something comes after it, and goes before it. Updates are sent in
// the order secrets, clusters, endpoints, extension configurations, listeners,
// route tables. Two waits protect traffic:
//
//   - An update that may name a cluster which this Envoy never acknowledged
//     waits for that acknowledgement. A route to a cluster that still warms
//     answers 503. The wait is bounded, so that one name that does not resolve
//     cannot block every later edit.
//   - A removal waits until this Envoy has acknowledged everything that could
//     still use the resource. After a refusal Envoy continues with its old
//     routes, so the clusters of those routes stay.
//
// And a cluster stays for a while when nothing uses it any more: 30 s, and ten
// minutes if filters may have streams on it, which Envoy resets with the cluster.
//
// Route tables and extension configurations are never removed by a response.
// An Envoy which still subscribes to one that is gone is draining the listener
// that used it; it unsubscribes when the last connection is closed, and only
// then do the clusters go.
package xds
