package crew

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"

	"edgeloop/bench/fault/history"
	"edgeloop/internal/pause"
)

// Device is one recording device: it numbers its messages, keeps at most a window
// of them on their way, resumes from the welcome, sends again, and writes down
// what it did and what it was told.
type Device struct {
	// Immutable after construction.
	name string
	crew *Crew
	rng  *rand.Rand

	// Owned by the device's goroutine.
	next     uint64 // the sequence that is written next on this connection
	lastNew  time.Time
	lastPing time.Time
	dialled  uint64 // what had been acknowledged when it dialled
	left     bool   // the connection before was left behind, open

	// Guarded by mu. A connection left behind by a takeover may be told things too.
	mu       sync.Mutex
	record   history.Record
	commands map[string]int // times that each command came
	stamps   []stamp        // of a metered device: what waits for its acknowledgement
	pinged   time.Time      // and the ping that has no answer yet

	// Atomic.
	online   atomic.Bool
	epoch    atomic.Uint64
	node     atomic.Int32 // the node it speaks to, counted as the URLs are
	acked    atomic.Uint64
	sent     atomic.Uint64
	takeover atomic.Bool // asked to connect again and leave the old socket behind
	current  atomic.Pointer[Wire]
}

// Ends of a connection that the device itself wanted.
var (
	errParked   = errors.New("sent home by the run")
	errTakeover = errors.New("left behind for a newer connection")
	errDeaf     = errors.New("no answer for too long")
)

// run keeps the device connected until ctx ends.
func (d *Device) run(ctx context.Context) {
	bound := d.crew.cfg.Backoff / 8
	for ctx.Err() == nil {
		if d.crew.parked.Load() {
			_ = pause.For(ctx, 20*time.Millisecond)
			continue
		}
		welcomed, err := d.session(ctx)
		d.online.Store(false)
		if ctx.Err() != nil {
			return
		}
		d.note(history.Event{Kind: history.Ended, Note: err.Error()})
		d.crew.count(err, welcomed)
		if d.left = errors.Is(err, errTakeover); d.left {
			continue // at once: the old socket is to be still there
		}
		if welcomed {
			bound = d.crew.cfg.Backoff / 8
		}
		_ = pause.For(ctx, time.Duration(d.rng.Int64N(int64(bound)+1)))
		bound = min(2*bound, d.crew.cfg.Backoff)
	}
}

// choose is the node to connect to: any other than that of a connection that is
// left behind, or any.
func (d *Device) choose() int32 {
	nodes := int32(len(d.crew.cfg.URLs)) //nolint:gosec // a few
	switch {
	case nodes == 1:
		return 0
	case d.left:
		return (d.node.Load() + 1 + d.rng.Int32N(nodes-1)) % nodes
	default:
		return d.rng.Int32N(nodes)
	}
}

// session is one connection, from dialling to its end.
func (d *Device) session(ctx context.Context) (welcomed bool, err error) {
	d.node.Store(d.choose())
	d.dialled = d.acked.Load()
	w, err := Open(ctx, d.crew.dialFrom(d.name), d.crew.cfg.URLs[d.node.Load()]+"?device="+d.name,
		rand.New(rand.NewPCG(d.rng.Uint64(), d.rng.Uint64())), d.crew.token(d.name)) //nolint:gosec // repeatable, not secret
	if err != nil {
		return false, err
	}
	d.current.Store(w)
	defer func() {
		if errors.Is(err, errTakeover) {
			d.crew.leave(ctx, d, w)
			return
		}
		w.Cut()
	}()
	m, err := w.Next(HandshakeLimit)
	if err != nil {
		return false, err
	}
	if m.Type != "welcome" {
		return false, fmt.Errorf("the first message is %q", m.Type)
	}
	d.welcome(m)
	d.online.Store(true)
	return true, d.talk(ctx, w, m.Window)
}

