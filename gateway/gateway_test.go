package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"edgeloop/backbone"
	"edgeloop/devicemgr"
	"edgeloop/gateway"
)

func TestLink_Uplink(t *testing.T) {
	t.Parallel()
	n := startNode(t, &memLog{}, gateway.Config{})
	d := n.connect("alice")

	t.Run("a sequenced message is acknowledged once it is in the log", func(t *testing.T) {
		d.telemetry(1)
		d.wantAck(1)
		if got := n.log.of("alice"); len(got) != 1 || got[0].seq != 1 || got[0].data != "1" {
			t.Errorf("the log holds %+v", got)
		}
	})
	t.Run("a duplicate is dropped and acknowledged again", func(t *testing.T) {
		d.telemetry(1)
		d.wantAck(1)
		if got := n.log.of("alice"); len(got) != 1 {
			t.Errorf("the log holds %+v", got)
		}
	})
	t.Run("a gap is accepted and counted", func(t *testing.T) {
		d.telemetry(5)
		d.wantAck(5)
		if got := n.gateway.Stats().Gaps; got != 1 {
			t.Errorf("%d gaps were counted", got)
		}
	})
	t.Run("a message without sequence is in the log and not acknowledged", func(t *testing.T) {
		d.send(message{Type: "status", Data: json.RawMessage(`"up"`)})
		d.telemetry(6)
		d.wantAck(6)
		if got := n.log.of("alice"); len(got) != 4 || got[2].seq != 0 || got[2].data != `"up"` {
			t.Errorf("the log holds %+v", got)
		}
	})
	t.Run("a new connection is told what is durable and resumes above it", func(t *testing.T) {
		again := n.connect("alice")
		if again.welcome.Upto != 6 || again.welcome.Epoch <= d.welcome.Epoch {
			t.Errorf("welcome is %+v after epoch %d", again.welcome, d.welcome.Epoch)
		}
		d.wantClosed(4409)
		again.telemetry(7)
		again.wantAck(7)
	})
}

// TestLink_Faults: a device that does not speak the protocol is told what is
// wrong each time, and sent away when it does not stop.
func TestLink_Faults(t *testing.T) {
	t.Parallel()
	n := startNode(t, &memLog{}, gateway.Config{})
	d := n.connect("mallory")
	for range 8 {
		d.send(message{Type: "nonsense"})
		if m := d.want("error"); m.Code != "unsupported_type" || m.Message == "" {
			t.Errorf("error is %+v", m)
		}
	}
	d.wantClosed(1008)
}

// TestLink_Window: a device that sends more than its window is held back, not
// refused, and everything arrives once the log takes it.
func TestLink_Window(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	log := &memLog{before: func([]backbone.Record) error { <-gate; return nil }}
	n := startNode(t, log, gateway.Config{Window: 4})
	d := n.connect("eager")
	const total = 200
	for seq := uint64(1); seq <= total; seq++ {
		d.telemetry(seq)
	}
	n.until("the device is held back", func() bool { return n.server.Stats().Paused == 1 })
	if got := n.server.Stats().MessagesIn; got > 5 {
		t.Errorf("%d messages were taken in with a window of 4", got)
	}
	close(gate)
	d.wantAck(total)
	wantInOrder(t, n.log.of("eager"), total)
	n.until("reading goes on", func() bool { return n.server.Stats().Paused == 0 })
}

// TestLink_FullNode: bytes of all devices together are bounded; a device held back
// for it goes on when others have settled.
func TestLink_FullNode(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	log := &memLog{before: func([]backbone.Record) error { <-gate; return nil }}
	n := startNode(t, log, gateway.Config{InFlight: 64 << 10, Lanes: 2, LaneDepth: 4})
	var devices []*device
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		d := n.connect(name)
		devices = append(devices, d)
		for seq := uint64(1); seq <= 50; seq++ {
			d.telemetry(seq)
		}
	}
	n.until("devices are held back", func() bool { return n.server.Stats().Paused > 0 })
	if got := n.gateway.Stats().InFlightBytes; got > 80<<10 {
		t.Errorf("%d bytes are on their way, 64 KiB and a quarter are allowed", got)
	}
	close(gate)
	for _, d := range devices {
		d.wantAck(50)
	}
	n.until("nothing is on its way", func() bool { return n.gateway.Stats().InFlightBytes == 0 })
}

// TestLink_Panic: a message whose handling panics ends its connection, and the
// device finds all that it sent before and can send it again.
func TestLink_Panic(t *testing.T) {
	t.Parallel()
	var bad atomic.Bool
	log := &memLog{before: func(records []backbone.Record) error {
		for i := range records {
			if records[i].Seq == 3 && bad.CompareAndSwap(false, true) {
				panic("injected")
			}
		}
		return nil
	}}
	n := startNode(t, log, gateway.Config{})
	d := n.connect("unlucky")
	for seq := uint64(1); seq <= 2; seq++ {
		d.telemetry(seq)
		d.wantAck(seq)
	}
	d.telemetry(3)
	d.wantClosed(1011)
	again := n.connect("unlucky")
	if again.welcome.Upto != 2 {
		t.Fatalf("welcome says %d is durable", again.welcome.Upto)
	}
	for seq := uint64(3); seq <= 5; seq++ {
		again.telemetry(seq)
	}
	again.wantAck(5)
	wantInOrder(t, n.log.of("unlucky"), 5)
}

