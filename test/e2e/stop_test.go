package e2e_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"edgeloop/internal/testkit"
)

// silence stops the server, which keeps its sockets and says nothing any more.
func (s *natsServer) silence() {
	s.t.Helper()
	testkit.Freeze(s.t, s.cmd.Process)
}

// A log elsewhere has fallen silent, which is worse than gone. The node is told to
// stop: its devices are sent away, and it ends in bounded time and says that not
// all is in the log.
func TestStop_SilentLog(t *testing.T) {
	t.Parallel()
	nats := startNATS(t)
	n := start(t, "--auth=none", "--drain-window=100ms", "--nats-url", nats.url())
	d := upgradeRaw(t, n, "?device=d1", "")
	d.say(frame(fin|opText, `{"type":"telemetry","seq":1,"data":1}`))
	d.wantText("ack")
	nats.silence()
	d.say(frame(fin|opText, `{"type":"telemetry","seq":2,"data":2}`))
	testkit.Eventually(t, patience, "the node to notice that its log is silent", func() bool {
		return n.status("/readyz") != http.StatusOK
	})
	n.signal(syscall.SIGTERM)
	d.sentAway(1001)
	if code := n.wait(); code != 1 {
		t.Errorf("exit code %d, want 1: a message is not in the log", code)
	}
}

// The log is silent when the node starts. It can be stopped all the same, by one
// signal in good order and by two at once.
func TestStop_DuringTheStart(t *testing.T) {
	t.Parallel()
	nats := startNATS(t)
	nats.silence()
	for name, c := range map[string]struct{ signals, code int }{
		"one signal":  {1, 0},
		"two signals": {2, 1},
	} {
		t.Run(name, func(t *testing.T) {
			n := prepare(t, "--auth=none", "--nats-url", nats.url())
			n.spawn()
			testkit.Eventually(t, patience, "the start to come to the log", func() bool {
				token, err := os.ReadFile(filepath.Join(n.dir, "admin.token"))
				said, _ := n.readiness(strings.TrimSpace(string(token)))
				return err == nil && strings.Contains(said, "start: log")
			})
			began := time.Now()
			for _, sig := range []os.Signal{syscall.SIGTERM, syscall.SIGINT}[:c.signals] { // two of a kind may be one
				n.signal(sig)
			}
			if code := n.wait(); code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			if took := time.Since(began); took > time.Minute {
				t.Errorf("it took %s", took)
			}
		})
	}
}

// Somebody waits for a device's reply while the node is told to stop: he hears
// that none came, and the stop is as good as any.
func TestStop_PendingCommand(t *testing.T) {
	t.Parallel()
	n := start(t, "--auth=none", "--drain-window=100ms")
	d := upgradeRaw(t, n, "?device=d1", "")
	answered := make(chan int, 1)
	go func() {
		defer close(answered) // also when the call fails the test
		status, _ := n.apiRaw("POST", "/v1/devices/default/d1/commands?wait=1m", map[string]any{"name": "think"})
		answered <- status
	}()
	d.wantText("command")
	endsWell(t, n, d)
	if status := <-answered; status != http.StatusGatewayTimeout && status != http.StatusServiceUnavailable {
		t.Errorf("who waited was answered %d", status)
	}
}