// talk sends and listens until the connection ends.
func (d *Device) talk(ctx context.Context, w *Wire, window int) error {
	cfg := &d.crew.cfg
	window = min(window, cfg.Window)
	heard := time.Now()
	for ctx.Err() == nil {
		if d.crew.parked.Load() {
			return errParked
		}
		if d.takeover.Swap(false) {
			return errTakeover
		}
		if err := d.push(w, window); err != nil {
			return err
		}
		m, err := w.Next(cfg.Tick)
		switch {
		case errors.Is(err, ErrQuiet):
			if d.sent.Load() > d.acked.Load() && time.Since(heard) > cfg.Patience {
				return errDeaf
			}
			continue
		case err != nil:
			return err
		}
		heard = time.Now()
		for d.hear(w, m); w.in.Buffered() > 0; d.hear(w, m) {
			if m, err = w.Next(HandshakeLimit); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// push writes again what the node does not have, and new messages while the run
// asks for them, as far as the window reaches.
func (d *Device) push(w *Wire, window int) error {
	acked, sent := d.acked.Load(), d.sent.Load()
	d.next = max(d.next, acked+1)
	limit := acked + uint64(window) //nolint:gosec // a window is small
	from := d.next
	for d.next <= limit {
		if d.next > sent {
			if !d.mayMake() {
				break
			}
			sent = d.next
			d.stamped(sent)
		}
		w.frame(ws.OpText, d.telemetry(d.next))
		d.next++
	}
	if d.next > from {
		// Written down before it is sent: what is on its way was sent.
		d.sent.Store(sent)
		d.mu.Lock()
		d.record.Sent = sent
		d.mu.Unlock()
		d.note(history.Event{Kind: history.Sent, From: from, To: d.next - 1})
	}
	d.pingNow(w)
	if len(w.Out) == 0 {
		return nil
	}
	return w.Flush()
}

// mayMake says whether a new message is due.
func (d *Device) mayMake() bool {
	if !d.crew.producing.Load() {
		return false
	}
	if d.crew.cfg.Pace == 0 {
		return true
	}
	if now := time.Now(); now.Sub(d.lastNew) >= d.crew.cfg.Pace {
		d.lastNew = now
		return true
	}
	return false
}

// telemetry is the message of a sequence; its data names device and sequence, so
// that bytes that end up elsewhere are noticed.
func (d *Device) telemetry(seq uint64) []byte {
	b := make([]byte, 0, 128+d.crew.cfg.Padding)
	b = strconv.AppendUint(append(b, `{"type":"telemetry","seq":`...), seq, 10)
	b = append(append(append(b, `,"topic":"t","data":{"d":"`...), d.name...), `","n":`...)
	b = strconv.AppendUint(b, seq, 10)
	if d.crew.cfg.Padding > 0 {
		b = append(b, `,"p":"`...)
		for range d.crew.cfg.Padding {
			b = append(b, 'p')
		}
		b = append(b, '"')
	}
	return append(b, "}}"...)
}

// welcome takes the node's word on where the device stands.
func (d *Device) welcome(m Message) {
	d.note(history.Event{Kind: history.Welcomed, From: m.Upto, To: m.Epoch})
	acked := d.acked.Load()
	if len(d.crew.cfg.URLs) > 1 {
		// Another node may have stored and acknowledged more since this one asked the
		// log, over the connection that was left behind.
		acked = d.dialled
	}
	if m.Upto < acked {
		d.broken(history.RolledBack, m.Upto+1, "the welcome says upto=%d, acknowledged was up to %d", m.Upto, acked)
	}
	if epoch := d.epoch.Load(); m.Epoch <= epoch {
		d.broken(history.OldEpoch, 0, "the welcome has epoch %d, the one before had %d", m.Epoch, epoch)
	}
	d.epoch.Store(m.Epoch)
	d.settle(m.Upto, history.Welcomed)
	d.next = m.Upto + 1
	d.mu.Lock()
	d.record.Epoch = m.Epoch
	d.pinged = time.Time{} // if any, it went with the connection
	d.mu.Unlock()
}

// hear takes a message that is not the welcome.
func (d *Device) hear(w *Wire, m Message) {
	switch m.Type {
	case "ack":
		d.settle(m.Upto, history.Acked)
	case "command":
		d.mu.Lock()
		d.commands[m.ID]++
		times := d.commands[m.ID]
		d.mu.Unlock()
		if times > 1 {
			d.broken(history.Command, 0, "command %s came %d times", m.ID, times)
		}
		w.Reply(m.ID)
	case "error":
		d.broken(history.Dropped, m.Seq, "a sound message was refused: %s %s", m.Code, m.Message)
	}
}

// settle takes that everything up to upto is durable.
func (d *Device) settle(upto uint64, how history.EventKind) {
	if sent := d.sent.Load(); upto > sent {
		d.broken(history.Forged, upto, "acknowledged by %s, sent were 1..%d", how, sent)
	}
	if how == history.Acked {
		d.note(history.Event{Kind: history.Acked, To: upto})
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if upto > d.record.Acked {
		d.record.Acked = upto
		d.acked.Store(upto)
		d.answeredLocked(upto)
	}
}

func (d *Device) note(e history.Event) {
	e.At = d.crew.journal.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := len(d.record.Events); n > 0 && e.Kind == history.Sent {
		if last := &d.record.Events[n-1]; last.Kind == history.Sent && last.To+1 == e.From {
			last.To = e.To
			return
		}
	}
	d.record.Events = append(d.record.Events, e)
}

func (d *Device) broken(p history.Promise, seq uint64, format string, args ...any) {
	d.crew.journal.Break(history.Violation{Promise: p, Device: d.name, Seq: seq, Detail: fmt.Sprintf(format, args...)})
}

// Name is the device's name.
func (d *Device) Name() string { return d.name }

// Node is the node that the device speaks to, counted as Config.URLs are. Any
// goroutine.
func (d *Device) Node() int32 { return d.node.Load() }

// SentUpTo is the highest sequence sent. Any goroutine.
func (d *Device) SentUpTo() uint64 { return d.sent.Load() }

// AckedUpTo is the highest sequence acknowledged. Any goroutine.
func (d *Device) AckedUpTo() uint64 { return d.acked.Load() }

// Delivered is how many times a command came. Any goroutine.
func (d *Device) Delivered(id string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.commands[id]
}
