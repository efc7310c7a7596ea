package gateway_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"edgeloop/backbone"
	"edgeloop/gateway"
)

// holdUp blocks whoever comes until it is opened, and says when the first is there.
type holdUp struct {
	once         sync.Once
	reached, end chan struct{}
}

func newHoldUp() *holdUp { return &holdUp{reached: make(chan struct{}), end: make(chan struct{})} }

func (g *holdUp) wait(string) {
	g.once.Do(func() { close(g.reached) })
	<-g.end
}

// TestDrain_WhileConnecting: a drain begins while a device's handshake is being
// decided. The device is sent away like all others, however far it got, and the
// drain does not wait for it in vain.
func TestDrain_WhileConnecting(t *testing.T) {
	t.Parallel()
	t.Run("before it is in the session table: 503", func(t *testing.T) {
		t.Parallel()
		held := newHoldUp()
		n := startNodeOver(t, &memLog{}, &memStore{ask: held.wait}, gateway.Config{})
		status := make(chan int, 1)
		go func() { _, s, _ := n.dialWith("device=late", nil); status <- s }()
		<-held.reached
		if err := n.gateway.Drain(context.Background(), 50*time.Millisecond); err != nil {
			t.Error(err)
		}
		close(held.end)
		if s := <-status; s != 503 {
			t.Errorf("status %d", s)
		}
		n.until("nobody is online", func() bool { return n.gateway.Stats().Online == 0 })
	})
	t.Run("once it is there: 101 and 1001", func(t *testing.T) {
		t.Parallel()
		held := newHoldUp()
		n := startNode(t, &memLog{lastSeq: held.wait}, gateway.Config{})
		dialled := make(chan *device, 1)
		go func() {
			d, _, err := n.dialWith("device=late", nil)
			if err != nil {
				t.Error(err)
			}
			dialled <- d
		}()
		<-held.reached
		drained := make(chan error, 1)
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			drained <- n.gateway.Drain(ctx, 50*time.Millisecond)
		}()
		n.until("it was told to go", func() bool { return n.gateway.Stats().Drain.Closed == 1 })
		close(held.end)
		(<-dialled).wantClosed(1001)
		if err := <-drained; err != nil {
			t.Error(err)
		}
	})
}

// TestDrain_HeldBack: a device is held back when it is sent away, and goes on
// sending before it hears of it. What it sends then is taken in behind what is held
// back: before it, it would be acknowledged over a hole.
func TestDrain_HeldBack(t *testing.T) {
	t.Parallel()
	held := newHoldUp()
	n := startNode(t, &memLog{before: func([]backbone.Record) error { held.wait(""); return nil }},
		gateway.Config{Workers: 1, Lanes: 1, LaneDepth: 1})
	x := n.connect("x")
	x.telemetry(1)
	<-held.reached // the only worker waits with it
	y := n.connect("y")
	y.telemetry(1)
	n.until("the lane is full", func() bool { return n.gateway.Stats().Lanes.Queued == 1 })
	x.telemetry(2)
	n.until("x is held back", func() bool { return n.server.Stats().Paused == 1 })
	drained := make(chan error, 1)
	go func() { drained <- n.gateway.Drain(context.Background(), 50*time.Millisecond) }()
	n.until("x is told to go", func() bool { return n.server.Stats().Paused == 0 })
	close(held.end)
	n.until("the lane is empty", func() bool { return len(n.log.of("y")) == 1 })
	x.telemetry(3)
	y.wantClosed(1001)
	x.wantClosed(1001)
	if err := <-drained; err != nil {
		t.Error(err)
	}
	wantInOrder(t, n.log.of("x"), 3)
	if got := n.gateway.Stats().Drops[gateway.DropClosed]; got != 0 {
		t.Errorf("%d were counted as given up", got)
	}
}

// TestBan_WhileConnecting: a ban that comes between the look at the bans and the
// session table is seen all the same.
func TestBan_WhileConnecting(t *testing.T) {
	t.Parallel()
	store := &memStore{}
	var once sync.Once
	log := &memLog{}
	store.ask = func(device string) {
		once.Do(func() {
			go func() { // as soon as the present look is over
				store.mu.Lock()
				defer store.mu.Unlock()
				store.banned = map[string]string{device: "stolen"}
			}()
		})
	}
	n := startNodeOver(t, log, store, gateway.Config{})
	n.until("it is kept out", func() bool {
		_, status, _ := n.dialWith("device=eve", nil)
		return status == 403
	})
}

// TestClose_LogStands: workers wait for a log that stands still. Close gives up
// in time, the log can be closed while they wait, and then it ends.
func TestClose_LogStands(t *testing.T) {
	t.Parallel()
	held := newHoldUp()
	n := startNode(t, &memLog{before: func([]backbone.Record) error {
		held.wait("")
		return backbone.ErrClosed
	}}, gateway.Config{})
	d := n.connect("waiting")
	d.telemetry(1)
	<-held.reached
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := n.gateway.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error is %v", err)
	}
	close(held.end)
	d.wantClosed(1011)
	if err := n.gateway.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if got := n.log.of("waiting"); len(got) != 0 {
		t.Errorf("the log holds %+v", got)
	}
}
