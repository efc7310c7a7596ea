package e2e_test

import (
	"testing"
	"time"
)

// A device that says nothing is pinged after the heartbeat, and evicted with
// 4408 at the limit, within one tick of the wheel.
func TestSilence_TheSilentIsEvicted(t *testing.T) {
	t.Parallel()
	n := start(t, "--heartbeat=1s", "--idle-timeout=8s") // between both the node may stand still for seconds
	began := time.Now()                                  // it is silent soon after
	d := dialRaw(t, n, "silent")                         // reads pings and answers none
	pings := 0
	for {
		first, payload, err := d.hear()
		if err != nil {
			t.Fatalf("after %s and %d pings: %v", time.Since(began), pings, err)
		}
		if first == fin|opPing {
			pings++
			continue
		}
		if first != fin|opClose || string(payload[:2]) != "\x11\x38" {
			t.Fatalf("the node sent %#x %q, want close 4408", first, payload)
		}
		break
	}
	// 8 s, a tick, and what a loaded machine adds.
	if took := time.Since(began); took < 7500*time.Millisecond || took > time.Minute {
		t.Errorf("evicted after %s, want about 8 s", took)
	}
	if pings == 0 {
		t.Error("evicted without a single ping")
	}
	d.wantHangup()
	n.stop()
}

// A device that only answers pings, as every client library does by itself,
// stays; and so does one that sends heartbeats.
func TestSilence_WhoAnswersStays(t *testing.T) {
	t.Parallel()
	n := start(t, "--heartbeat=1s", "--idle-timeout=15s")
	d, _ := startClient(t, "node").connect(n, "quiet")
	for range 17 { // longer than the limit
		d.want("pinged")
	}
	d.send(message{"type": "telemetry", "seq": 1, "data": 0})
	d.wantAck(1)
	n.stop()
}
