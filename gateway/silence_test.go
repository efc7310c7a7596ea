package gateway_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"edgeloop/envelope"
	"edgeloop/gateway"
)

// Limits that are lowered while the node runs hold for who is connected and for
// who comes later, and evict nobody who answers when it is asked.
func TestSilence_LoweredLimitsAskFirst(t *testing.T) {
	t.Parallel()
	const times = 12 // at the old heartbeat that takes more than all patience
	// The first question after that comes at the old heartbeat, beyond the new timeout. Who is
	// asked has five seconds for the answer.
	n := startNode(t, &memLog{}, gateway.Config{Heartbeat: 6 * time.Second, IdleTimeout: 12 * time.Second})
	before := n.pinged("before", times)
	if err := n.gateway.SetLimits(gateway.Limits{Heartbeat: 500 * time.Millisecond, IdleTimeout: 5500 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	after := n.pinged("after", times)
	for who, answered := range map[string]<-chan error{"connected before": before, "connected after": after} {
		select {
		case err := <-answered:
			if err != nil {
				t.Errorf("the one %s, who answers, was sent away: %v", who, err)
			}
		case <-time.After(patience):
			t.Errorf("the one %s was not asked %d times", who, times)
		}
	}
	if got := n.gateway.Stats().Evicted; got != 0 {
		t.Errorf("%d were evicted", got)
	}
	n.connect("mute") // does not read, so it answers no ping
	n.until("the mute one is evicted", func() bool { return n.gateway.Stats().Evicted == 1 })
}

// pinged connects a device that says nothing by itself and answers pings. The
// channel gets nil when it was asked so many times, or why it was sent away.
func (n *node) pinged(name string, times int32) <-chan error {
	n.Helper()
	done := make(chan error, 1)
	var pings atomic.Int32
	reading, cancel := context.WithCancel(context.Background())
	n.Cleanup(cancel)
	conn, _, err := websocket.Dial(reading, fmt.Sprintf("ws://%s/v1/device?device=%s", n.server.Addr(), name), &websocket.DialOptions{
		Subprotocols: []string{envelope.ProtoJSON},
		OnPingReceived: func(context.Context, []byte) bool {
			if pings.Add(1) == times {
				done <- nil
			}
			return true
		},
	})
	if err != nil {
		n.Fatal(err)
	}
	n.Cleanup(func() { conn.CloseNow() })
	go func() {
		for err == nil {
			_, _, err = conn.Read(reading)
		}
		conn.CloseNow() // who does not read answers no ping
		select {
		case done <- err:
		default:
		}
	}()
	return done
}
