package store

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"edgeloop/backbone/names"
	"edgeloop/backbone/servers"
	"edgeloop/internal/pause"
)

// Presence says whether a device is here. A newer connection has a higher epoch, unless a
// clock was set back; within one epoch, offline follows online. What was published last
// counts.
type Presence struct {
	Tenant string    `json:"tenant"`
	Device string    `json:"device"`
	Epoch  uint64    `json:"epoch"`
	Online bool      `json:"online"`
	Node   string    `json:"node"`
	At     time.Time `json:"at"`
	Cause  string    `json:"cause,omitempty"` // why it went
}

// presenceStream keeps the last state of each device.
func presenceStream(bytes int64) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:              names.StreamPresence,
		Description:       "the last state of each device",
		Subjects:          []string{names.Presence + ">"},
		Storage:           jetstream.FileStorage,
		MaxMsgsPerSubject: 1,
		MaxBytes:          bytes,
		Discard:           jetstream.DiscardOld,
		AllowDirect:       true,
	}
}

// Presences tells which devices are here, on all nodes. Its methods may be called from any
// goroutine.
type Presences struct {
	// Immutable after construction.
	srv    *servers.Servers
	node   string
	stream jetstream.Stream
	tell   func(*nats.Msg) error // publishes a state without asking for an answer
	log    *zap.Logger

	// With a lock of its own.
	queue *presenceQueue
}

// PresenceConfig is the configuration of Presences.
type PresenceConfig struct {
	Node   string
	Bytes  int64 // of the kept last states, on disk
	Logger *zap.Logger
	// Tell lets tests come between the publisher and the server; nil: they do not.
	Tell func(m *nats.Msg, next func(*nats.Msg) error) error
}

// OpenPresences makes the stream and begins to publish.
func OpenPresences(ctx context.Context, srv *servers.Servers, cfg PresenceConfig) (*Presences, error) {
	p := &Presences{srv: srv, node: cfg.Node, log: cfg.Logger, queue: newPresenceQueue(), tell: srv.Asker.NC.PublishMsg}
	if cfg.Tell != nil {
		p.tell = func(m *nats.Msg) error { return cfg.Tell(m, srv.Asker.NC.PublishMsg) }
	}
	var err error
	if p.stream, err = srv.Ensure(ctx, servers.Want{Stream: presenceStream(cfg.Bytes)}); err != nil {
		return nil, err
	}
	srv.Go(p.publish)
	return p, nil
}

// Publish stores the state of a device and tells the other nodes. It never blocks; the state
// is published soon after. A newer state of the same device replaces one that waits, so
// the final one is published however many come at once. An empty Node is filled in. The
// state that arrives last, from whichever node, is the one that is kept: see Watch.
func (p *Presences) Publish(state Presence) {
	if state.Node == "" {
		state.Node = p.node
	}
	p.queue.push(state)
}

// Watch calls fn with the last state of every device and then with each change, those of this
// node included, until ctx ends, in the order in which they arrived. That need not be the
// order in which they happened: an old state may arrive after a newer one and is then the
// one that is kept, until a node that knows better publishes the newer one again
// (docs/decisions/0014). fn may see a state twice.
func (p *Presences) Watch(ctx context.Context, fn func(Presence)) error {
	return p.Follow(ctx, fn, nil)
}

// Follow is Watch; it also calls current, if there is one, whenever fn has seen the last state
// of every device.
func (p *Presences) Follow(ctx context.Context, fn func(Presence), current func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	closing := p.srv.Context()
	defer context.AfterFunc(closing, cancel)()
	p.srv.Watch(ctx, &servers.Watcher{
		Stream: names.StreamPresence,
		Config: jetstream.ConsumerConfig{DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy, FilterSubject: names.Presence + ">"},
		Each: func(m *servers.Delivery) {
			var state Presence
			if err := json.Unmarshal(m.Data, &state); err == nil {
				fn(state)
			}
		},
		CaughtUp: current,
	})
	if closing.Err() != nil {
		return servers.ErrClosed
	}
	return ctx.Err()
}

// Epoch returns the epoch of the state that is kept of a device, 0 if there is none.
func (p *Presences) Epoch(ctx context.Context, tenant, device string) (uint64, error) {
	m, err := p.stream.GetLastMsgForSubject(ctx, string(names.AppendSubject(nil, names.Presence, tenant, device)))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	var state Presence
	if err := json.Unmarshal(m.Data, &state); err != nil {
		return 0, err
	}
	return state.Epoch, nil
}

// Settle waits until all states are published, as long as publishing makes progress and at
// most until ctx ends. What is left then, this node puts right when it starts again.
func (p *Presences) Settle(ctx context.Context) {
	if left := p.queue.settle(ctx, p.srv.Patience()); left > 0 {
		p.log.Warn("closing before presence was published", zap.Int("devices", left))
	}
}

// Close ends the publisher.
func (p *Presences) Close() { p.queue.close() }

// Stats returns how many devices have a state that is not published yet, and how many states
// were given up because the queue was full.
func (p *Presences) Stats() (queued int, dropped uint64) { return p.queue.stats() }

