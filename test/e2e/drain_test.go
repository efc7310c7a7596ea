package e2e_test

import (
	"net"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"

	"edgeloop/internal/testkit"
)

var retryAfter = regexp.MustCompile(`\bretry=([0-9]+)\b`)

// SIGTERM: every device is told 1001 with a delay of its own, and the node
// leaves with 0.
func TestDrain_DevicesAreToldWhenToReturn(t *testing.T) {
	withEachLibrary(t, func(t *testing.T, lib string) {
		n := start(t, "--drain-window=1s")
		c := startClient(t, lib)
		var conns []*conn
		for _, name := range []string{"a", "b", "c", "d"} {
			d, _ := c.connect(n, name)
			conns = append(conns, d)
		}
		n.signal(syscall.SIGTERM)
		for _, d := range conns {
			e := d.wantClosed(1001)
			m := retryAfter.FindStringSubmatch(e.Reason)
			if m == nil {
				t.Fatalf("the reason %q has no retry=SECONDS", e.Reason)
			}
			if s, err := strconv.Atoi(m[1]); err != nil || s < 0 || s > 600 {
				t.Errorf("retry after %q seconds", m[1])
			}
		}
		if code := n.wait(); code != 0 {
			t.Errorf("exit code %d, want 0", code)
		}
	})
}

// While devices stream, the node is told to stop. It answers what it took in,
// and whatever was acknowledged is in the log; nothing is there twice when the
// devices come back.
func TestDrain_LosesNothing(t *testing.T) {
	t.Parallel()
	const devices, messages = 20, 500
	n := start(t, "--auth=none", "--drain-window=1s")
	f := launch(t, n, devices, messages, nil)
	f.waitAcked(patience, devices*messages/4)
	n.stop()
	_, before := f.acked()
	n.boot()
	checkLog(t, n, before)
	f.waitAcked(3*patience, devices*messages)
	_, after := f.acked()
	if records := checkLog(t, n, after); records != devices*messages {
		t.Errorf("the log has %d records, %d were sent", records, devices*messages)
	}
	n.stop()
}

// Draining, the node is not ready and takes no newcomers, but is alive.
func TestDrain_NoNewcomers(t *testing.T) {
	t.Parallel()
	n := start(t, "--drain-window=5m")
	d := dialRaw(t, n, "d1") // does not answer the close, so the node waits for it
	n.signal(syscall.SIGTERM)
	testkit.Eventually(t, patience, "newcomers to be refused", func() bool {
		c, err := net.DialTimeout("tcp", n.listen, patience)
		if err != nil {
			return true
		}
		c.Close()
		return false
	})
	select {
	case <-n.exited:
		t.Fatal("the node left before its device did")
	default:
	}
	if status := n.status("/readyz"); status != 503 {
		t.Errorf("/readyz says %d while draining", status)
	}
	if status := n.status("/healthz"); status != 200 {
		t.Errorf("/healthz says %d while draining", status)
	}

	// A second signal does not wait.
	began := time.Now()
	n.signal(syscall.SIGTERM)
	code := n.wait()
	if took := time.Since(began); code == 0 || took > time.Minute { // the window is five
		t.Errorf("after a second signal: exit code %d after %s, want a failure at once", code, took)
	}
	d.Close()
}
