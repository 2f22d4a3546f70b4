package envoy

import "syscall"

// childAttributes returns how a child is started: killed when its parent dies,
// and in a process group of its own, so that an interrupt from the terminal
// reaches it through us alone.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
