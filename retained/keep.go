package retained

import (
	"context"
	"time"

	"go.uber.org/zap"

	"edgeloop/backbone/store"
	"edgeloop/internal/pause"
)

const (
	// stride is how many positions the place may be behind while nothing has changed: a start
	// reads them in a moment.
	stride = 50_000
	// keepMost bounds one call of the store, and lastMost that at the end.
	keepMost = time.Minute
	lastMost = 2 * time.Second
	// keepShare has writing take a part of the time only, however much changes.
	keepShare = 4
)

// change is what the store is told of a topic.
type change struct {
	message *Message // nil: it has none any more
	of      store.RetainedMessage
}

// Run tells the store what changes, until ctx ends, and then once more.
func (t *Table) Run(ctx context.Context) {
	failed := false
	for rest := t.cfg.Every; pause.For(ctx, rest) == nil; {
		began := time.Now()
		err := t.keepWithin(ctx, keepMost)
		if err != nil && ctx.Err() == nil && !failed { // once, until it can be written again
			t.cfg.Logger.Warn("what is retained cannot be written, it is tried again", zap.Error(err))
		}
		failed = err != nil
		rest = max(t.cfg.Every, keepShare*time.Since(began))
	}
	if err := t.keepWithin(context.Background(), lastMost); err != nil {
		t.cfg.Logger.Warn("what is retained is read from the log at the next start", zap.Error(err))
	}
}

func (t *Table) keepWithin(ctx context.Context, most time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	return t.keep(ctx)
}

// keep tells the store what has changed, and the place. Nothing is written where nothing changed,
// and the log has not gone far.
func (t *Table) keep(ctx context.Context) error {
	t.expire(time.Now())
	upto := t.place
	if end, ok := t.cfg.Log.Durable(); ok { // looked at first: all before it has been heard of
		upto.Position = max(upto.Position, end)
	}
	if t.unchanged() && upto.Position-t.place.Position < stride {
		return nil
	}
	return t.write(ctx, upto)
}

func (t *Table) unchanged() bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.changed) == 0
}

// write tells the store what has changed, and a place.
func (t *Table) write(ctx context.Context, upto store.Place) error {
	changes := t.take()
	all := make([]store.RetainedMessage, len(changes))
	for i := range changes {
		all[i] = changes[i].of
	}
	done, err := t.cfg.Store.Keep(ctx, all, upto)
	t.tell(changes, done)
	if err != nil {
		return err //nolint:wrapcheck // the store says what it could not do
	}
	t.place = upto
	return nil
}

// take takes what has changed.
func (t *Table) take() []change {
	t.mu.Lock()
	defer t.mu.Unlock()
	changed := t.changed
	t.changed = map[*Slot]struct{}{} // what changes from here on is for the next time
	all := make([]change, 0, len(changed))
	for s := range changed {
		all = append(all, s.toldLocked())
		t.breatheLocked(len(all))
	}
	return all
}

// breath is how many slots Run looks at before others get the lock.
const breath = 512

// breatheLocked lets others have the lock, now and then: the committer waits for it, and with it
// the devices of all tenants.
func (t *Table) breatheLocked(n int) {
	if n%breath == 0 {
		t.mu.Unlock()
		t.mu.Lock()
	}
}

// tell notes what the store has now: so many of the changes for sure, one more maybe, and of the
// rest it has to be told again. What the store may have and the Table has not is taken out next
// time.
func (t *Table) tell(changes []change, done int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, c := range changes {
		t.breatheLocked(i + 1)
		h, s := t.findLocked(c.of.Tenant, c.of.Topic)
		has := c.message != nil
		if s == nil && has && i <= done {
			h, s = t.addLocked(c.of.Tenant, c.of.Topic) // it went meanwhile
		}
		if s == nil {
			continue
		}
		switch {
		case i < done:
			s.stored = has
		case i == done:
			s.stored = s.stored || has
		}
		if i >= done || s.message != c.message {
			t.changed[s] = struct{}{}
		}
		t.settleLocked(h, s, s.roomLocked())
	}
}
