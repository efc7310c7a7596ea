package grpcapi

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"edgeloop/internal/testkit"
)

// Of each device the last state waits, and none of an older connection; of so many devices,
// and no more.
func TestLatest_IsBounded(t *testing.T) {
	l := newLatest(2)
	w := l.of("acme")
	for _, s := range []State{
		{Tenant: "acme", Device: "a", Epoch: 5, Online: true},
		{Tenant: "beta", Device: "a", Epoch: 9, Online: true},
		{Tenant: "acme", Device: "b", Epoch: 1, Online: true},
		{Tenant: "acme", Device: "a", Epoch: 5},
		{Tenant: "acme", Device: "a", Epoch: 4, Online: true},
	} {
		if err := w.Changed(s); err != nil {
			t.Fatal(err)
		}
	}
	third := State{Tenant: "acme", Device: "c", Epoch: 1}
	if err := w.Changed(third); !errors.Is(err, errBehind) {
		t.Errorf("a third device: %v", err)
	}
	w.Current()
	known := make(chan error, 1)
	go func() { known <- w.Known(context.Background(), third) }()
	states, current := l.take()
	if len(states) != 2 || states[0] != (State{Tenant: "acme", Device: "a", Epoch: 5}) || states[1].Device != "b" || !current {
		t.Errorf("%+v, %v", states, current)
	}
	if err := testkit.Receive(t, time.Minute, "room for the third", known); err != nil {
		t.Error(err)
	}
	w.Current()
	if states, current := l.take(); len(states) != 1 || current {
		t.Errorf("%+v, %v: the mark comes once", states, current)
	}
}

// A connection that shows a token is not pushed out; the oldest that shows none is; and where
// all have shown one the newcomer goes.
func TestDoor_TokenKeepsAPlace(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	d := newDoor(ln, 2, func() { refused++ })
	defer d.Close()
	come := func() (outside net.Conn) {
		t.Helper()
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	accepted := make(chan net.Conn, 10)
	go func() {
		for {
			c, err := d.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	accept := func() net.Conn {
		t.Helper()
		return testkit.Receive(t, time.Minute, "a connection", accepted)
	}
	come()
	first := accept()
	d.trust(first.RemoteAddr().String())
	come()
	second := accept()
	come()
	third := accept()
	_ = second.SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := second.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) || d.count() != 2 || refused != 1 {
		t.Errorf("the one without a token: %v, %d are here, %d refused", err, d.count(), refused)
	}
	d.trust(third.RemoteAddr().String())
	late := come()
	_ = late.SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := late.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) || d.count() != 2 {
		t.Errorf("the newcomer: %v, %d are here", err, d.count())
	}
	first.Close()
	come()
	accept()
}
