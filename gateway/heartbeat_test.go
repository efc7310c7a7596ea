package gateway_test

import (
	"testing"

	"edgeloop/backbone"
	"edgeloop/gateway"
)

// TestLink_HeartbeatWhileTheLogStands: a heartbeat is answered although the only lane
// waits for the log, also when the messages of the device wait there; it takes no
// place in the window.
func TestLink_HeartbeatWhileTheLogStands(t *testing.T) {
	t.Parallel()
	held := newGate()
	log := &memLog{before: func([]backbone.Record) error { held.wait(""); return nil }}
	n := startNode(t, log, gateway.Config{Window: 4, Lanes: 1, Workers: 1})
	d := n.connect("beating")
	d.telemetry(1)
	<-held.reached
	for range 10 {
		d.send(message{Type: "heartbeat"})
		d.want("heartbeat")
	}
	close(held.end)
	d.wantAck(1)
}
