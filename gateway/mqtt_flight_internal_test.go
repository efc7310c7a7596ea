package gateway

import (
	"testing"
	"unsafe"
)

// TestMQTT_Size: there is one for each connected client of MQTT; a field more would move it to
// the next size class of the allocator.
func TestMQTT_Size(t *testing.T) {
	if got := unsafe.Sizeof(mqtt{}); got > 112 {
		t.Errorf("what is kept of a connection has %d bytes, 112 are its budget", got)
	}
}

// TestFlight_Identifiers: no two commands on their way have one packet identifier, which is
// never 0. [MQTT-2.2.1-4]
func TestFlight_Identifiers(t *testing.T) {
	var f flight
	for _, at := range []uint64{65_534, 65_535} {
		if !f.begin(at, flightMost) {
			t.Fatalf("no room for %d", at)
		}
	}
	if f.begin(2*65_535, flightMost) {
		t.Error("two have one packet identifier")
	}
	if packetIDAt(65_534) != 65_535 || packetIDAt(65_535) != 1 {
		t.Errorf("%d, %d", packetIDAt(65_534), packetIDAt(65_535))
	}
	if !f.confirm(1) || f.confirm(1) {
		t.Error("what is confirmed twice is so once")
	}
	if !f.begin(2*65_535, flightMost) || f.confirm(1) {
		t.Error("the identifier is not free again, or the link is posted twice")
	}
	if got := f.take(); len(got) != 2 || got[0] != 65_535 || got[1] != 2*65_535 || f.over() {
		t.Errorf("confirmed are %v", got)
	}
}
