package reader

import (
	"context"
	"crypto/rand"
	"fmt"

	"edgeloop/backbone/store"
)

// Seek puts the place of a name behind a position of the log: what lies behind it is given
// next, again or for the first time. The present reader under the name gets store.ErrTaken.
// *PositionError: the position is beyond the end of the log, or log is another one; then
// nothing is changed. A log of "" is whichever there is.
func Seek(ctx context.Context, src *Source, places *store.Places, name, log string, position uint64) error {
	is, err := src.look(ctx)
	if err != nil {
		return fmt.Errorf("move reader %q: %w", name, src.Servers.OrClosed(err))
	}
	switch {
	case log != "" && log != is.Identity:
		return &PositionError{After: position, Log: log, Is: is.Identity}
	case position > is.Last:
		return &PositionError{After: position, End: is.Last}
	}
	was, revision, err := places.Get(ctx, name)
	if err != nil {
		return err
	}
	_, err = places.Put(ctx, name, store.Place{Log: is.Identity, Position: position, Missed: was.Missed, By: rand.Text(), Note: was.Note}, revision)
	return err
}

// Edge is where a reader with a new name would begin now.
func Edge(ctx context.Context, src *Source, start Start) (store.Place, error) {
	is, err := src.look(ctx)
	if err != nil {
		return store.Place{}, fmt.Errorf("look at the log: %w", src.Servers.OrClosed(err))
	}
	return is.edge(start), nil
}

func (is *State) edge(start Start) store.Place {
	if start == Newest {
		return store.Place{Log: is.Identity, Position: is.Last}
	}
	return store.Place{Log: is.Identity, Position: max(is.First, 1) - 1}
}
