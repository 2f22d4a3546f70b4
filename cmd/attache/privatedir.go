package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// xdsSocket is there as long as the process lives.
const xdsSocket = "xds.sock"

// privateDir makes a directory that only this user can enter. It removes those that
// killed processes have left.
func privateDir() (string, error) {
	left, _ := filepath.Glob(filepath.Join(os.TempDir(), "attache-*", xdsSocket))
	for _, socket := range left {
		info, err := os.Lstat(socket)
		// A young one may be about to listen.
		if err == nil && time.Since(info.ModTime()) > time.Minute && abandoned(socket) {
			os.RemoveAll(filepath.Dir(socket))
		}
	}
	dir, err := os.MkdirTemp("", "attache-")
	if err != nil {
		return "", fmt.Errorf("no place for the private sockets: %w\nhint: $TMPDIR tells where", err)
	}
	return dir, nil
}

// privateAddresses are sockets that only this user can reach.
func (s *services) privateAddresses(dir string) {
	private := func(addr *string, name string) {
		if *addr == "" {
			*addr = "unix:" + filepath.Join(dir, name)
		}
	}
	private(&s.flags.xds, xdsSocket)
	private(&s.flags.extProc, "extproc.sock")
	private(&s.flags.envoyAdmin, "envoy-admin.sock")
	s.envoyAdmin = s.flags.envoyAdmin
}
