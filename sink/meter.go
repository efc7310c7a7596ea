package sink

import (
	"math"
	"time"
)

// lately is about the time over which a meter looks back.
const lately = 10 * time.Second

// meter is how many a second there were lately: one counts for less the longer ago it was.
type meter struct {
	rate float64 // at the time at
	at   time.Time
}

func (m *meter) add(n int, now time.Time) {
	m.rate, m.at = m.perSecond(now)+float64(n)/lately.Seconds(), now
}

func (m *meter) perSecond(now time.Time) float64 {
	return m.rate * math.Exp(-now.Sub(m.at).Seconds()/lately.Seconds())
}
