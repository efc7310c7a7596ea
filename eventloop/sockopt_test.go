package eventloop_test

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"edgeloop/eventloop"
	"edgeloop/internal/testkit"
	"edgeloop/wsproto"
)

// A peer that reads nothing costs bounded memory of the kernel, and is cut off
// after the time to send, also when it goes on to send pongs.
func TestSocket_TakesNothing(t *testing.T) {
	accept, conns, gone := reporting()
	n := serve(t, eventloop.Config{Tick: tick, OutBuffer: 64 << 20, SocketBuffer: 32 << 10, SendTimeout: time.Second}, accept)
	d := n.open()
	c := testkit.Receive(t, patience, "the connection", conns)
	fd := eventloop.Descriptor(c)
	for name, opt := range map[string]int{"send": unix.SO_SNDBUF, "receive": unix.SO_RCVBUF} {
		if got, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, opt); err != nil || got != 2*32<<10 {
			t.Errorf("the %s buffer has %d bytes, %v", name, got, err)
		}
	}
	if err := d.conn.SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	if err := send(c, bin(make([]byte, 8<<20))); err != nil {
		t.Fatal(err)
	}
	alive := wire(pong("still here"))
	var end *eventloop.Gone
	testkit.Eventually(t, patience, "the end", func() bool {
		_, _ = d.conn.Write(alive) // fails when the end has come
		select {
		case end = <-gone:
			return true
		default:
			return false
		}
	})
	if end.Cause != eventloop.CauseStalled || end.Code != wsproto.CloseAbnormal {
		t.Errorf("ended with %s, %d, %v", end.Cause, end.Code, end.Err)
	}
	if st := n.Stats(); st.Gone[eventloop.CauseStalled] != 1 {
		t.Errorf("ended: %s", causes(st))
	}
}

// A peer that takes a little now and then stays. Where the machine stood still it took nothing for
// longer, may be ended for that, and another one comes.
func TestSocket_TakesALittle(t *testing.T) {
	const within, size = 2 * time.Second, 8 << 20 // which is more than all sips
	accept, conns, _ := reporting()
	n := serve(t, eventloop.Config{Tick: tick, OutBuffer: 64 << 20, SocketBuffer: 32 << 10, SendTimeout: within}, accept)
	excused := uint64(0)
	testkit.Eventually(t, patience, "somebody to take a little in time", func() bool {
		d := n.open()
		defer d.conn.Close()
		if err := send(testkit.Receive(t, patience, "the connection", conns), bin(make([]byte, size))); err != nil {
			t.Fatal(err)
		}
		longest, err := d.sip(2 * within)
		if err != nil && longest < within/2 {
			t.Fatalf("it took something every %s, and was ended: %v, %s", longest, err, causes(n.Stats()))
		}
		if err != nil {
			excused++
		}
		return err == nil
	})
	if st := n.Stats(); st.Gone[eventloop.CauseStalled] > excused {
		t.Errorf("ended: %s", causes(st))
	}
}

// sip reads a little four times a second, so seldom that the kernel asks in between whether there is
// room, and says what was the longest time without.
func (d *dialogue) sip(during time.Duration) (longest time.Duration, err error) {
	d.patient()
	sips := time.NewTicker(250 * time.Millisecond)
	defer sips.Stop()
	b := make([]byte, 64<<10)
	last := time.Now()
	for end := last.Add(during); err == nil && time.Now().Before(end); {
		<-sips.C
		_, err = d.conn.Read(b)
		longest = max(longest, time.Since(last))
		last = time.Now()
	}
	return longest, err
}
