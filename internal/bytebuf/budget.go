package bytebuf

import "sync/atomic"

// A Budget bounds the memory of messages that have not reached the log. It counts the capacity of
// buffers from the moment they are taken, and has two bounds. At the first (Full) the node stops
// reading from all connections; what the last read brought is already in memory. At the second
// (Over), a quarter above, a connection that would take more is closed.
//
// There are three pools because there are three kinds of bytes. Moving bytes come back by
// themselves. Held bytes go on when others have gone. Parts may never become complete: they have
// a share of their own, half of the limit, so that peers that never finish their messages cannot
// stop those that do.
type Budget struct {
	// Moving lends for batches of messages on their way to the log.
	Moving Pool
	// Held lends for reads that are kept because their connection is paused.
	Held Pool
	// Parts lends for messages and header blocks that have not arrived in full.
	Parts Pool

	// Immutable after construction.
	onLow func()

	// Atomic.
	limit  atomic.Int64
	wanted atomic.Bool
}

// NewBudget makes a Budget. A goroutine that returns a buffer calls onLow when little is still
// moving and Want has asked for it. onLow must not block; it is nil if Want is never called.
func NewBudget(limit int64, onLow func()) *Budget {
	b := &Budget{onLow: onLow}
	b.limit.Store(limit)
	for _, p := range []*Pool{&b.Moving, &b.Held, &b.Parts} {
		p.budget = b
	}
	return b
}

// Limit is the first bound, in bytes.
func (b *Budget) Limit() int64 { return b.limit.Load() }

// SetLimit changes the bounds. Buffers that are lent stay.
func (b *Budget) SetLimit(n int64) { b.limit.Store(n) }

// Used is how many bytes are held.
func (b *Budget) Used() int64 { return b.Moving.Held() + b.Held.Held() + b.Parts.Held() }

// Room is how many bytes are left below the first bound; negative above it.
func (b *Budget) Room() int64 { return b.Limit() - b.Used() }

// Full reports whether the first bound is reached.
func (b *Budget) Full() bool { return b.Room() <= 0 }

// Over reports whether another buffer of n bytes would exceed the second bound, if replaced bytes
// are returned for it.
func (b *Budget) Over(n, replaced int) bool {
	limit := b.Limit()
	return b.Used()+int64(sizeFor(n))-int64(replaced) > limit+limit/4
}

// OverParts reports whether Parts holds more than its share.
func (b *Budget) OverParts() bool { return b.Parts.Held() > b.Limit()/2 }

// Low reports whether so little is moving that paused connections may go on, whatever else is held:
// most of that is their own.
func (b *Budget) Low() bool { return b.Moving.Held() <= b.Limit()/4 }

// Want says whether to call onLow. A caller that begins to wait checks Low afterwards, so that it
// does not miss what came back in between.
func (b *Budget) Want(yes bool) { b.wanted.Store(yes) }

func (b *Budget) gaveBack() {
	if b.wanted.Load() && b.Low() {
		b.onLow()
	}
}
