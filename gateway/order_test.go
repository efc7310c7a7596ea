package gateway_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"edgeloop/backbone"
	"edgeloop/gateway"
)

// orderSize is how many devices send how many messages each; EDGELOOP_ORDER=1000
// makes it the full 1,000 × 1,000.
func orderSize(t *testing.T) int {
	t.Helper()
	text, ok := os.LookupEnv("EDGELOOP_ORDER")
	if !ok {
		return 100
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("EDGELOOP_ORDER=%s: %v", text, err)
	}
	return n
}

// TestOrder: many devices send numbered messages over connections that they drop
// at random, each resuming from what the node says is durable; the log takes a
// random time for each call and sometimes refuses. It must end up with each
// device's messages in order, once each, without a hole.
func TestOrder(t *testing.T) {
	t.Parallel()
	size := orderSize(t)
	log := &memLog{before: func([]backbone.Record) error {
		switch n := rand.IntN(400); {
		case n == 0:
			return backbone.ErrClosed
		case n == 1:
			panic("injected")
		case n < 100:
			for range 10 * n { // the random delay is the point
				runtime.Gosched()
			}
		}
		return nil
	}}
	n := startNode(t, log, gateway.Config{Workers: 8, Lanes: 16, LaneDepth: 32, Window: 16})
	var all sync.WaitGroup
	for i := range size {
		all.Add(1)
		go func() {
			defer all.Done()
			if err := sendInOrder(n, fmt.Sprintf("dev-%d", i), uint64(size)); err != nil {
				t.Error(err)
			}
		}()
	}
	all.Wait()
	for i := range size {
		wantInOrder(t, n.log.of(fmt.Sprintf("dev-%d", i)), size)
	}
	st := n.gateway.Stats()
	t.Logf("%d devices × %d messages, %d takeovers, %d duplicates, %d panics, %d not taken by the log", size, size,
		st.Takeovers, st.Drops[gateway.DropDuplicate], st.Panics, st.Drops[gateway.DropStopping])
}

// sendInOrder is a device that sends 1 to total and does not rest before all is
// acknowledged.
func sendInOrder(n *node, name string, total uint64) error {
	deadline := time.Now().Add(10 * patience)
	for durable := uint64(0); durable < total; {
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: only %d of %d were acknowledged", name, durable, total)
		}
		d, err := n.dial(name)
		if err != nil {
			continue // refused or closed on the way: again
		}
		if d.welcome.Upto < durable {
			return fmt.Errorf("%s: welcome says %d, %d was acknowledged before", name, d.welcome.Upto, durable)
		}
		durable = d.run(d.welcome.Upto, total)
		if rand.IntN(2) == 0 {
			d.ws.CloseNow()
		} // else the next connection takes over
	}
	return nil
}

// run sends what follows from, within the window, until all is acknowledged or
// the connection is lost by chance; it returns the highest acknowledged.
func (d *device) run(from, total uint64) (acked uint64) {
	acked = from
	for next := from + 1; acked < total; {
		for next <= total && next <= acked+uint64(d.welcome.Window) {
			if rand.IntN(100) == 0 || d.trySend(message{Type: "telemetry", Seq: next, Data: []byte("0")}) != nil {
				return acked
			}
			next++
		}
		m, err := d.read()
		if err != nil {
			_ = d.ws.Close(websocket.StatusNormalClosure, "")
			return acked
		}
		if m.Type == "ack" {
			acked = max(acked, m.Upto)
		}
	}
	return acked
}
