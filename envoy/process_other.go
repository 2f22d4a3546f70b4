//go:build !linux

package envoy

import "syscall"

// childAttributes returns how a child is started. Only Linux can kill it when
// its parent dies.
func childAttributes() *syscall.SysProcAttr { return nil }