// TestLink_BehindPanic: what was on its way behind a message that was given up
// is not taken in, or it would be acknowledged over a hole.
func TestLink_BehindPanic(t *testing.T) {
	t.Parallel()
	held := newHoldUp()
	var panics atomic.Int32
	log := &memLog{before: func(records []backbone.Record) error {
		held.wait("")
		for i := range records {
			if records[i].Seq == 2 && panics.Add(1) <= 2 { // with its neighbours, then alone
				panic("injected")
			}
		}
		return nil
	}}
	n := startNode(t, log, gateway.Config{})
	d := n.connect("unlucky")
	for seq := uint64(1); seq <= 4; seq++ {
		d.telemetry(seq)
		n.until("it is posted", func() bool { return n.gateway.Stats().Lanes.Posted == seq })
	}
	close(held.end)
	d.wantClosed(1011)
	again := n.connect("unlucky")
	if again.welcome.Upto != 1 {
		t.Errorf("welcome says %d is durable", again.welcome.Upto)
	}
	for seq := uint64(2); seq <= 4; seq++ {
		again.telemetry(seq)
	}
	again.wantAck(4)
	wantInOrder(t, n.log.of("unlucky"), 4)
}

// TestLink_WindowOfUnlogged: messages that need no log count in the window too,
// and who was held back for them goes on.
func TestLink_WindowOfUnlogged(t *testing.T) {
	t.Parallel()
	held := newHoldUp()
	log := &memLog{before: func([]backbone.Record) error { held.wait(""); return nil }}
	n := startNode(t, log, gateway.Config{Window: 4, Lanes: 1, Workers: 1})
	n.connect("stuck").telemetry(1)
	<-held.reached // the only lane waits
	d := n.connect("joining")
	const many = 40
	for i := range many {
		d.send(message{Type: "join", Group: fmt.Sprintf("g%d", i%8)})
	}
	n.until("it is held back", func() bool { return n.server.Stats().Paused == 1 })
	close(held.end)
	n.until("all of them are read", func() bool { return n.server.Stats().MessagesIn == 1+many && n.server.Stats().Paused == 0 })
	d.telemetry(1)
	d.wantAck(1)
}

// TestLink_LogClosed: messages that the log did not take are not acknowledged,
// nor is anything behind them.
func TestLink_LogClosed(t *testing.T) {
	t.Parallel()
	var closed atomic.Bool
	log := &memLog{before: func([]backbone.Record) error {
		if closed.Load() {
			return backbone.ErrClosed
		}
		return nil
	}}
	n := startNode(t, log, gateway.Config{})
	d := n.connect("late")
	d.telemetry(1)
	d.wantAck(1)
	closed.Store(true)
	d.telemetry(2)
	d.wantClosed(1011)
	closed.Store(false)
	again := n.connect("late")
	again.telemetry(2)
	again.wantAck(2)
	wantInOrder(t, n.log.of("late"), 2)
}

func TestGateway_Command(t *testing.T) {
	t.Parallel()
	n := startNode(t, &memLog{}, gateway.Config{})
	key := devicemgr.Key{Tenant: "default", Device: "bob"}
	ctx := context.Background()

	t.Run("a device never seen has no commands without a time to live", func(t *testing.T) {
		if _, _, _, err := n.gateway.Command(ctx, key, gateway.Command{Name: "ping"}); !errors.Is(err, gateway.ErrUnknownDevice) {
			t.Errorf("error is %v", err)
		}
	})
	t.Run("a command with a time to live waits for its device", func(t *testing.T) {
		id, outcome, _, err := n.gateway.Command(ctx, key, gateway.Command{Name: "hello", TTL: time.Minute})
		if err != nil || outcome != gateway.OutcomeLeft {
			t.Fatalf("outcome %v, error %v", outcome, err)
		}
		d := n.connect("bob")
		if m := d.want("command"); m.ID != id || m.Name != "hello" {
			t.Errorf("the device got %+v, not %s", m, id)
		}
		d.ws.CloseNow()
		n.until("bob has left", func() bool { return n.gateway.Stats().Online == 0 })
	})
	t.Run("a connected device replies", func(t *testing.T) {
		d := n.connect("bob")
		go func() {
			m, err := d.read()
			if err == nil {
				_ = d.trySend(message{Type: "reply", ID: m.ID, OK: true, Data: m.Data})
			}
		}()
		_, outcome, reply, err := n.gateway.Command(ctx, key, gateway.Command{Name: "echo", Data: json.RawMessage(`{"x":1}`), Wait: patience})
		if err != nil || outcome != gateway.OutcomeReplied || !reply.OK || string(reply.Data) != `{"x":1}` {
			t.Errorf("outcome %v, reply %+v, error %v", outcome, reply, err)
		}
	})
	t.Run("no reply in time is said", func(t *testing.T) {
		_, outcome, _, err := n.gateway.Command(ctx, key, gateway.Command{Name: "echo", Wait: time.Millisecond})
		if err != nil || outcome != gateway.OutcomeNoReply {
			t.Errorf("outcome %v, error %v", outcome, err)
		}
	})
}

