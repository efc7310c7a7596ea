package bench

import "testing"

// Devices of MQTT 5 are told that the node stops, as those of WebSocket are; those of 3.1.1
// cannot be.
func TestOptions_GoingAway(t *testing.T) {
	for dialect, want := range map[string]int{"raw": 1001, "frame.proto": 1001, "mqtt": 0, "mqtt5": 139} {
		if got := (Options{Dialect: dialect}).goingAway(); got != want {
			t.Errorf("%s: %d, want %d", dialect, got, want)
		}
	}
}
