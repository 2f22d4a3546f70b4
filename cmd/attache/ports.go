package main

import (
	"cmp"
	"errors"
	"net"
	"strconv"
	"syscall"
	"time"

	"github.com/hashicorp/go-multierror"

	"github.com/attache-dev/attache/config"
)

// portPatience is how long a port may take to become free at the start: that of a
// predecessor, whose Envoy is about to end.
const portPatience = 2 * time.Second

// ports tells whether our Envoy can have the ports of a configuration. Envoy
// itself shares a port in silence with another one of the same user, and each
// gets a part of the connections. It is used by one goroutine.
type ports struct {
	own []address // of this process

	// had are the addresses that our Envoy was given. It closes one that it gave
	// up a moment later, so they are not looked at again.
	had map[string]bool
}

// take returns a mistake for each port that cannot be had, or remembers all of
// them as our Envoy's.
func (p *ports) take(c *config.Config) error {
	if err := p.missing(c); err != nil {
		return err
	}
	if p.had == nil {
		p.had = map[string]bool{}
	}
	for _, l := range c.Listeners {
		p.had[listensAt(c, l)] = true
	}
	return nil
}

// missing returns a mistake for each port that cannot be had.
func (p *ports) missing(c *config.Config) error {
	var mistakes *multierror.Error
	seen := map[string]bool{}
	for _, l := range c.Listeners {
		addr := listensAt(c, l)
		if p.had[addr] || seen[addr] {
			continue
		}
		seen[addr] = true
		if why := p.taken(addr, l.Port); why != "" {
			mistakes = multierror.Append(mistakes, c.Errorf(l.BindPath+".port", config.Conflict, "%s", why))
		}
	}
	return mistakes.ErrorOrNil()
}

// listensAt is the address of a listener as Envoy has it.
func listensAt(c *config.Config, l *config.Listener) string {
	everywhere := "0.0.0.0"
	if c.Process.EnableIPv6 {
		everywhere = "::"
	}
	return net.JoinHostPort(cmp.Or(l.Address, everywhere), strconv.Itoa(int(l.Port)))
}

// taken returns why an address cannot be listened on; empty if it can. What else
// may be wrong with it is Envoy's to say.
func (p *ports) taken(addr string, port uint16) string {
	l, err := net.Listen("tcp", addr)
	switch {
	case err == nil:
		l.Close()
		return ""
	case errors.Is(err, syscall.EADDRINUSE):
		who := "another program"
		for _, own := range p.own {
			if _, n, _ := net.SplitHostPort(own.addr); n == strconv.Itoa(int(port)) {
				who = "attache itself (" + own.name + ")"
			}
		}
		return "port " + strconv.Itoa(int(port)) + " is taken by " + who + "; expected a free one"
	case errors.Is(err, syscall.EACCES):
		return "this user may not listen on port " + strconv.Itoa(int(port)) + "; expected one from 1024 on, or the right CAP_NET_BIND_SERVICE"
	}
	return ""
}

// wait is take with patience, for the start.
func (p *ports) wait(c *config.Config) error {
	for deadline := time.Now().Add(portPatience); ; time.Sleep(readinessPoll) {
		err := p.take(c)
		if err == nil || time.Now().After(deadline) {
			return err
		}
	}
}
