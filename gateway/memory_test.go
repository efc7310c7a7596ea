package gateway_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"edgeloop/backbone"
	"edgeloop/devicemgr"
	"edgeloop/gateway"
)

// TestMemory_LargeRead: a read larger than what is free beside a little that
// waits for the log. It is let in, or its loop would ask again and again.
func TestMemory_LargeRead(t *testing.T) {
	t.Parallel()
	stuck := make(chan struct{})
	n := startNode(t, &memLog{before: func([]backbone.Record) error { <-stuck; return nil }}, gateway.Config{InFlight: 4 << 10})
	large := json.RawMessage(`"` + strings.Repeat("x", 3800) + `"`)
	small, big := n.connect("small"), n.connect("big")
	small.send(message{Type: "telemetry", Seq: 1, Data: json.RawMessage(`"` + strings.Repeat("x", 1000) + `"`)})
	n.until("the small one is on its way", func() bool { return n.gateway.Stats().InFlightBytes > 1000 })
	big.send(message{Type: "telemetry", Seq: 1, Data: large})
	n.until("the large one is let in", func() bool { return n.gateway.Stats().Lanes.Posted == 2 })
	for i := range 4 { // on both loops
		n.connect(fmt.Sprintf("other-%d", i))
	}
	close(stuck)
	big.wantAck(1)
	small.wantAck(1)
	n.until("nothing is on its way", func() bool { return n.gateway.Stats().InFlightBytes == 0 })
}

// TestLane_LeaverIsForgotten: the lane is full, a device is held back and leaves.
// Nothing is kept of it, however long the log stands still.
func TestLane_LeaverIsForgotten(t *testing.T) {
	t.Parallel()
	stuck := make(chan struct{})
	n := startNode(t, &memLog{before: func([]backbone.Record) error { <-stuck; return nil }},
		gateway.Config{Workers: 1, Lanes: 1, LaneDepth: 1})
	waiting := func() int { return n.gateway.Stats().Lanes.Waiting }
	var stays *device
	for i := 0; waiting() == 0; i++ {
		stays = n.connect(fmt.Sprintf("dev-%d", i))
		stays.telemetry(1)
		n.until("it is queued or held back", func() bool {
			lanes := n.gateway.Stats().Lanes
			return lanes.Posted+uint64(lanes.Waiting) == uint64(i+1)
		})
	}
	for i := range 10 {
		key := devicemgr.Key{Tenant: "default", Device: fmt.Sprintf("leaver-%d", i)}
		leaves := n.connect(key.Device)
		leaves.telemetry(1)
		n.until("it is held back", func() bool { return waiting() == 2 })
		if err := n.gateway.Kick(key, 1008, "go"); err != nil {
			t.Fatal(err)
		}
		leaves.wantClosed(1008)
		n.until("it is forgotten", func() bool { return waiting() == 1 })
	}
	close(stuck)
	stays.wantAck(1)
}
