package e2e_test

import (
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"
)

const fSetPipeSize = 1031 // fcntl F_SETPIPE_SZ

// logPipe is a small pipe for a node's log; the node is given the writing end.
func logPipe(t *testing.T) (reader, writer *os.File) {
	t.Helper()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reader.Close(); writer.Close() })
	if _, _, errno := syscall.Syscall(syscall.SYS_FCNTL, writer.Fd(), fSetPipeSize, 4096); errno != 0 {
		t.Fatal(errno)
	}
	return reader, writer
}

// sentAway reads until the close, answers it, and insists on its code.
func (c *rawConn) sentAway(code int) {
	c.t.Helper()
	for {
		first, payload, err := c.hear()
		if err != nil {
			c.t.Fatalf("waiting for close %d: %v", code, err)
		}
		if first != fin|opClose {
			continue
		}
		if len(payload) < 2 || int(payload[0])<<8|int(payload[1]) != code {
			c.t.Fatalf("the node closed with %q, want code %d", payload, code)
		}
		c.say(frame(fin|opClose, string(payload[:2])))
		return
	}
}

// endsWell tells the node to stop: its device is sent away, and it leaves with 0.
func endsWell(t *testing.T, n *node, d *rawConn) {
	t.Helper()
	began := time.Now()
	n.signal(syscall.SIGTERM)
	d.sentAway(1001)
	if code := n.wait(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	t.Logf("ended after %s", time.Since(began).Round(time.Millisecond))
}

// The reader of the log goes away: a shipper that dies, `| head`, a journal that is
// restarted. The node does not notice, but for the lines it counts as lost.
func TestLogging_ReaderGoesAway(t *testing.T) {
	t.Parallel()
	for _, level := range []string{"debug", "info"} {
		t.Run(level, func(t *testing.T) {
			t.Parallel()
			reader, writer := logPipe(t)
			n := prepare(t, "--auth=none", "--drain-window=100ms", "--log-level="+level)
			n.stderr = writer
			go drain(reader)
			n.boot()
			d := upgradeRaw(t, n, "?device=keep", "")
			reader.Close()
			writer.Close() // ours, that of the node is left
			other := upgradeRaw(t, n, "?device=other", "")
			other.Close()
			d.say(frame(fin|opText, `{"type":"telemetry","seq":1,"data":1}`))
			d.wantText("ack")
			endsWell(t, n, d)
		})
	}
}

// drain reads a node's log while there is one.
func drain(reader *os.File) {
	buf := make([]byte, 4096)
	for {
		if _, err := reader.Read(buf); err != nil {
			return
		}
	}
}

// The reader of the log does not read: a logging driver that blocks, a terminal that
// was stopped. Devices come, go and are acknowledged; probes are answered; a stop
// is a drain.
func TestLogging_ReaderIsStuck(t *testing.T) {
	t.Parallel()
	_, writer := logPipe(t)
	n := prepare(t, "--auth=none", "--drain-window=100ms", "--log-level=debug")
	n.stderr = writer
	n.boot()
	d := upgradeRaw(t, n, "?device=keep", "")
	for i := range 100 { // several lines each, far more than the pipe holds
		upgradeRaw(t, n, fmt.Sprintf("?device=d%d", i), "").Close()
	}
	d.say(frame(fin|opText, `{"type":"telemetry","seq":1,"data":1}`))
	d.wantText("ack")
	if status := n.status("/healthz"); status != 200 {
		t.Errorf("/healthz says %d", status)
	}
	endsWell(t, n, d)
}

// A node that cannot start does not wait for somebody to read why.
func TestLogging_LastWordIsBounded(t *testing.T) {
	t.Parallel()
	_, writer := logPipe(t)
	fill(t, writer)
	n := prepare(t, "--window=0")
	n.stderr = writer
	n.spawn()
	if code := n.wait(); code != 2 {
		t.Errorf("exit code %d, want 2", code)
	}
}

// fill writes until the pipe holds no more.
func fill(t *testing.T, pipe *os.File) {
	t.Helper()
	fd := int(pipe.Fd())
	if err := syscall.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := syscall.Write(fd, []byte("x")); err == syscall.EAGAIN {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.SetNonblock(fd, false); err != nil { // as a shell hands it on
		t.Fatal(err)
	}
}