// presenceQueue holds the states to publish, the newest of each device, in the order in
// which the devices came.
type presenceQueue struct {
	mu sync.Mutex
	// Guarded by mu.
	work    sync.Cond // there is something to take, or closed
	idle    sync.Cond // nothing waits or is under way, or a waiter gives up
	states  map[deviceKey]Presence
	order   []deviceKey // keys of states, each once
	under   int         // states taken and not yet known to be published
	dropped uint64
	closed  bool
}

type deviceKey struct{ tenant, device string }

// maxPresenceQueue bounds the devices in the queue: twice as many as the connections that a
// node is built for.
const maxPresenceQueue = 1 << 21

func newPresenceQueue() *presenceQueue {
	q := &presenceQueue{states: make(map[deviceKey]Presence)}
	q.work.L, q.idle.L = &q.mu, &q.mu
	return q
}

func (q *presenceQueue) push(p Presence) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pushLocked(p, true)
	q.work.Signal()
}

// pushLocked takes p unless a newer state waits. newest says that p is newer
// than a waiting one of the same epoch.
func (q *presenceQueue) pushLocked(p Presence, newest bool) {
	k := deviceKey{p.Tenant, p.Device}
	if old, ok := q.states[k]; ok {
		if p.Epoch > old.Epoch || p.Epoch == old.Epoch && newest {
			q.states[k] = p
		}
		return
	}
	if q.closed || len(q.states) >= maxPresenceQueue {
		q.dropped++
		return
	}
	q.states[k] = p
	q.order = append(q.order, k)
}

// take moves up to limit states into dst and waits for the first. The states taken before
// must be published or put back. It returns nothing when the queue is closed.
func (q *presenceQueue) take(dst []Presence, limit int) []Presence {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.under = 0
	for len(q.order) == 0 && !q.closed {
		q.idle.Broadcast()
		q.work.Wait()
	}
	if q.closed {
		return nil
	}
	n := min(limit, len(q.order))
	q.under = n
	for _, k := range q.order[:n] {
		dst = append(dst, q.states[k])
		delete(q.states, k)
	}
	clear(q.order[:n])
	if q.order = q.order[n:]; len(q.order) == 0 {
		q.order = nil
		if len(q.states) == 0 {
			q.states = make(map[deviceKey]Presence) // a storm's size is not kept
		}
	}
	return dst
}

// putBack returns states that were not published to the queue; a newer one that waits stays.
func (q *presenceQueue) putBack(ps []Presence) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range ps {
		q.pushLocked(ps[i], false)
	}
	q.under = 0
}

// settle waits until all states are published, at most until ctx ends or none was published
// within patience. It returns how many are left.
func (q *presenceQueue) settle(ctx context.Context, patience time.Duration) (left int) {
	for before, _ := q.stats(); ; before = left {
		within, cancel := context.WithTimeout(ctx, patience)
		left = q.settleOnce(within)
		cancel()
		if left == 0 || left >= before || ctx.Err() != nil {
			return left
		}
	}
}

// settleOnce waits until all states are published or ctx ends.
func (q *presenceQueue) settleOnce(ctx context.Context) (left int) {
	defer context.AfterFunc(ctx, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.idle.Broadcast()
	})()
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.order)+q.under > 0 && ctx.Err() == nil {
		q.idle.Wait()
	}
	return len(q.order) + q.under
}

func (q *presenceQueue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.work.Broadcast()
}

func (q *presenceQueue) stats() (queued int, dropped uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.order) + q.under, q.dropped
}

// presenceBatch is how many states are published at once.
const presenceBatch = 500

// publish is the presence publisher. To publish a state twice does no harm, so an unclear
// outcome counts as a failure.
func (p *Presences) publish() {
	var states []Presence
	for failures := 0; ; {
		if states = p.queue.take(states[:0], presenceBatch); len(states) == 0 {
			return
		}
		err := p.srv.Writable()
		if err == nil {
			err = p.publishStates(states)
			p.srv.NoteAnswer(err)
		}
		if err == nil {
			failures = 0
			continue
		}
		if failures == 0 {
			p.log.Warn("cannot publish presence", zap.Error(err))
		}
		p.queue.putBack(states)
		if pause.For(p.srv.Context(), servers.RetryDelay(failures)) != nil {
			return
		}
		failures++
	}
}

// publishStates publishes states and waits until the last of them is stored. The server takes
// them in the order in which they were sent, so its one answer covers all that were sent on
// the same connection, except for the failure of a single one; the device's next state
// makes up for one that is lost this way.
func (p *Presences) publishStates(states []Presence) error {
	ctx, cancel := context.WithTimeout(p.srv.Context(), p.srv.Patience())
	defer cancel()
	connection := p.srv.Asker.NC.Stats().Reconnects
	for i := range states {
		state := &states[i]
		line, err := json.Marshal(state)
		if err != nil {
			return err
		}
		subject := string(names.AppendSubject(nil, names.Presence, state.Tenant, state.Device))
		if i < len(states)-1 {
			err = p.tell(&nats.Msg{Subject: subject, Data: line})
		} else {
			_, err = p.srv.Asker.JS.Publish(ctx, subject, line)
		}
		if err != nil {
			return err
		}
	}
	if p.srv.Asker.NC.Stats().Reconnects != connection {
		return servers.ErrDisconnected // the first of them may have gone down with the old one
	}
	return nil
}
