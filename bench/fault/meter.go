package fault

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// meter takes how long the devices of a crew wait: for the acknowledgement of a
// message, from the moment it is first written, over every reconnect; and for the
// answer to a ping.
type meter struct {
	// Guarded by mu.
	mu    sync.Mutex
	since time.Time // what was sent before it is not counted
	waits [numWaits][]time.Duration
}

// wait is one thing that devices wait for.
type wait int

// What is waited for.
const (
	waitAck  wait = iota // a message, until it is acknowledged
	waitPing             // a ping, until the pong
	waitJoin             // a newcomer, until the welcome
	numWaits
)

func (w wait) String() string { return [numWaits]string{"ack", "ping", "newcomer"}[w] }

// pingEvery is the time between two pings of a metered device.
const pingEvery = 150 * ms

// stamp is when a sequence was first written.
type stamp struct {
	seq uint64
	at  time.Time
}

// restart forgets everything: what is sent from now on is counted.
func (m *meter) restart() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.since = time.Now()
	m.waits = [numWaits][]time.Duration{}
}

// add counts something that was sent at a time and answered now. Any goroutine.
func (m *meter) add(w wait, sent time.Time) {
	took := time.Since(sent)
	m.mu.Lock()
	defer m.mu.Unlock()
	if sent.After(m.since) {
		m.waits[w] = append(m.waits[w], took)
	}
}

// figures is what was counted since restart.
func (m *meter) figures() (f [numWaits]figure) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for w := range m.waits {
		f[w] = figureOf(slices.Clone(m.waits[w]))
	}
	return f
}

// figure is how long many waits took.
type figure struct {
	count         int
	p50, p99, max time.Duration
}

// figureOf sorts waits in place.
func figureOf(waits []time.Duration) figure {
	n := len(waits)
	if n == 0 {
		return figure{}
	}
	slices.Sort(waits)
	return figure{n, waits[n/2], waits[min(n-1, n*99/100)], waits[n-1]}
}

func (f figure) String() string {
	return fmt.Sprintf("%s/%s/%s ms of %d", millis(f.p50), millis(f.p99), millis(f.max), f.count)
}

func millis(d time.Duration) string { return fmt.Sprintf("%.3g", float64(d)/float64(time.Millisecond)) }

// stamped remembers when new messages, up to sent, are written.
func (d *Device) stamped(sent uint64) {
	if d.crew.cfg.meter == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stamps = append(d.stamps, stamp{sent, time.Now()})
}

// answeredLocked counts what waited for an acknowledgement up to upto.
func (d *Device) answeredLocked(upto uint64) {
	for len(d.stamps) > 0 && d.stamps[0].seq <= upto {
		d.crew.cfg.meter.add(waitAck, d.stamps[0].at)
		d.stamps = d.stamps[1:]
	}
}

// pingNow adds a ping to what is written next, if one is due.
func (d *Device) pingNow(w *wire) {
	if d.crew.cfg.meter == nil || time.Since(d.lastPing) < pingEvery {
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
		d.crew.cfg.meter.add(waitPing, d.pinged)
		d.pinged = time.Time{}
	}
}

// waiting counts what still waits as if it were answered now, so that a node that
// answers nothing does not look quick.
func (c *Crew) waiting() {
	for _, d := range c.devices {
		d.mu.Lock()
		for _, s := range d.stamps {
			if time.Since(s.at) > longWait {
				c.cfg.meter.add(waitAck, s.at)
			}
		}
		if !d.pinged.IsZero() && time.Since(d.pinged) > longWait {
			c.cfg.meter.add(waitPing, d.pinged)
		}
		d.mu.Unlock()
	}
}

// longWait is longer than what is on its way at any moment of a good one.
const longWait = 250 * ms
