package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/attache-dev/attache/envoy/envoytest"
)

// TestNobodyReadsTheLog: a server goes on when whoever reads its log has ended.
func TestNobodyReadsTheLog(t *testing.T) {
	dir, err := os.MkdirTemp("", "log-") // short enough for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	reader, log, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	text := fmt.Sprintf("binds: [{port: %d, listeners: [{routes: []}]}]\n", envoytest.Ports(t, 1)[0])
	s := &scene{t: t, dir: dir, vars: strings.NewReplacer()}
	s.write(text)
	s.serve(0, 1, log)
	hash := ""
	s.until("it serves", func() error {
		status, err := s.status(0)
		hash = status.Config.Hash
		return err
	})

	reader.Close()
	for range 2 { // the first is what it cannot tell
		before := hash
		text = "# edited\n" + text
		s.write(text)
		s.until("the edit is applied", func() error {
			status, err := s.status(0)
			if hash = status.Config.Hash; err == nil && hash == before {
				err = fmt.Errorf("still %s", hash)
			}
			return err
		})
	}
}
