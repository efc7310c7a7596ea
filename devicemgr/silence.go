package devicemgr

import "time"

// Silence is what is done about a device that is not heard of.
type Silence struct {
	// Heartbeat is the silence after which the node pings; 0: never.
	Heartbeat time.Duration
	// Limit is the silence after which the device is evicted; 0: never. It should
	// leave room for an answer after a Heartbeat.
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

// Verdict judges a silence. next is when to judge again if it lasts, from now;
// 0 when there is no need to.
func (p Silence) Verdict(idle time.Duration) (v Verdict, next time.Duration) {
	idle = max(idle, 0)
	if p.Limit > 0 && idle >= p.Limit {
		return Evict, 0
	}
	if p.Heartbeat > 0 {
		next = p.Heartbeat
		if v = Ping; idle < p.Heartbeat {
			v, next = Wait, p.Heartbeat-idle
		}
	}
	if left := p.Limit - idle; p.Limit > 0 && (next == 0 || left < next) {
		next = left
	}
	return v, next
}
