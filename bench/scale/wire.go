package main

import (
	"io"
	"net"
	"sync/atomic"
)

// A wire stands between an Envoy and the control plane and counts the bytes.
type wire struct {
	listener net.Listener
	to       string       // a unix socket
	down, up atomic.Int64 // to Envoy, and from it
}

func newWire(at, to string) (*wire, error) {
	l, err := net.Listen("unix", at)
	if err != nil {
		return nil, err
	}
	w := &wire{listener: l, to: to}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go w.carry(conn)
		}
	}()
	return w, nil
}

func (w *wire) carry(envoy net.Conn) {
	defer envoy.Close()
	attache, err := net.Dial("unix", w.to)
	if err != nil {
		return
	}
	defer attache.Close()
	go func() {
		defer attache.Close()
		_, _ = io.Copy(attache, io.TeeReader(envoy, (*counter)(&w.up)))
	}()
	_, _ = io.Copy(envoy, io.TeeReader(attache, (*counter)(&w.down)))
}

type counter atomic.Int64

func (c *counter) Write(b []byte) (int, error) {
	(*atomic.Int64)(c).Add(int64(len(b)))
	return len(b), nil
}
