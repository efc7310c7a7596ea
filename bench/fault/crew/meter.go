package crew

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// Meter takes how long the devices of a crew wait: for the acknowledgement of a
// message, from the moment it is first written, over every reconnect; and for the
// answer to a ping.
type Meter struct {
	// Guarded by mu.
	mu    sync.Mutex
	since time.Time // what was sent before it is not counted
	waits [NumWaits][]time.Duration
}

// Wait is one thing that devices wait for.
type Wait int

// What is waited for.
const (
	WaitAck  Wait = iota // a message, until it is acknowledged
	WaitPing             // a ping, until the pong
	WaitJoin             // a newcomer, until the welcome
	NumWaits
)

// String names the wait.
func (w Wait) String() string { return [NumWaits]string{"ack", "ping", "newcomer"}[w] }

// pingEvery is the time between two pings of a metered device.
const pingEvery = 150 * time.Millisecond

// stamp is when a sequence was first written.
type stamp struct {
	seq uint64
	at  time.Time
}

// Restart forgets everything: what is sent from now on is counted.
func (m *Meter) Restart() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.since = time.Now()
	m.waits = [NumWaits][]time.Duration{}
}

// add counts something that was sent at a time and answered now. Any goroutine.
func (m *Meter) add(w Wait, sent time.Time) {
	took := time.Since(sent)
	m.mu.Lock()
	defer m.mu.Unlock()
	if sent.After(m.since) {
		m.waits[w] = append(m.waits[w], took)
	}
}

// Figures is what was counted since restart.
func (m *Meter) Figures() (f [NumWaits]Figure) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for w := range m.waits {
		f[w] = FigureOf(slices.Clone(m.waits[w]))
	}
	return f
}

// Figure is how long many waits took.
type Figure struct {
	Count         int
	P50, P99, Max time.Duration
}

// FigureOf sorts waits in place.
func FigureOf(waits []time.Duration) Figure {
	n := len(waits)
	if n == 0 {
		return Figure{}
	}
	slices.Sort(waits)
	return Figure{n, waits[n/2], waits[min(n-1, n*99/100)], waits[n-1]}
}

// String is the middle, the ninety-ninth of a hundred and the slowest, in ms.
func (f Figure) String() string {
	return fmt.Sprintf("%s/%s/%s ms of %d", Millis(f.P50), Millis(f.P99), Millis(f.Max), f.Count)
}

// Millis is d in milliseconds, to three digits.
func Millis(d time.Duration) string { return fmt.Sprintf("%.3g", float64(d)/float64(time.Millisecond)) }

// stamped remembers when new messages, up to sent, are written.
func (d *Device) stamped(sent uint64) {
	if d.crew.cfg.Meter == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stamps = append(d.stamps, stamp{sent, time.Now()})
}

// answeredLocked counts what waited for an acknowledgement up to upto.
func (d *Device) answeredLocked(upto uint64) {
	for len(d.stamps) > 0 && d.stamps[0].seq <= upto {
		d.crew.cfg.Meter.add(WaitAck, d.stamps[0].at)
		d.stamps = d.stamps[1:]
	}
}

// pingNow adds a ping to what is written next, if one is due.
func (d *Device) pingNow(w *Wire) {
	if d.crew.cfg.Meter == nil || time.Since(d.lastPing) < pingEvery {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.pinged.IsZero() {
		d.lastPing = time.Now()
		d.pinged = d.lastPing
		w.pong = d.ponged
		w.ping()
	}
}

// ponged counts the answer to a ping.
func (d *Device) ponged() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.pinged.IsZero() {
		d.crew.cfg.Meter.add(WaitPing, d.pinged)
		d.pinged = time.Time{}
	}
}

// CountUnanswered counts what still waits as if it were answered now, so that a node that
// answers nothing does not look quick.
func (c *Crew) CountUnanswered() {
	for _, d := range c.devices {
		d.mu.Lock()
		for _, s := range d.stamps {
			if time.Since(s.at) > longWait {
				c.cfg.Meter.add(WaitAck, s.at)
			}
		}
		if !d.pinged.IsZero() && time.Since(d.pinged) > longWait {
			c.cfg.Meter.add(WaitPing, d.pinged)
		}
		d.mu.Unlock()
	}
}

// longWait is longer than what is on its way at any moment of a good one.
const longWait = 250 * time.Millisecond
