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

// A peer that takes a little now and then stays.
func TestSocket_TakesALittle(t *testing.T) {
	accept, conns, _ := reporting()
	n := serve(t, eventloop.Config{Tick: tick, OutBuffer: 64 << 20, SocketBuffer: 32 << 10, SendTimeout: time.Second}, accept)
	d := n.open()
	c := testkit.Receive(t, patience, "the connection", conns)
	const size = 2 << 20
	if err := send(c, bin(make([]byte, size))); err != nil {
		t.Fatal(err)
	}
	sips := time.NewTicker(100 * time.Millisecond)
	defer sips.Stop()
	b := make([]byte, 64<<10)
	for range 20 { // two seconds, twice the time to send
		<-sips.C
		d.patient()
		if _, err := d.conn.Read(b); err != nil {
			t.Fatal(err)
		}
	}
	if st := n.Stats(); st.Gone[eventloop.CauseStalled] != 0 {
		t.Errorf("ended: %s", causes(st))
	}
}
