package bytebuf

import "sync/atomic"

// A Budget bounds what a node holds of messages that are not with the log yet. It
// counts the capacity of the buffers, from the moment they are taken, and it has
// two bounds. At the first (Full) nobody is read from any more, but what one read
// brought is already here. At the second (Over), a quarter above, a connection
// that would take more is closed.
//
// There are three pools because there are three kinds of bytes. What is Moving
// comes back by itself. What is Held goes on when others have. Parts may never
// become whole: they have a share of their own, half of the limit, so that those
// who begin messages and do not end them cannot stop those who do.
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

// NewBudget has onLow called, by whoever gives something back, when little is
// moving any more and Want has asked for it; nil if nobody will ask. It must not
// block.
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

// SetLimit changes the bounds. What is held stays.
func (b *Budget) SetLimit(n int64) { b.limit.Store(n) }

// Used is how many bytes are held.
func (b *Budget) Used() int64 { return b.Moving.Held() + b.Held.Held() + b.Parts.Held() }

// Room is how many bytes are left below the first bound; negative above it.
func (b *Budget) Room() int64 { return b.Limit() - b.Used() }

// Full says whether the first bound is reached.
func (b *Budget) Full() bool { return b.Room() <= 0 }

// Over says whether a buffer of n bytes more would pass the second bound, when
// replaced bytes of what is held are given back for it.
func (b *Budget) Over(n, replaced int) bool {
	limit := b.Limit()
	return b.Used()+int64(sizeFor(n))-int64(replaced) > limit+limit/4
}

// OverParts says whether Parts holds more than its share.
func (b *Budget) OverParts() bool { return b.Parts.Held() > b.Limit()/2 }

// Low says whether so little is moving that those who wait may go on, whatever
// else is held: most of that is what they themselves hold.
func (b *Budget) Low() bool { return b.Moving.Held() <= b.Limit()/4 }

// Want says whether onLow is to be called. Whoever begins to wait looks at Low
// afterwards, so that what came back in between is not missed.
func (b *Budget) Want(yes bool) { b.wanted.Store(yes) }

func (b *Budget) gaveBack() {
	if b.wanted.Load() && b.Low() {
		b.onLow()
	}
}
