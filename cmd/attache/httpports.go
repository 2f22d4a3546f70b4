package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"
)

// httpServer is one of the plain HTTP ports.
type httpServer struct {
	listener net.Listener
	server   *http.Server
}

func (h httpServer) serve() error {
	if err := h.server.Serve(h.listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (h httpServer) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownGrace)
	defer cancel()
	if h.server.Shutdown(ctx) != nil {
		h.server.Close()
	}
}

// listenHTTP opens the ports of the section config. An address off has none.
func (s *services) listenHTTP() ([]httpServer, error) {
	p := s.app.current().Config.Process
	var all []httpServer
	for _, port := range []struct {
		name, addr string
		handler    http.Handler
	}{
		{"admin", p.AdminAddr, s.adminHandler()},
		{"stats", p.StatsAddr, s.statsHandler()},
		{"readiness", p.ReadinessAddr, s.readinessHandler()},
	} {
		if port.addr == "off" {
			continue
		}
		l, err := listen(port.addr, s.socketMode())
		if err != nil {
			for _, h := range all {
				h.listener.Close()
			}
			return nil, fmt.Errorf("config.%sAddr: %w\nhint: it or $%s_ADDR names another address; off is none", port.name, err, strings.ToUpper(port.name))
		}
		all = append(all, httpServer{l, &http.Server{Handler: port.handler, ReadHeaderTimeout: 10 * time.Second}})
		s.addresses = append(s.addresses, address{port.name, addressOf(l)})
	}
	return all, nil
}
