package envoytest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
)

// Ports are taken from below those that Linux gives to connections and to
// listeners on port 0, so that nobody gets one by chance before the program that
// it is for.
const firstPort, lastPort = 10_000, 32_767

// taken are the locks of this process; it keeps them, and its ports, until it
// ends.
var taken struct {
	sync.Mutex
	locks map[int]*os.File
}

// Ports returns so many ports that nobody listens on, for programs that a test
// starts. No other test gets one of them, here or in another process.
func Ports(t testing.TB, n int) []int {
	t.Helper()
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("attache-test-ports-%d", os.Getuid()))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	taken.Lock()
	defer taken.Unlock()
	if taken.locks == nil {
		taken.locks = map[int]*os.File{}
	}
	var ports []int
	for _, offset := range rand.Perm(lastPort - firstPort + 1) {
		if len(ports) == n {
			return ports
		}
		port := firstPort + offset
		if taken.locks[port] != nil || !isFree(port) {
			continue
		}
		lock, err := os.OpenFile(filepath.Join(dir, strconv.Itoa(port)), os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
			lock.Close() // another process has it
			continue
		}
		taken.locks[port] = lock
		ports = append(ports, port)
	}
	t.Fatalf("of the ports from %d to %d not even %d are free", firstPort, lastPort, n)
	return nil
}

func isFree(port int) bool {
	l, err := net.Listen("tcp", ":"+strconv.Itoa(port))
	if err != nil {
		return false
	}
	l.Close()
	return true
}
