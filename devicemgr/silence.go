package devicemgr

import "time"

// Silence says what happens to a silent device: it is pinged, and evicted if it does not
// answer in time. Unless Unasked is set, no device is evicted without a ping, whatever the
// values were when its silence began.
type Silence struct {
	// Heartbeat is the silence after which the node pings; 0: half the Limit.
	Heartbeat time.Duration
	// Limit is the silence after which the device is evicted; 0: never. The time to
	// answer is Limit minus Heartbeat.
	Limit time.Duration
	// Unasked says that the device cannot be pinged and has to speak by itself: it is
	// evicted at the Limit, and the Heartbeat does not count.
	Unasked bool
}

// Verdict is what to do about a silence.
type Verdict uint8

// The verdicts.
const (
	Wait  Verdict = iota // nothing yet
	Ping                 // ask for a sign of life
	Evict                // close the connection

	numVerdicts
)

// String names the verdict.
func (v Verdict) String() string {
	names := [numVerdicts]string{"wait", "ping", "evict"}
	if v >= numVerdicts {
		return "unknown"
	}
	return names[v]
}

// Verdict judges a silence. asked is how long ago the device was first pinged in it, negative
// if it was not. next is the time from now at which to judge again if the silence lasts;
// 0: no need to.
func (p Silence) Verdict(idle, asked time.Duration) (v Verdict, next time.Duration) {
	if p.Unasked {
		return p.unasked(idle)
	}
	heartbeat := p.Heartbeat
	if heartbeat <= 0 {
		heartbeat = p.Limit / 2
	}
	answer := max(p.Limit-heartbeat, heartbeat/2) // even if the values contradict each other
	switch {
	case heartbeat == 0:
		return Wait, 0
	case p.Limit > 0 && asked >= answer:
		return Evict, 0
	case idle < heartbeat:
		return Wait, heartbeat - max(idle, 0)
	case p.Limit > 0:
		return Ping, min(heartbeat, answer-max(asked, 0))
	}
	return Ping, heartbeat
}

// unasked judges the silence of a device that is not pinged.
func (p Silence) unasked(idle time.Duration) (v Verdict, next time.Duration) {
	switch {
	case p.Limit == 0:
		return Wait, 0
	case idle >= p.Limit:
		return Evict, 0
	}
	return Wait, p.Limit - max(idle, 0)
}
