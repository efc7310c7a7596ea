package pace

import (
	"context"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"edgeloop/internal/pause"
)

// Signals is what a Pacer sees of its node. Its functions are called from any goroutine, and
// must not block.
type Signals struct {
	// End is the position up to which the log is durable; false: it is not known.
	End func() (uint64, bool)
	// Acks is how many reads of devices were acknowledged so far, how long all of them took
	// together, and whether any wait for it.
	Acks func() (n uint64, took time.Duration, waiting bool)
}

// Pacer has readers that catch up share a node with devices. Any goroutine may use it.
type Pacer struct {
	// Immutable after construction.
	signals Signals

	mu sync.Mutex
	// Guarded by mu.
	control control
	turns   map[string]*Turn // by name, the latest

	// Atomic.
	held atomic.Int64 // nanoseconds that readers waited
}

// New makes one.
func New(s Signals) *Pacer { return &Pacer{signals: s, turns: map[string]*Turn{}} }

// Held is how long readers waited so that devices are served, all of them together; it grows only.
func (p *Pacer) Held() time.Duration { return time.Duration(p.held.Load()) }

// Turn is one reader.
type Turn struct {
	// Immutable after construction.
	pacer *Pacer
	name  string

	// Owned by the goroutine that reads.
	passed uint64 // since it was last asked whether to wait
	yields bool   // it catches up beside devices

	// Guarded by the Pacer's mu.
	away  time.Time // since when it is far behind; zero: it is not
	paced bool
	due   time.Time // of what it reads next
	used  uint64    // records in the present window
	in    time.Time // which window that is
	seen  time.Time
}

// Turn is the reader of a name, until End.
func (p *Pacer) Turn(name string) *Turn {
	t := &Turn{pacer: p, name: name}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turns[name] = t
	return t
}

// End forgets the reader.
func (t *Turn) End() {
	t.pacer.mu.Lock()
	defer t.pacer.mu.Unlock()
	if t.pacer.turns[t.name] == t {
		delete(t.pacer.turns, t.name)
	}
}

// Rate is how many records a second the reader of a name may read now, 0 if it is not held to
// any.
func (p *Pacer) Rate(name string) float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.turns[name]
	if t == nil || !t.paced || time.Since(t.seen) > stale || math.IsInf(p.control.rate, 1) {
		return 0
	}
	return p.control.rate
}

const (
	// stride is how many records pass between two questions whether to wait. breath is how many
	// pass until other goroutines that can run are let through, which otherwise wait until the
	// reader does.
	stride = 250
	breath = 25
	// grace is how long a reader may be far behind before it is held to the rate: one that was held
	// up for a moment is through by then. A reader that lacks more than outright was away.
	grace    = 250 * time.Millisecond
	outright = 100_000
	// credit is how much of the time that a reader did not use it may make up for.
	credit = 50 * time.Millisecond
	// glance is how often one looks whether the rest is over.
	glance = 20 * time.Millisecond
)

// Wait returns when the record of a position may be read, or with the error of ctx. The
// goroutine that reads calls it for each record, in order.
func (t *Turn) Wait(ctx context.Context, position uint64) error {
	t.passed++
	if t.yields && t.passed%breath == 0 {
		runtime.Gosched()
	}
	if t.passed < stride {
		return nil
	}
	n := t.passed
	t.passed = 0
	for {
		wait, again := t.ask(position, n)
		if wait <= 0 {
			return nil
		}
		began := time.Now()
		err := pause.For(ctx, wait)
		t.pacer.held.Add(int64(time.Since(began)))
		if err != nil || !again {
			return err
		}
	}
}

// ask says how long to wait before n records are read, up to a position, and whether to ask
// again then.
func (t *Turn) ask(position, n uint64) (wait time.Duration, again bool) {
	p := t.pacer
	p.mu.Lock()
	defer p.mu.Unlock()
	end, known := p.signals.End() // with the lock held: no reader comes with what was true before another's
	acks, took, waiting := p.signals.Acks()
	now := sample{at: time.Now(), end: end, acks: acks, took: took, waiting: waiting}
	c := &p.control
	if !known {
		return 0, false
	}
	c.grow(now)
	t.seen = now.at
	if t.yields = t.behind(end-min(end, position), now.at); !t.yields {
		return 0, false
	}
	if c.look(now); c.phase != working {
		return glance, true
	}
	if t.in != c.from.at {
		t.in, t.used = c.from.at, 0
	}
	t.used += n
	c.used = max(c.used, t.used)
	if math.IsInf(c.rate, 1) {
		t.due = now.at
		return 0, false
	}
	if oldest := now.at.Add(-credit); t.due.Before(oldest) {
		t.due = oldest
	}
	t.due = t.due.Add(time.Duration(float64(n) / c.rate * float64(time.Second)))
	return t.due.Sub(now.at), false
}

// behind says whether the reader has to catch up.
func (t *Turn) behind(lag uint64, now time.Time) bool {
	c := &t.pacer.control
	switch {
	case lag <= c.near(), !t.paced && lag <= c.far():
		t.away, t.paced = time.Time{}, false
	case t.away.IsZero():
		t.away = now
		t.paced = lag > outright
	case now.Sub(t.away) >= grace:
		t.paced = true
	}
	return t.paced
}
