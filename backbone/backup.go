package backbone

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"edgeloop/backbone/archive"
	"edgeloop/backbone/names"
	"edgeloop/backbone/servers"
)

// ErrShared says that the log belongs to servers elsewhere, whose operator backs it up.
var ErrShared = errors.New("backbone: the log is on external NATS servers: back it up there ('nats stream backup', or 'nats account backup')")

// ErrBackingUp says that a backup is being made.
var ErrBackingUp = errors.New("backbone: a backup is being made")

// Backup writes a backup of all that is kept, at w's pace: the log with all that was
// acknowledged before the call and perhaps more, and the streams beside it (names.Beside): waiting
// commands, presence, bans, the places of sinks and their dead letters, revocations, Wills and
// retained messages. by is the version that made it. The log takes records all the
// while. Only one can be made at a time: ErrBackingUp, and with servers elsewhere ErrShared; then
// nothing was written. If it fails later, its last entry says so.
//
// The log is taken last, so that no place lies behind its end.
func (b *Backbone) Backup(ctx context.Context, w io.Writer, by string) error {
	durable, ok := b.Durable()
	if !ok {
		return ErrShared
	}
	if !b.backups.TryLock() {
		return ErrBackingUp
	}
	defer b.backups.Unlock()
	out := archive.NewWriter(w, archive.Manifest{By: by, Node: b.node, Made: time.Now().UTC(), Log: b.Identity(), Durable: durable})
	for _, stream := range append(names.Beside(), names.StreamUp) {
		if err := b.snapshot(ctx, out, stream); err != nil {
			return errors.Join(err, out.Fail(err.Error()))
		}
	}
	return out.Close()
}

func (b *Backbone) snapshot(ctx context.Context, out *archive.Writer, stream string) error {
	out.Begin(stream)
	s, err := b.srv.Snapshot(ctx, stream, out)
	if errors.Is(err, servers.ErrNoStream) && stream != names.StreamUp {
		return nil // made for the first that needs it
	}
	if err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	return out.End(archive.Stream{Config: s.Config, State: s.State, Messages: s.Messages, First: s.First, Last: s.Last})
}
