package eventloop_test

import (
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"edgeloop/eventloop"
	"edgeloop/internal/testkit"
)

// crowd has as many connect and say nothing as it takes for some to have to give way.
func (n *node) crowd(budget int) {
	n.t.Helper()
	for range 3 * budget {
		n.dial()
	}
	testkit.Eventually(n.t, patience, "the silent to give way", func() bool { return n.Stats().Gone[eventloop.CauseCrowdedOut] > 0 })
}

// Two thousand that say nothing are in front of a device. It does not wait until each
// of them had its place among the few that are read from.
func TestDoorstep_NobodyWaitsBehindTheSilent(t *testing.T) {
	const budget, silent = 4, 2000
	n := serve(t, eventloop.Config{Tick: tick, MaxHandshakes: budget, MaxPerAddress: 2 * silent, HandshakeTimeout: time.Hour}, echoing())
	n.crowd(budget)
	for range silent {
		n.dial()
	}
	d := n.promptly()
	d.wantSwitch()
	d.send(ping("x"))
	d.want(pong("x"))
	testkit.Eventually(t, patience, "the others to be sent away", func() bool {
		st := n.Stats()
		return st.Open <= 2*budget+1 && st.Accepted >= silent && st.Gone[eventloop.CauseCrowdedOut] >= silent-2*budget
	})
}

// Devices that have said what they want wait for their turn, on the doorstep and in
// the backlog: they are not sent away as the silent are.
func TestDoorstep_WhoHasSpokenIsNotSentAway(t *testing.T) {
	const budget, devices = 2, 20
	accept, ch := deciding()
	n := serve(t, eventloop.Config{Tick: tick, MaxHandshakes: budget, HandshakeTimeout: time.Hour}, accept)
	n.crowd(budget)
	var ds []*dialogue
	for range devices {
		ds = append(ds, n.promptly())
	}
	for range ds {
		cand := testkit.Receive(t, patience, "a candidate", ch)
		if inside := eventloop.Guests(n.Server); inside > budget {
			t.Fatalf("%d are inside, with a budget of %d", inside, budget)
		}
		cand.h.Admit(n.track(&ears{}))
	}
	over := make(chan struct{})
	var rest sync.WaitGroup
	rest.Go(func() { // some may have been slow, and nobody waits for them
		for {
			select {
			case cand := <-ch:
				cand.h.Admit(n.track(&ears{}))
			case <-over:
				return
			}
		}
	})
	for _, d := range ds {
		d.wantSwitch()
	}
	close(over)
	rest.Wait()
}

// The limit of sockets holds with the doorstep too, and when the crowd has gone those
// who were silent there are ordinary newcomers.
func TestDoorstep_KeepsTheLimitOfSockets(t *testing.T) {
	const budget, most, reserve = 4, 3, 4
	n := serve(t, eventloop.Config{Tick: tick, MaxHandshakes: budget, MaxConnections: most, RefuseReserve: reserve, HandshakeTimeout: time.Hour},
		admit(func(*eventloop.Conn) eventloop.Receiver { return &ears{} }))
	n.byTurnstile()
	n.crowd(budget)
	for range 200 {
		n.dial()
		if open := n.Stats().Open; open > most+reserve {
			t.Fatalf("%d sockets are open, %d may be", open, most+reserve)
		}
	}
	n.promptly().wantSwitch()
}

// A newcomer resets its connection in the moment in which it is let in. It costs no
// descriptor: gnet cannot say who such a peer was, and would keep one.
func TestDoorstep_ResetWhileLetIn(t *testing.T) {
	n := serve(t, eventloop.Config{}, echoing())
	n.open()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	descriptors := func() int {
		names, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	before := descriptors()
	const peers = 20
	for range peers {
		peer, err := net.DialTimeout("tcp", ln.Addr().String(), patience)
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		f, err := theirs.(*net.TCPConn).File()
		if err != nil {
			t.Fatal(err)
		}
		fd, err := unix.Dup(int(f.Fd()))
		if err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
		_ = theirs.Close()
		_ = peer.(*net.TCPConn).SetLinger(0)
		_ = peer.Close()
		testkit.Eventually(t, patience, "the reset", func() bool {
			_, err := unix.Getpeername(fd)
			return err != nil
		})
		if !eventloop.HandOver(n.Server, fd) {
			t.Fatal("the server stops")
		}
	}
	testkit.Eventually(t, patience, "the descriptors to come back", func() bool { return descriptors() < before+peers/2 })
	if left := n.Stats().Gone[eventloop.CausePeerGone]; left != peers {
		t.Errorf("%d of %d are noted as gone", left, peers)
	}
}
