package gateway_test

import (
	"testing"

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
	log.turn(gateBlocks)
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
	log.turn(gateOpen)
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