func TestGateway_Broadcast(t *testing.T) {
	t.Parallel()
	n := startNode(t, &memLog{}, gateway.Config{})
	in, out := n.connect("in"), n.connect("out")
	in.send(message{Type: "join", Group: "red"})
	in.telemetry(1)
	in.wantAck(1) // the join was before it
	if _, devices, err := n.gateway.Broadcast("default", "red", "blink", nil); err != nil || devices != 1 {
		t.Errorf("%d devices, error %v", devices, err)
	}
	in.want("command")
	if _, devices, err := n.gateway.Broadcast("", "", "all", nil); err != nil || devices != 2 {
		t.Errorf("%d devices, error %v", devices, err)
	}
	if m := out.want("command"); m.Name != "all" {
		t.Errorf("out got %+v", m)
	}
}

// TestGateway_Silence: who says nothing and answers no ping is evicted; who
// answers stays.
func TestGateway_Silence(t *testing.T) {
	t.Parallel()
	n := startNode(t, &memLog{}, gateway.Config{Heartbeat: 500 * time.Millisecond, IdleTimeout: 6 * time.Second}) // for a machine that stands still
	there := n.connect("there")
	n.connect("frozen") // coder/websocket answers pings only while it reads
	alive := make(chan error, 1)
	go func() { _, err := there.read(); alive <- err }()
	n.until("the silent one is evicted", func() bool { return n.gateway.Stats().Evicted == 1 })
	if s := n.gateway.Devices().Lookup(devicemgr.Key{Tenant: "default", Device: "there"}); s.Link() == nil {
		t.Fatalf("the one that answers was evicted: %v", <-alive)
	}
	there.ws.CloseNow()
	if err := <-alive; err == nil {
		t.Error("it read a message that nobody sent")
	}
}

// TestGateway_Drain: everyone is told to go and when to come back, what they
// sent is in the log, and newcomers are sent elsewhere.
func TestGateway_Drain(t *testing.T) {
	t.Parallel()
	n := startNode(t, &memLog{}, gateway.Config{})
	devices := []*device{n.connect("a"), n.connect("b"), n.connect("c")}
	for _, d := range devices {
		d.telemetry(1)
	}
	done := make(chan error, 1)
	go func() { done <- n.gateway.Drain(context.Background(), 100*time.Millisecond) }()
	for _, d := range devices {
		d.wantClosed(1001)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b", "c"} {
		wantInOrder(t, n.log.of(name), 1)
	}
	if _, err := n.dial("newcomer"); err == nil {
		t.Error("a newcomer was admitted")
	}
}

func TestGateway_Banned(t *testing.T) {
	t.Parallel()
	n := startNode(t, &memLog{}, gateway.Config{})
	n.store.mu.Lock()
	n.store.banned = map[string]string{"eve": "stolen"}
	n.store.mu.Unlock()
	if _, err := n.dial("eve"); err == nil {
		t.Error("a banned device was admitted")
	}
}

// wantInOrder checks that the log holds 1 to total once each, in order.
func wantInOrder(t *testing.T, got []stored, total int) {
	t.Helper()
	if len(got) != total {
		t.Errorf("the log holds %d records, not %d", len(got), total)
		return
	}
	for i, r := range got {
		if r.seq != uint64(i+1) {
			t.Errorf("record %d has sequence %d", i, r.seq)
			return
		}
	}
}

// TestLink_TakenOverOnItsLane: a message still waits on its lane when a newer
// connection takes over. The device sends it again there, and it is stored once,
// under the newer epoch: in the log a device's epoch never goes back.
func TestLink_TakenOverOnItsLane(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	log := &memLog{before: func([]backbone.Record) error { <-gate; return nil }}
	n := startNode(t, log, gateway.Config{Workers: 1})
	old := n.connect("dev")
	old.telemetry(1)
	n.until("the first is with the log", func() bool {
		lanes := n.gateway.Stats().Lanes
		return lanes.Posted == 1 && lanes.Queued == 0
	})
	old.telemetry(2)
	n.until("the second waits on the lane", func() bool { return n.gateway.Stats().Lanes.Queued == 1 })
	newer := n.connect("dev")
	old.wantClosed(4409)
	close(gate)
	newer.telemetry(1)
	newer.telemetry(2)
	newer.wantAck(2)
	got := n.log.of("dev")
	wantInOrder(t, got, 2)
	if len(got) == 2 && (got[0].epoch != old.welcome.Epoch || got[1].epoch != newer.welcome.Epoch) {
		t.Errorf("epochs %d and %d, want %d and %d", got[0].epoch, got[1].epoch, old.welcome.Epoch, newer.welcome.Epoch)
	}
}
