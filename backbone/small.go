package backbone

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"
)

// storeSmall stores one message that is not of the log and returns its sequence
// when it is durable.
func (b *Backbone) storeSmall(ctx context.Context, stream string, m *nats.Msg) (uint64, error) {
	if err := b.gate(); err != nil {
		return 0, &UnavailableError{err}
	}
	within, cancel := context.WithTimeout(ctx, b.patience)
	defer cancel()
	ack, err := b.asker.js.PublishMsg(within, m)
	if ctx.Err() == nil { // a caller in a hurry says nothing about the store
		b.noteAnswer(err)
	}
	if err != nil {
		return 0, b.orClosed(err)
	}
	if err := b.syncStream(stream); err != nil {
		return ack.Sequence, &UnavailableError{err}
	}
	return ack.Sequence, nil
}

// syncStream makes what a stream of the embedded server holds safe against the
// loss of power, if that was asked for. Such streams are small, and syncing a
// file that is on the disk already costs nothing.
func (b *Backbone) syncStream(stream string) error {
	if b.server == nil || b.cfg.Durability != Power {
		return nil
	}
	return syncBlocks(b.cfg.blocksDir(stream), syncPath)
}

// noteAnswer opens the embedded store again after reopenAfter questions in a row
// without an answer, as the chain does for the log. The log rides it out.
func (b *Backbone) noteAnswer(err error) {
	if b.server == nil {
		return
	}
	if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, nats.ErrTimeout) {
		b.silent.Store(0)
		return
	}
	if b.silent.Add(1) < reopenAfter {
		return
	}
	b.silent.Store(0)
	b.cfg.Logger.Warn("a store does not answer and is opened again")
	b.committer.count.reopened.Add(1)
	if err := b.server.restart(); err != nil {
		b.cfg.Logger.Error("the store could not be opened again", zap.Error(err))
	}
}
