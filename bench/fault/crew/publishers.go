package crew

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"edgeloop/bench/fault/history"
)

// Publishers are devices that speak MQTT, half of them with QoS 1, half with QoS 2, each half
// with both versions. Their names begin with history.Hostile, because they keep no record of
// events; Line holds the log against what they know.
type Publishers struct {
	// Immutable after construction.
	at       string // the node's address for MQTT
	patience time.Duration
	journal  *history.Journal
	all      []*publisher
	stop     context.CancelFunc
	wg       sync.WaitGroup

	// Owned by who reads the log back.
	logged map[string]uint64 // the highest number of a device so far

	// Guarded by mu.
	mu        sync.Mutex
	commands  map[string]int  // by device and name: how often it came
	confirmed map[string]bool // likewise: its device has confirmed it

	// Atomic.
	producing atomic.Bool
	left      atomic.Int64 // connections left behind by a takeover that are still open
	doubles   atomic.Int64 // commands that came again
}

// StartPublishers has count devices connect to at and stream.
func StartPublishers(ctx context.Context, at string, count int, patience time.Duration, seed uint64, j *history.Journal) *Publishers {
	ctx, cancel := context.WithCancel(ctx)
	ps := &Publishers{at: at, patience: patience, journal: j, stop: cancel, logged: map[string]uint64{}, commands: map[string]int{}, confirmed: map[string]bool{}}
	ps.producing.Store(true)
	for i := range count {
		p := &publisher{
			of: ps, qos: byte(1 + i%2), v5: i%4 > 1,
			rng: rand.New(rand.NewPCG(seed, uint64(i)+1<<32)), //nolint:gosec // repeatable, not secret
		}
		p.name = fmt.Sprintf("%sq%d-%04d", history.Hostile, p.qos, i)
		ps.all = append(ps.all, p)
		ps.wg.Go(func() { p.run(ctx) })
	}
	return ps
}

// Stop disconnects all and waits for them.
func (ps *Publishers) Stop() {
	ps.stop()
	for _, p := range ps.all {
		if l := p.current.Load(); l != nil {
			l.conn.Close()
		}
	}
	ps.wg.Wait()
}

// Produce says whether they make new messages. Any goroutine.
func (ps *Publishers) Produce(on bool) { ps.producing.Store(on) }

// TakeOver has each connect a second time while its first connection is still open.
func (ps *Publishers) TakeOver() {
	for _, p := range ps.all {
		p.takeover.Store(p.online.Load())
	}
}

// leave watches a connection that was left behind: the node has to end it.
func (ps *Publishers) leave(ctx context.Context, p *publisher, l *link) {
	ps.left.Add(1)
	ps.wg.Go(func() { // called by a goroutine that Stop waits for
		defer ps.left.Add(-1)
		defer l.conn.Close()
		for deadline := time.Now().Add(oldLimit); ctx.Err() == nil && time.Now().Before(deadline); {
			if _, _, err := l.next(100 * time.Millisecond); err != nil && !errors.Is(err, ErrQuiet) {
				return
			}
		}
		if ctx.Err() == nil {
			p.broken(history.TwoLives, 0, "the connection that was taken over is open %s later", oldLimit)
		}
	})
}

// Names are those of the devices.
func (ps *Publishers) Names() (names []string) {
	for _, p := range ps.all {
		names = append(names, p.name)
	}
	return names
}

// Online is how many are connected.
func (ps *Publishers) Online() (n int) {
	for _, p := range ps.all {
		if p.online.Load() {
			n++
		}
	}
	return n
}

// Settled reports whether nothing is on its way, and no old connection is open.
func (ps *Publishers) Settled() bool {
	for _, p := range ps.all {
		if !p.idle.Load() || !p.online.Load() {
			return false
		}
	}
	return ps.left.Load() == 0
}

// Totals are the sums over all devices. Any goroutine.
func (ps *Publishers) Totals() (sent, acked uint64) {
	for _, p := range ps.all {
		acked += p.acked.Load()
		sent += p.sent.Load()
	}
	return sent, acked
}

// came notes a command. One that came before has to say so.
func (ps *Publishers) came(p *publisher, name string, again, confirms bool) {
	key := p.name + " " + name
	ps.mu.Lock()
	ps.commands[key]++
	times := ps.commands[key]
	ps.confirmed[key] = ps.confirmed[key] || confirms
	ps.mu.Unlock()
	if times == 1 {
		return
	}
	ps.doubles.Add(1)
	if !again {
		p.broken(history.Command, 0, "command %s came %d times, and not as one that may have", name, times)
	}
}

// Confirmed reports whether a command has come to its device, which has confirmed it.
func (ps *Publishers) Confirmed(device, name string) bool {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	return ps.confirmed[device+" "+name]
}

// Doubles is how many commands came again.
func (ps *Publishers) Doubles() int64 { return ps.doubles.Load() }

// Line holds the next line of the log against what its device has sent; line is borrowed until
// return. A message of QoS 2 is there once; one of QoS 1 may be there again, behind what was sent
// before it.
func (ps *Publishers) Line(line []byte) error {
	var e history.Entry
	if err := json.Unmarshal(line, &e); err != nil {
		return fmt.Errorf("a line of the log, %.200q: %w", line, err)
	}
	if !strings.HasPrefix(e.Device, history.Hostile+"q") {
		return nil
	}
	last, n := ps.logged[e.Device], e.Data.Seq
	broken := func(p history.Promise, format string, args ...any) {
		ps.journal.Break(history.Violation{Promise: p, Device: e.Device, Seq: n, Detail: fmt.Sprintf(format, args...)})
	}
	switch {
	case e.Data.Device != e.Device || n == 0:
		broken(history.Forged, "has the data of %s", e.Data.Device)
	case n > last+1:
		broken(history.Hole, "is in the log behind %d", last)
	case n <= last && strings.HasPrefix(e.Device, history.Hostile+"q2"):
		broken(history.Doubled, "is in the log again, which was at %d", last)
	}
	ps.logged[e.Device] = max(last, n)
	return nil
}

// Finish is called once the log has been read.
func (ps *Publishers) Finish() {
	for _, p := range ps.all {
		if last, acked := ps.logged[p.name], p.acked.Load(); last < acked {
			p.broken(history.Lost, last+1, "is not in the log, which ends at %d; acknowledged is up to %d", last, acked)
		} else if sent := p.sent.Load(); last > sent {
			p.broken(history.Forged, last, "is in the log, sent were 1..%d", sent)
		}
	}
}
