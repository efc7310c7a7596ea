package devicemgr

import "time"

// A Verdict says what to do about a device that is quiet.
type Verdict uint8

// The verdicts.
const (
	Wait  Verdict = iota // it is not quiet for long enough
	Ping                 // ask whether it is there
	Evict                // it is not
	numVerdicts
)

// String is the verdict in a word.
func (v Verdict) String() string {
	if v >= numVerdicts {
		return "unknown"
	}
	return [numVerdicts]string{"wait", "ping", "evict"}[v]
}

// Silence is what silence means: after Heartbeat a device is pinged, after Limit
// it is evicted.
type Silence struct {
	Heartbeat, Limit time.Duration
}

// Verdict judges a device that was quiet for idle. next is after how much more
// silence to ask again.
func (p Silence) Verdict(idle time.Duration) (v Verdict, next time.Duration) {
	switch {
	case idle >= p.Limit:
		return Evict, 0
	case idle >= p.Heartbeat:
		return Ping, min(p.Heartbeat, p.Limit-idle)
	}
	return Wait, p.Heartbeat - idle
}
