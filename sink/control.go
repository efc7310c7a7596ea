package sink

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"edgeloop/backbone/store"
)

// What an operator may have done wrong.
var (
	// ErrUnknown says that there is no sink of this name.
	ErrUnknown = errors.New("there is no such sink")
	// ErrPaused says that the sink does nothing until it is resumed.
	ErrPaused = errors.New("the sink is paused or has stopped: resume it first")
	// ErrNotNext says that the record is not the one that the sink would send next.
	ErrNotNext = errors.New("this is not the record that the sink sends next")
)

// change ends a sink, does something while it stands, and begins it again, paused or not.
// With an error of do it begins as it was.
func (s *Set) change(ctx context.Context, name string, paused func(was bool) bool, do func(was *runner) error) error {
	return s.inTurn(ctx, func() error {
		runs := s.running()
		i := slices.IndexFunc(runs, func(r *runner) bool { return r.spec.Name == name })
		if i < 0 {
			return ErrUnknown
		}
		was := runs[i]
		// What is cut comes again: that is no fault of what is asked for.
		_ = end(ctx, []*runner{was})
		err := do(was)
		still := was.paused
		if err == nil {
			still = paused(still)
		}
		fresh := start(was.spec, s.node, was.status.read().Counts, still)
		fresh.status.inherit(&was.status)
		runs[i] = fresh
		s.put(runs)
		return err
	})
}

func asItWas(was bool) bool { return was }

// Pause has a sink do nothing until Resume, or until the node starts again. What is on its
// way is confirmed first, as far as ctx allows.
func (s *Set) Pause(ctx context.Context, name string) error {
	return s.change(ctx, name, func(bool) bool { return true }, func(*runner) error { return nil })
}

// Resume has a sink go on that is paused, has stopped or waits.
func (s *Set) Resume(ctx context.Context, name string) error {
	return s.change(ctx, name, func(bool) bool { return false }, func(*runner) error { return nil })
}

// Rewind puts the place of a sink behind a position, back or forth. log names the log of the
// position, "" is whichever there is. *reader.PositionError: see reader.Seek.
func (s *Set) Rewind(ctx context.Context, name, log string, position uint64) error {
	return s.change(ctx, name, asItWas, func(was *runner) error {
		return s.seek(ctx, was, log, position)
	})
}

// Skip has a sink leave out the record that it would send next, which id names so that no
// other one is skipped. It goes to the dead letters.
func (s *Set) Skip(ctx context.Context, name, id string) error {
	runs := s.running()
	i := slices.IndexFunc(runs, func(r *runner) bool { return r.spec.Name == name })
	if i < 0 {
		return ErrUnknown
	}
	rec := runs[i].status.first() // before it ends, and forgets it
	if rec == nil || rec.ID() != id {
		return ErrNotNext
	}
	return s.change(ctx, name, asItWas, func(was *runner) error {
		if was != runs[i] || was.status.read().Place >= rec.Position { // moved, or confirmed, meanwhile
			return ErrNotNext
		}
		if err := bury(ctx, s.node, name, rec, "skipped by an operator"); err != nil {
			return err
		}
		return s.seek(ctx, was, rec.Log, rec.Position)
	})
}

// seek moves the place of a sink that has ended. The first record behind it is another one then.
func (s *Set) seek(ctx context.Context, was *runner, log string, position uint64) error {
	err := s.node.Seek(ctx, ReaderName(was.spec.Name), log, position)
	if err == nil {
		was.status.change(func(is *Status) { is.Oldest = time.Time{} })
	}
	return err
}

// SendLetters has a sink send dead letters again, soon. Those that are confirmed are
// removed.
func (s *Set) SendLetters(name string, which store.LetterFilter) error {
	for _, r := range s.running() {
		if r.spec.Name != name {
			continue
		}
		switch r.status.read().State {
		case Starting, Running, Waiting:
			r.asked.add(which)
			token(r.poke)
			return nil
		}
		return ErrPaused
	}
	return ErrUnknown
}

// asked is which dead letters are to be sent again.
type asked struct {
	mu sync.Mutex
	// Guarded by mu.
	which []store.LetterFilter
}

// maxAsked is how many questions for letters may wait; beyond it all are sent.
const maxAsked = 64

func (a *asked) add(which store.LetterFilter) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.which) >= maxAsked {
		a.which = []store.LetterFilter{{}}
	}
	a.which = append(a.which, which)
}

func (a *asked) take() (all []store.LetterFilter) {
	a.mu.Lock()
	defer a.mu.Unlock()
	all, a.which = a.which, nil
	return all
}

// sendLetters sends the dead letters that are asked for and there now, one after the other. They
// are out of their device's order, which their positions show.
func (r *runner) sendLetters(soft, hard context.Context) error {
	r.shares.forget()
	which := r.asked.take()
	type numbered struct {
		number uint64
		record Record
	}
	for after := uint64(0); ; {
		var next *numbered
		err := r.node.Letters.Each(soft, r.spec.Name, after, func(number uint64, l store.Letter) bool {
			after = number
			if !slices.ContainsFunc(which, func(f store.LetterFilter) bool { return f.Wants(&l) }) {
				return true
			}
			if rec, err := parse(l.Log, l.Position, l.Record, &Record{}, &r.spec.trace); err == nil { // one that cannot be read stays
				next = &numbered{number, rec}
			}
			return next == nil
		})
		if err != nil {
			return fmt.Errorf("read the dead letters: %w", err)
		}
		if next == nil {
			return nil
		}
		if err := r.sendLetter(soft, hard, next.number, &next.record); err != nil {
			return err
		}
	}
}

func (r *runner) sendLetter(soft, hard context.Context, number uint64, rec *Record) error {
	for {
		_, err := r.attempt(hard, []Record{*rec})
		var again *Refusal
		switch {
		case err == nil:
			_, err = r.node.Letters.Remove(hard, r.spec.Name, number)
			return err
		case errors.As(err, &again):
			return nil // it stays
		}
		if err := r.failed(soft, err); err != nil {
			return err
		}
	}
}
