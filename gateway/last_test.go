package gateway_test

import (
	"bytes"
	"net"
	"testing"

	"edgeloop/backbone"
	"edgeloop/devicemgr"
	"edgeloop/gateway"
)

// A device whose lane is full leaves without a word, while the log stands still. What
// was received of it and held back is in the log, in order, when that goes on.
func TestClosed_HeldBackIsHandedOn(t *testing.T) {
	const firstSeq = 100_000_001
	log := newSteppedLog()
	n := startNodeOn(t, log, gateway.Config{Workers: 1, Lanes: 1, LaneDepth: 1, Window: 1 << 16, WindowBytes: 1 << 30})
	x, frames := n.rawDevice("x"), newBurst(1)
	log.turn(logBlocks)
	sent := 0
	for ; n.server.Stats().Paused == 0; sent++ {
		if _, err := x.Write(frames.from(sent + 1)); err != nil {
			t.Fatal(err)
		}
		n.until("it is read, or reading is paused", func() bool {
			return n.server.Stats().MessagesIn == uint64(sent)+1 || n.server.Stats().Paused == 1
		})
	}
	read := int(n.server.Stats().MessagesIn)
	if err := n.gateway.Kick(devicemgr.Key{Tenant: "default", Device: "x"}, 1001, "retry=1"); err != nil {
		t.Fatal(err)
	}
	x.Close()
	n.until("x has left", func() bool { return n.gateway.Stats().Online == 0 })
	log.turn(logTakes)
	n.until("all is with the log", func() bool { taken, _, _ := log.state(); return len(taken) >= read })
	taken, _, _ := log.state()
	for i, r := range taken {
		if r.seq != firstSeq+uint64(i) {
			t.Fatalf("record %d is message %d", i, r.seq)
		}
	}
	if got := n.gateway.Stats().Drops[gateway.DropClosed]; got != 0 {
		t.Errorf("%d dropped", got)
	}
	log.commit(-1)
}

// TestClosed_HeldReadIsHandedOn: a device sent more than its window at once, so most of
// it is received and not even decoded when the connection ends, one way or another.
// All of it reaches the log.
func TestClosed_HeldReadIsHandedOn(t *testing.T) {
	t.Parallel()
	const messages = 20
	for name, end := range map[string]func(n *node, x net.Conn){
		"reset":         func(_ *node, x net.Conn) { _ = x.(*net.TCPConn).SetLinger(0) },
		"going away":    func(n *node, _ net.Conn) { n.kick(1001) },
		"token expired": func(n *node, _ net.Conn) { n.kick(4401) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stuck := make(chan struct{})
			n := startNode(t, &memLog{before: func([]backbone.Record) error { <-stuck; return nil }}, gateway.Config{Window: 1})
			x := n.rawDevice("x")
			if _, err := x.Write(bytes.Repeat(frameOf(`{"type":"telemetry","data":1}`), messages)); err != nil {
				t.Fatal(err)
			}
			n.until("it is held back", func() bool { return n.server.Stats().Paused == 1 })
			end(n, x)
			x.Close()
			n.until("x has left", func() bool { return n.gateway.Stats().Online == 0 })
			close(stuck)
			n.until("all of it is in the log", func() bool { return len(n.log.all()) == messages })
			n.until("nothing is held", func() bool { return n.gateway.Stats().InFlightBytes == 0 })
		})
	}
}

func (n *node) kick(code uint16) {
	n.Helper()
	if err := n.gateway.Kick(devicemgr.Key{Tenant: "default", Device: "x"}, code, "go"); err != nil {
		n.Error(err)
	}
}
