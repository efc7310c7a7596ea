package store

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// CommandsStored is how many commands the store holds.
func CommandsStored(ctx context.Context, c *Commands) (uint64, error) {
	info, err := c.stream.Info(ctx)
	if err != nil {
		return 0, err
	}
	return info.State.Msgs, nil
}

// Untold is how many stored commands the stream has yet to tell of.
func (c *Commands) Untold() int {
	c.set.mu.RLock()
	defer c.set.mu.RUnlock()
	return len(c.set.untold)
}

// CommandRoom counts the commands of tenants, without a stream.
type CommandRoom struct {
	// Most bytes of all tenants, 0 for no bound; a command has CommandSize.
	Most int64

	s commandSet
}

// CommandSize is what a command of a CommandRoom takes.
var CommandSize = sizeOf(1)

// Store stores a command as number seq, if the tenant has room for it.
func (r *CommandRoom) Store(subject string, seq uint64, quota int64) bool {
	room := r.s.claim(tokenOf(subject), 1, quota, r.Most)
	if room != nil {
		r.s.stored(subject, seq, time.Now().Add(time.Hour).UnixMilli(), room)
	}
	return room != nil
}

// Fail begins to store one, which fails, if the tenant has room for it.
func (r *CommandRoom) Fail(subject string, quota int64) bool {
	room := r.s.claim(tokenOf(subject), 1, quota, r.Most)
	if room != nil {
		room.drop()
	}
	return room != nil
}

// Tell tells of a command.
func (r *CommandRoom) Tell(subject string, seq uint64) {
	r.s.heard(subject, seq, time.Now().Add(time.Hour).UnixMilli(), 1)
}

// Later ends the claims that have stood for so long.
func (r *CommandRoom) Later(d time.Duration) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.s.expireLocked(time.Now().Add(d).UnixMilli())
}

// Take takes one.
func (r *CommandRoom) Take(subject string, seq uint64) { r.s.took(subject, seq, 1) }

// Clear takes all of a device's, up to seq.
func (r *CommandRoom) Clear(subject string, seq uint64) { r.s.cleared(subject, seq) }

// BreakCommands lets so many commands be read from the store, and deleted, and
// has the next such question fail with err, until mend is called.
func BreakCommands(c *Commands, reads, deletes int, err error) (mend func()) {
	whole := c.stream
	c.stream = &failingStream{whole, reads, deletes, err}
	return func() { c.stream = whole }
}

type failingStream struct {
	jetstream.Stream
	reads, deletes int
	err            error
}

func (s *failingStream) GetMsg(ctx context.Context, seq uint64, opts ...jetstream.GetMsgOpt) (*jetstream.RawStreamMsg, error) {
	if s.reads--; s.reads < 0 {
		return nil, s.err
	}
	return s.Stream.GetMsg(ctx, seq, opts...)
}

func (s *failingStream) DeleteMsg(ctx context.Context, seq uint64) error {
	if s.deletes--; s.deletes < 0 {
		return s.err
	}
	return s.Stream.DeleteMsg(ctx, seq)
}

// PresenceQueue is the queue of states to publish, without a publisher.
type PresenceQueue struct{ q *presenceQueue }

// NewPresenceQueue is empty.
func NewPresenceQueue() PresenceQueue { return PresenceQueue{newPresenceQueue()} }

// Push is PublishPresence.
func (q PresenceQueue) Push(p Presence) { q.q.push(p) }

// Take takes all.
func (q PresenceQueue) Take() []Presence { return q.q.take(nil, 100) }

// Settle waits for what is in the queue to be published.
func (q PresenceQueue) Settle(ctx context.Context, patience time.Duration) (left int) {
	return q.q.settle(ctx, patience)
}

// Close ends a Take that waits.
func (q PresenceQueue) Close() { q.q.close() }

// PutBack returns what could not be published.
func (q PresenceQueue) PutBack(ps []Presence) { q.q.putBack(ps) }

// BanSet is a node's copy of the bans.
type BanSet struct{ s banSet }

// Set takes a ban; followed says that it came through the watcher.
func (s *BanSet) Set(n Ban, seq uint64, followed bool) { s.s.set(n, seq, followed) }

// Find finds one, also one that is over.
func (s *BanSet) Find(tenant, device string) (Ban, bool) { return s.s.find(tenant, device) }

// Len counts those that are over, too.
func (s *BanSet) Len() int { return len(s.s.bans) }
