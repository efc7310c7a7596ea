package e2e_test

import (
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// serviceManager is the socket that systemd gives a service of Type=notify.
type serviceManager struct {
	t    *testing.T
	conn *net.UnixConn
}

func newServiceManager(t *testing.T) *serviceManager {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: filepath.Join(t.TempDir(), "notify")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &serviceManager{t, conn}
}

// environment is what a service is started with.
func (m *serviceManager) environment() []string {
	return []string{"NOTIFY_SOCKET=" + m.conn.LocalAddr().String(), "WATCHDOG_USEC=2000000"}
}

// hears waits for a message that begins with this line and returns it.
func (m *serviceManager) hears(line string) string {
	m.t.Helper()
	buf := make([]byte, 4<<10)
	_ = m.conn.SetReadDeadline(time.Now().Add(patience))
	for {
		n, err := m.conn.Read(buf)
		if err != nil {
			m.t.Fatalf("the node did not say %s: %v", line, err)
		}
		if first, _, _ := strings.Cut(string(buf[:n]), "\n"); first == line {
			return string(buf[:n])
		}
	}
}

// A service manager hears when the node is ready, that its loops turn, that it
// reads its settings again, and that it stops and how long that may take.
func TestSystemd_Notifications(t *testing.T) {
	t.Parallel()
	m := newServiceManager(t)
	n := prepare(t, "--auth=none", "--drain-window=3m")
	n.env = m.environment()
	n.spawn()
	if said := m.hears("READY=1"); !strings.Contains(said, n.listen) {
		t.Errorf("ready, but not where: %q", said)
	}
	if status := n.status("/readyz"); status != http.StatusOK {
		t.Errorf("ready, but /readyz says %d", status)
	}
	m.hears("WATCHDOG=1")
	n.signal(syscall.SIGHUP)
	if said := m.hears("RELOADING=1"); !strings.Contains(said, "MONOTONIC_USEC=") {
		t.Errorf("reloading, but since when: %q", said)
	}
	m.hears("READY=1")
	n.signal(syscall.SIGTERM)
	// Three minutes of a drain and 70 s for the rest.
	if said := m.hears("STOPPING=1"); !strings.Contains(said, "EXTEND_TIMEOUT_USEC=250000000") {
		t.Errorf("stopping, but for how long: %q", said)
	}
	if code := n.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// A crash does not look like a wrong setting, which is not worth another start: it
// ends by a signal, with what every goroutine was doing.
func TestSystemd_ACrashIsNoWrongSetting(t *testing.T) {
	t.Parallel()
	n := start(t, "--auth=none")
	n.signal(syscall.SIGABRT)
	n.wait()
	status, ok := n.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() || status.Signal() != syscall.SIGABRT {
		t.Errorf("the node ended with %v, want the signal", n.cmd.ProcessState)
	}
	if said := n.log.String(); !strings.Contains(said, "goroutine ") {
		t.Error("no word of what it was doing")
	}
}
