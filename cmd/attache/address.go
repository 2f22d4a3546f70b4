package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/envoy"
)

// Where the two gRPC services listen unless told otherwise.
const (
	defaultXDSAddr     = "127.0.0.1:18000"
	defaultExtProcAddr = "127.0.0.1:18001"
)

// listen opens an ADDR: host:port or unix:/path. A socket gets the mode, which
// tells who may connect: provider keys travel there. A socket that nobody listens
// on any more is replaced.
func listen(addr string, mode fs.FileMode) (net.Listener, error) {
	path, isUnix := strings.CutPrefix(addr, "unix:")
	if !isUnix {
		return net.Listen("tcp", addr)
	}
	if len(path) > envoy.MaxSocketPath { // the system says no more than that it is invalid
		return nil, fmt.Errorf("the path %s has %d bytes, a socket may have %d", path, len(path), envoy.MaxSocketPath)
	}
	l, err := net.Listen("unix", path)
	if errors.Is(err, syscall.EADDRINUSE) && abandoned(path) {
		if err := os.Remove(path); err != nil {
			return nil, err
		}
		l, err = net.Listen("unix", path)
	}
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, mode); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// abandoned tells whether path is a socket that a dead process has left.
func abandoned(path string) bool {
	info, err := os.Lstat(path)
	if err != nil || info.Mode()&os.ModeSocket == 0 {
		return false
	}
	conn, err := net.Dial("unix", path)
	if err == nil {
		conn.Close()
		return false
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

// addressOf is the ADDR under which a listener can be reached.
func addressOf(l net.Listener) string {
	if l.Addr().Network() == "unix" {
		return "unix:" + l.Addr().String()
	}
	return l.Addr().String()
}

// loopbackOnly tells whether only this machine can reach an ADDR.
func loopbackOnly(addr string) bool {
	if strings.HasPrefix(addr, "unix:") {
		return true
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// mustTarget reads an ADDR that is known to be right.
func mustTarget(addr string) config.Target {
	t, err := config.ParseTarget(addr)
	if err != nil {
		panic(fmt.Sprintf("attache: %s: %v", addr, err))
	}
	return t
}

// parseTargets reads the addresses of --extproc-as: one, or those of replicas.
func parseTargets(list string) (targets []config.Target, err error) {
	names, sockets := false, false
	for addr := range strings.SplitSeq(list, ",") {
		t, err := config.ParseTarget(addr)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", addr, err)
		}
		names = names || t.Host != "" && net.ParseIP(t.Host) == nil
		sockets = sockets || t.Unix != ""
		targets = append(targets, t)
	}
	if names && sockets {
		return nil, fmt.Errorf("names and unix sockets do not go together")
	}
	return targets, nil
}
