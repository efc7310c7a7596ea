package gateway_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"edgeloop/backbone"
	"edgeloop/devicemgr"
	"edgeloop/gateway"
)

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

// TestMemory_EndsAndGoesOn: the log stands still until memory is full, then flows
// again. A device held back goes on by itself, whatever it holds, and in order.
func TestMemory_EndsAndGoesOn(t *testing.T) {
	t.Parallel()
	stuck := make(chan struct{})
	n := startNode(t, &memLog{before: func([]backbone.Record) error { <-stuck; return nil }}, gateway.Config{InFlight: 2 << 20})
	const messages = 20
	data := json.RawMessage(`"` + strings.Repeat("x", 4<<10) + `"`)
	full := func() bool { return n.gateway.Stats().Drops[gateway.DropMemoryFull] > 0 }
	var all []*device
	for i := 0; !full(); i++ { // one by one: all at once might pass the second bound
		d := n.connect(fmt.Sprintf("d%d", i))
		all = append(all, d)
		for seq := range uint64(messages) {
			d.send(message{Type: "telemetry", Seq: seq + 1, Data: data})
		}
		n.until("it is read or held back", func() bool { return full() || n.server.Stats().MessagesIn == uint64(messages*(i+1)) })
	}
	close(stuck)
	for i, d := range all {
		d.wantAck(messages)
		wantInOrder(t, n.log.of(fmt.Sprintf("d%d", i)), messages)
	}
	n.until("nothing is held", func() bool { return n.gateway.Stats().InFlightBytes == 0 })
	n.until("all are read from", func() bool { return n.server.Stats().Paused == 0 })
}

// TestWindow_Bytes: a device may have so many bytes on their way, and one message
// more, whatever the number of its messages.
func TestWindow_Bytes(t *testing.T) {
	t.Parallel()
	held := newHoldUp()
	n := startNode(t, &memLog{before: func([]backbone.Record) error { held.wait(""); return nil }}, gateway.Config{WindowBytes: 64 << 10})
	d := n.connect("large")
	data := json.RawMessage(`"` + strings.Repeat("x", 16<<10) + `"`)
	const messages = 20
	for seq := range uint64(messages) {
		d.send(message{Type: "telemetry", Seq: seq + 1, Data: data})
	}
	n.until("it is held back", func() bool { return n.server.Stats().Paused == 1 })
	if got := n.server.Stats().MessagesIn; got != 4 { // four and their envelopes are above 64 KiB
		t.Errorf("%d messages of 16 KiB are on their way with a window of 64 KiB", got)
	}
	close(held.end)
	d.wantAck(messages)
	wantInOrder(t, n.log.of("large"), messages)
}

// TestWindow_Rate: a device that sends more than its rate is held back, not cut off,
// and all of it arrives.
func TestWindow_Rate(t *testing.T) {
	t.Parallel()
	const rate, messages, size = 64 << 10, 16, 16 << 10 // four seconds of it, for a machine that is quicker
	n := startNode(t, &memLog{}, gateway.Config{RateBytes: rate})
	d := n.connect("eager")
	data := json.RawMessage(`"` + strings.Repeat("x", size) + `"`)
	began := time.Now()
	for seq := range uint64(messages) {
		d.send(message{Type: "telemetry", Seq: seq + 1, Data: data})
	}
	d.wantAck(messages)
	// A second's worth comes at once, and what one read brought on top.
	if took := time.Since(began); took < time.Second || n.gateway.Stats().Drops[gateway.DropOverRate] == 0 {
		t.Errorf("%d KiB came in %v at %d KiB a second; held back %d times", messages*size>>10, took, rate>>10, n.gateway.Stats().Drops[gateway.DropOverRate])
	}
	wantInOrder(t, n.log.of("eager"), messages)
}

// TestLane_DevicesInTurn: one device has filled the lane that another shares. What
// the other sends last does not wait for all of that.
func TestLane_DevicesInTurn(t *testing.T) {
	t.Parallel()
	held := newHoldUp()
	n := startNode(t, &memLog{before: func([]backbone.Record) error { held.wait(""); return nil }},
		gateway.Config{Workers: 1, Lanes: 1, Window: 1000})
	eager := n.connect("eager")
	const messages = 800
	for seq := range uint64(messages) {
		eager.telemetry(seq + 1)
	}
	n.until("all of it is read", func() bool { return n.server.Stats().MessagesIn == messages })
	other := n.connect("other")
	other.telemetry(1)
	other.send(message{Type: "heartbeat"})
	other.want("heartbeat") // the loop's answer: what was before it lies in the lane
	close(held.end)
	other.wantAck(1)
	eager.wantAck(messages)
	place := slices.IndexFunc(n.log.all(), func(r stored) bool { return r.device == "other" })
	// The first call of handle waits with what it took; the next two may be full.
	if place > 300 {
		t.Errorf("the one message of another device came as number %d", place)
	}
	wantInOrder(t, n.log.of("eager"), messages)
}

func (l *memLog) all() []stored {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.records)
}

// TestMemory_HeldAlone: all memory is taken by what is held back of devices at their
// window, nothing is moving any more. They go on all the same: with what they hold.
func TestMemory_HeldAlone(t *testing.T) {
	t.Parallel()
	stuck := make(chan struct{})
	n := startNode(t, &memLog{before: func([]backbone.Record) error { <-stuck; return nil }},
		gateway.Config{InFlight: 1 << 20, Window: 1, WindowBytes: 1 << 20})
	const messages = 40
	frames := bytes.Repeat(frameOf(`{"type":"telemetry","data":"`+strings.Repeat("x", 1<<10)+`"}`), messages)
	full := func() bool { return n.gateway.Stats().InFlightBytes > 1<<20+128<<10 }
	devices := 0
	for ; !full(); devices++ {
		if _, err := n.rawDevice(fmt.Sprintf("d%d", devices)).Write(frames); err != nil {
			t.Fatal(err)
		}
		n.until("it is held back", func() bool { return n.server.Stats().Paused == int64(devices+1) })
	}
	close(stuck)
	n.until("all of it is in the log", func() bool { return len(n.log.all()) == devices*messages })
	n.until("nothing is held", func() bool { return n.gateway.Stats().InFlightBytes == 0 })
}

// TestMemory_CountsUntilDurable: what the log has taken counts as on its way, in
// memory, until all of its batch is on the disk.
func TestMemory_CountsUntilDurable(t *testing.T) {
	t.Parallel()
	const messages = 3
	log := newSteppedLog()
	n := startNodeOn(t, log, gateway.Config{})
	x := n.rawDevice("x")
	if _, err := x.Write(newBurst(messages).from(1)); err != nil {
		t.Fatal(err)
	}
	n.until("the log has all of it", func() bool { taken, _, _ := log.state(); return len(taken) == messages })
	held := func() int64 { return n.gateway.Stats().InFlightBytes }
	for range messages {
		if held() == 0 {
			t.Error("nothing is held, and not all is durable")
		}
		log.commit(1)
	}
	n.until("nothing is held", func() bool { return held() == 0 })
}
