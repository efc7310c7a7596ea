package gateway_test

import (
	"testing"

	"edgeloop/envelope"
	"edgeloop/gateway"
)

// TestJump: one message with a sequence near the end of all sequences would mute its
// device for good. It is refused, and the device goes on; clocks are no such jump.
func TestJump(t *testing.T) {
	t.Parallel()
	log := &memLog{}
	n := startNode(t, log, gateway.Config{})
	refused := func(d *device, seq uint64) {
		t.Helper()
		d.telemetry(seq)
		if m := d.want("error"); m.Code != envelope.CodeSequenceJump || m.Seq != seq {
			t.Errorf("sequence %d: %+v", seq, m)
		}
	}
	d := n.connect("counts")
	refused(d, envelope.MaxSeq)
	d.telemetry(1)
	d.wantAck(1)
	refused(d, envelope.MaxSeq)
	d.telemetry(2)
	d.wantAck(2)

	clock := n.connect("clock") // microseconds since 1970
	clock.telemetry(1_795_838_400_000_000)
	clock.wantAck(1_795_838_400_000_000)
	clock.telemetry(1_895_838_400_000_000) // three years later
	clock.wantAck(1_895_838_400_000_000)

	narrow := startNode(t, &memLog{}, gateway.Config{MaxSequenceJump: 100})
	d = narrow.connect("narrow")
	refused(d, 101)
	d.telemetry(100)
	d.wantAck(100)
	refused(d, 201)
	d.telemetry(200)
	d.wantAck(200)
	if got := log.of("counts"); len(got) != 2 {
		t.Errorf("the log has %+v", got)
	}
}
