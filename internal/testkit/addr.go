package testkit

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

var (
	ports atomic.Uint32 // that FreeAddr has tried
	held  sync.Map      // uint32 to net.Listener: see claim
)

// FreeAddr finds an address of loopback, 127.0.0.1 with a port, that nobody listens at, for somebody
// who binds it later, and may be down in between. The port lies below those from which the system
// takes ports for outgoing connections, and no other test that asks here has it until the process
// ends that runs this one.
func FreeAddr(t testing.TB) string {
	t.Helper()
	const first, count = 20000, 12000
	for range count {
		port := first + (uint32(os.Getpid())*97+ports.Add(1))%count //nolint:gosec // any will do
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		if !claim(port) {
			continue
		}
		if ln, err := net.Listen("tcp", addr); err == nil {
			ln.Close()
			return addr
		}
	}
	t.Fatal("no free port")
	return ""
}

// claim says whether a port is this process's: each that is has a socket in the abstract namespace,
// unix(7), which ends with the process.
func claim(port uint32) bool {
	mine, err := net.Listen("unix", fmt.Sprintf("@edgeloop-test-port-%d", port))
	if err == nil {
		held.Store(port, mine)
	}
	return !errors.Is(err, syscall.EADDRINUSE)
}
