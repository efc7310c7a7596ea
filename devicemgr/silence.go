package devicemgr

import "time"

// Silence is what is done about a device that is not heard of: it is asked, and
// evicted when it was given the time to answer and did not. Nobody is evicted
// who was not asked, whatever the values were when its silence began.
type Silence struct {
	// Heartbeat is the silence after which the node pings; 0: half the Limit.
	Heartbeat time.Duration
	// Limit is the silence after which the device is evicted; 0: never. What it is
	// longer than the Heartbeat is the time to answer.
	Limit time.Duration
}

// Verdict is what is to be done about a silence.
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

// Verdict judges a silence. asked is how long ago the device was first pinged in
// it, less than 0 if it was not. next is when to judge again if it lasts, from
// now; 0 when there is no need to.
func (p Silence) Verdict(idle, asked time.Duration) (v Verdict, next time.Duration) {
	heartbeat := p.Heartbeat
	if heartbeat <= 0 {
		heartbeat = p.Limit / 2
	}
	answer := max(p.Limit-heartbeat, heartbeat/2) // also where the values contradict each other
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
