package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"
	"sync"
)

// A models is the upstream of an Envoy, and the clients in front of it. Both
// write and read sockets with as little as possible in between, since they share
// the machine with what is measured.
type models struct {
	envoy  string
	server *http.Server
	mu     sync.Mutex
	waits  map[int]chan *answer // by stream: its request
}

// serveModels begins to listen.
func serveModels() (m *models, addr string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	m = &models{waits: map[int]chan *answer{}}
	m.server = &http.Server{Handler: m}
	go func() { _ = m.server.Serve(l) }()
	return m, l.Addr().String(), nil
}

func (m *models) close() { _ = m.server.Close() }

// An answer is what the model writes.
type answer struct {
	w     http.ResponseWriter
	flush *http.ResponseController
	done  chan struct{}
}

func (a *answer) send(event []byte, last bool) error {
	_, err := a.w.Write(event)
	if err == nil {
		err = a.flush.Flush()
	}
	if last {
		close(a.done)
	}
	return err
}

func (m *models) waiting(id int) chan *answer {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.waits[id] == nil {
		m.waits[id] = make(chan *answer, 1)
	}
	return m.waits[id]
}

func (m *models) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	id, err := strconv.Atoi(r.Header.Get("x-stream"))
	if err != nil {
		http.Error(w, "which stream?", http.StatusBadRequest)
		return
	}
	w.Header().Set("content-type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	a := &answer{w: w, flush: http.NewResponseController(w), done: make(chan struct{})}
	if a.flush.Flush() != nil {
		return
	}
	m.waiting(id) <- a
	select {
	case <-a.done:
	case <-r.Context().Done():
	}
}

func (m *models) open(ctx context.Context, id int, take func([]byte), ended func(error)) (sender, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", m.envoy)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	_, err = fmt.Fprintf(conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\nX-Stream: %d\r\nContent-Length: %d\r\n\r\n%s", id, len(question), question)
	if err != nil {
		return nil, err
	}
	in := bufio.NewReaderSize(conn, 4<<10)
	status, err := in.ReadString('\n')
	for line := status; err == nil && line != "\r\n"; {
		line, err = in.ReadString('\n')
	}
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(status, "HTTP/1.1 200 ") {
		return nil, fmt.Errorf("the answer is %s", strings.TrimSpace(status))
	}
	go func() {
		defer stop()
		defer conn.Close()
		body := httputil.NewChunkedReader(in)
		buffer := make([]byte, 4<<10)
		for {
			n, err := body.Read(buffer)
			take(buffer[:n])
			if err == io.EOF {
				ended(nil)
				return
			}
			if err != nil {
				ended(err)
				return
			}
		}
	}()
	select {
	case a := <-m.waiting(id):
		return a, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
