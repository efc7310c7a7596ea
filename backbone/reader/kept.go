package reader

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"

	"go.uber.org/zap"

	"edgeloop/backbone/store"
)

// Start says where a reader with a new name begins.
type Start uint8

const (
	// Oldest begins with the oldest record in the log.
	Oldest Start = iota
	// Newest begins with the next record that is appended.
	Newest
)

// Entry is one record as a named reader gets it.
type Entry struct {
	Position uint64
	Line     []byte // as stored, without a line break; borrowed until the callback returns
	// Missed is how many records just before this one the reader did not get, because
	// retention took them first.
	Missed uint64
}

// Kept is a reader with a name, whose place in the log survives restarts. After a restart it
// gives the records behind its place again, so its user moves the place only when it is
// done with a record. It delivers at least once, in order.
//
// A name belongs to the reader that opened it last: Keep of an older one, here or on
// another node, returns store.ErrTaken.
type Kept struct {
	// Immutable after construction.
	name   string
	src    *Source
	places *store.Places

	mu sync.Mutex
	// Guarded by mu.
	place    store.Place
	revision uint64 // of place
	given    uint64 // the highest position that Read has given
	gaps     []gap  // behind the place, in order
}

// gap is what retention took before a record was given.
type gap struct{ before, missed uint64 }

// maxGaps bounds the gaps that are remembered between two calls of Keep; further ones are
// added to the last of them.
const maxGaps = 1024

var errNotGiven = errors.New("backbone: a place beyond what was read")

// Open returns the reader of a name, at its place. A new name begins at start. It returns a
// *PositionError if the place is of another log or beyond the end of this one; then it has
// changed nothing, and store.Places.Forget lets the name begin anew.
func Open(ctx context.Context, src *Source, places *store.Places, name string, start Start) (*Kept, error) {
	k := &Kept{name: name, src: src, places: places}
	is, err := src.look(ctx)
	if err != nil {
		return nil, fmt.Errorf("open reader %q: %w", name, src.Servers.OrClosed(err))
	}
	if k.place, k.revision, err = places.Get(ctx, name); err != nil {
		return nil, err
	}
	if k.revision == 0 {
		k.place = is.edge(start)
	} else {
		err = k.fitsLocked(&is)
	}
	if err != nil {
		return nil, fmt.Errorf("open reader %q: %w", name, err)
	}
	k.place.By, k.given = rand.Text(), k.place.Position
	k.revision, err = places.Put(ctx, name, k.place, k.revision)
	return k, err
}

// fitsLocked returns a *PositionError unless the place lies within this log.
func (k *Kept) fitsLocked(is *State) error {
	switch at := &k.place; {
	case at.Log != is.Identity:
		return &PositionError{After: at.Position, Log: at.Log, Is: is.Identity}
	case at.Position > is.Last:
		return &PositionError{After: at.Position, End: is.Last}
	}
	return nil
}

// Place returns the position up to which the reader is done.
func (k *Kept) Place() store.Place {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.place
}

// Read calls fn with every record behind the place, in the order of the log, and goes on
// with new ones until ctx ends or fn fails; it returns the error of fn. It gives no record
// before it is durable. It does not move the place; Keep does, called by fn or by another
// goroutine. Only one Read may run at a time. It returns a *PositionError if the log was
// made anew.
func (k *Kept) Read(ctx context.Context, fn func(Entry) error) error {
	ctx, cancel := k.src.within(ctx)
	defer cancel()
	k.mu.Lock()
	r := run{src: k.src, o: Options{After: k.place.Position, Follow: true}, check: k.check}
	k.gaps = nil
	k.mu.Unlock()
	missed := uint64(0) // before the record at hand
	r.skipped = func(ctx context.Context, position uint64) (err error) {
		missed, err = k.taken(ctx, r.o.After, position)
		return err
	}
	r.fn = func(position uint64, line []byte) error {
		e := Entry{Position: position, Line: line, Missed: missed}
		missed = 0
		k.note(&e)
		return fn(e)
	}
	return r.toTheEnd(ctx)
}

// check returns a *PositionError if the place is no longer one of this log.
func (k *Kept) check(ctx context.Context) error {
	is, err := k.src.look(ctx)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.fitsLocked(&is)
}

// taken returns how many of the positions between after and position retention has taken.
// The others, if any, held no record of a device: they are marks of a shared log, or
// damaged.
func (k *Kept) taken(ctx context.Context, after, position uint64) (uint64, error) {
	is, err := k.src.Look(ctx)
	if err != nil {
		return 0, err
	}
	first := min(is.First, position)
	if first <= after+1 {
		return 0, nil
	}
	missed := first - after - 1
	k.src.Logger.Warn("a reader of the log was overtaken: retention took records that it had not read",
		zap.String("reader", k.name), zap.Uint64("records", missed), zap.Uint64("after", after))
	return missed, nil
}

func (k *Kept) note(e *Entry) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.given = max(k.given, e.Position)
	switch n := len(k.gaps); {
	case e.Missed == 0:
	case n < maxGaps:
		k.gaps = append(k.gaps, gap{e.Position, e.Missed})
	default:
		k.gaps[n-1] = gap{e.Position, k.gaps[n-1].missed + e.Missed}
	}
}

// Keep moves the place to a position that Read has given; the reader is done with all
// records up to there. The place is durable when Keep returns nil. Only one Keep may run at
// a time. It returns store.ErrTaken if another reader of this name was opened since; then
// this one must end.
func (k *Kept) Keep(ctx context.Context, position uint64) error {
	k.mu.Lock()
	next, revision, given := k.place, k.revision, k.given
	missed, passed := uint64(0), 0
	for passed < len(k.gaps) && k.gaps[passed].before <= position {
		missed += k.gaps[passed].missed
		passed++
	}
	k.mu.Unlock()
	switch {
	case position > given:
		return errNotGiven
	case position <= next.Position:
		return nil
	}
	next.Position, next.Missed = position, next.Missed+missed
	revision, err := k.places.Put(ctx, k.name, next, revision)
	if err != nil {
		return err
	}
	k.mu.Lock()
	k.place, k.revision = next, revision
	k.gaps = append([]gap(nil), k.gaps[min(passed, len(k.gaps)):]...)
	k.mu.Unlock()
	if k.src.Missed != nil && missed > 0 {
		k.src.Missed(missed)
	}
	return nil
}

// Note keeps a text with the place, which Place then has, in the place of the one before. It
// is durable when Note returns nil. Note counts as a Keep: only one of both may run at a time,
// and store.ErrTaken says the same.
func (k *Kept) Note(ctx context.Context, note string) error {
	k.mu.Lock()
	next, revision := k.place, k.revision
	k.mu.Unlock()
	next.Note = note
	revision, err := k.places.Put(ctx, k.name, next, revision)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.place, k.revision = next, revision
	return nil
}

// Check returns store.ErrTaken if another reader of this name was opened since, or Seek has
// moved the place; Keep would tell the same. Any goroutine may call it.
func (k *Kept) Check(ctx context.Context) error {
	k.mu.Lock()
	by := k.place.By
	k.mu.Unlock()
	is, _, err := k.places.Get(ctx, k.name)
	if err == nil && is.By != by {
		return store.ErrTaken
	}
	return err
}
