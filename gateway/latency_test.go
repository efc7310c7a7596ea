package gateway_test

import (
	"encoding/json"
	"testing"
	"time"

	"edgeloop/devicemgr"
	"edgeloop/gateway"
	"edgeloop/internal/latency"
	"edgeloop/internal/testkit"
)

func counted(c latency.Counts) (n uint64) {
	for _, class := range c.Counts {
		n += class
	}
	return n
}

// The time to an acknowledgement is that of the log, and counts once it has all of what was
// read; that of a handshake and of a reply is what the device waited, or had others wait.
func TestLatencies(t *testing.T) {
	t.Parallel()
	const slow = 20 * time.Millisecond
	log := newSteppedLog()
	n := startNodeOn(t, log, gateway.Config{})
	d := n.connect("mover")
	d.telemetry(1)
	n.wantTaken(log, 1)
	n.until("the handshake to be counted", func() bool { // behind the 101
		st := n.gateway.Stats()
		return counted(st.HandshakeLatency) == 1 && st.HandshakeLatency.Sum > 0
	})
	if st := n.gateway.Stats(); counted(st.AckLatency) != 0 {
		t.Errorf("before the commit: %+v", st.AckLatency)
	}
	testkit.Delay(slow)
	log.commit(-1)
	d.wantAck(1)
	n.until("the acknowledgement to be counted", func() bool { return counted(n.gateway.Stats().AckLatency) > 0 })
	if st := n.gateway.Stats(); counted(st.AckLatency) != 1 || st.AckLatency.Sum < slow || st.AckLatency.Sum > patience {
		t.Errorf("after it: %+v", st.AckLatency)
	}

	answered := make(chan error, 1)
	go func() {
		_, _, _, err := n.gateway.Command(t.Context(), devicemgr.Key{Tenant: "default", Device: "mover"}, gateway.Command{Name: "x", Wait: patience})
		answered <- err
	}()
	id := d.want("command").ID
	testkit.Delay(slow)
	d.send(message{Type: "reply", ID: id, OK: true, Data: json.RawMessage(`1`)})
	if err := <-answered; err != nil {
		t.Fatal(err)
	}
	n.until("the reply to be counted", func() bool { return counted(n.gateway.Stats().ReplyLatency) > 0 })
	if st := n.gateway.Stats(); counted(st.ReplyLatency) != 1 || st.ReplyLatency.Sum < slow {
		t.Errorf("the reply: %+v", st.ReplyLatency)
	}
}
