package envoytest

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Two processes that ask at the same time get different ports, and neither one
// that somebody listens on.
func TestPorts(t *testing.T) {
	const some = 500
	if os.Getenv("PORTS_OF_A_CHILD") != "" {
		for _, p := range Ports(t, some) {
			os.Stdout.WriteString("port " + strconv.Itoa(p) + "\n")
		}
		return
	}
	t.Setenv("TMPDIR", t.TempDir()) // in which no others reserve some
	mine := Ports(t, some)
	l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(mine[0]))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	child := exec.Command(os.Args[0], "-test.run=TestPorts$")
	child.Env = append(os.Environ(), "PORTS_OF_A_CHILD=1")
	out, err := child.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	all := slices.Clone(mine)
	for line := range strings.Lines(string(out)) {
		if n, ok := strings.CutPrefix(strings.TrimSpace(line), "port "); ok {
			p, _ := strconv.Atoi(n)
			all = append(all, p)
		}
	}
	slices.Sort(all)
	if n := len(slices.Compact(all)); n != 2*some || all[0] < firstPort || all[len(all)-1] > lastPort {
		t.Errorf("two processes got %d different ports, from %d to %d, want %d", n, all[0], all[len(all)-1], 2*some)
	}
	locks, err := filepath.Glob(filepath.Join(os.TempDir(), "attache-test-ports-*", "*"))
	if err != nil || len(locks) != 2*some {
		t.Errorf("%d locks, %v", len(locks), err)
	}
}
