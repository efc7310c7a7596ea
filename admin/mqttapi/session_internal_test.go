package mqttapi

import (
	"testing"
	"time"
)

// A session is not over before its Session Expiry Interval has passed since its client left, in
// whatever part of a second that was. [MQTT-3.1.2-23]
func TestSession_NotOverBeforeItsTime(t *testing.T) {
	t.Parallel()
	left := time.Unix(1000, 900_000_000)
	s := session{Expiry: 5, Seen: left.Unix(), Left: true}
	for after, want := range map[time.Duration]bool{
		0: false, 4200 * time.Millisecond: false, 5 * time.Second: false, 6100 * time.Millisecond: true,
	} {
		if got := s.over(left.Add(after), time.Time{}); got != want {
			t.Errorf("%v after its client left: over %v", after, got)
		}
	}
	if s.Expiry = neverExpires; s.over(left.Add(200*365*24*time.Hour), time.Time{}) {
		t.Error("one that never expires is over")
	}
}
