// Package watch tells when the configuration file, or a file that it names
// (a certificate, a key, a JWKS), may have changed.
//
// It watches directories, never files: editors and Kubernetes replace a file,
// and a watch on the old one would see nothing. Where a path leads through
// symlinks, the directory of each link is watched too, so that the swap of a
// mounted ConfigMap is one event:
//
//	/etc/attache/attache.yaml -> ..data/attache.yaml
//	/etc/attache/..data       -> ..2026_08_01/
//
// An event is sent when the files have been quiet for a while and their content
// is not what it was at the last event. Touching a file, rewriting it with the
// same bytes or changing its neighbours wakes nobody. As no notification is
// sent on some filesystems (network mounts, bind mounts of a virtual machine),
// the files are also polled, slowly.
//
// What it cannot see: a file that is bind-mounted alone into a container keeps
// its old inode when an editor replaces it outside; mount the directory. And a
// change that is undone within the quiet time is no change, also for a caller
// that read the file in between.
package watch
