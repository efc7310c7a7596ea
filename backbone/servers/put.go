package servers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

// RecordOverhead is room for subject and headers beside what is stored.
const RecordOverhead = 1 << 10

// TooLargeError says that a record does not fit the log, or a command the store. The call that
// returned it took nothing.
type TooLargeError struct {
	Index int // position in the slice given to Append
	Size  int // bytes the record takes in the log
	Max   int // bytes allowed
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("backbone: record %d takes %d bytes, allowed are %d", e.Index, e.Size, e.Max)
}

// BoundReached says whether text is how the server refuses a message for a stream that is
// full.
func BoundReached(text string) bool {
	for _, bound := range bounds {
		if text == bound.Error() {
			return true
		}
	}
	return false
}

// PerSubject is what the server says when a subject has as many messages as it may have.
var PerSubject = server.ErrMaxMsgsPerSubject.Error()

// ErrFull says that a stream is at a bound and takes no more.
var ErrFull = errors.New("backbone: the stream is full")

var bounds = [...]error{server.ErrMaxMsgsPerSubject, server.ErrMaxBytes, server.ErrMaxMsgs}

// Patience is how long one question may take.
func (s *Servers) Patience() time.Duration { return s.patience }

// Put stores one message in a stream beside the log. It returns the sequence once the message
// is durable.
func (s *Servers) Put(ctx context.Context, stream string, m *nats.Msg) (uint64, error) {
	if err := s.writable(); err != nil {
		return 0, &UnavailableError{err}
	}
	var ack *jetstream.PubAck
	if err := s.Ask(ctx, func(within context.Context) (err error) {
		ack, err = s.Asker.JS.PublishMsg(within, m)
		return err
	}); err != nil {
		return 0, s.OrClosed(err)
	}
	if err := s.SyncStream(stream); err != nil {
		return ack.Sequence, &UnavailableError{err}
	}
	return ack.Sequence, nil
}

// Ask asks a store, for as long as one question may take, and notes whether it has answered.
func (s *Servers) Ask(ctx context.Context, question func(within context.Context) error) error {
	within, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	err := question(within)
	if ctx.Err() == nil { // a caller in a hurry says nothing about the store
		s.NoteAnswer(err)
	}
	return err
}

// SyncStream syncs what a stream of the embedded server holds, if Durability asks for it. Such
// streams are small, and to sync a file that is on the disk already costs nothing.
func (s *Servers) SyncStream(stream string) error {
	if !s.Here() || s.cfg.Durability != Power {
		return nil
	}
	return SyncBlocks(s.BlocksDir(stream), SyncPath)
}

// ReopenAfter is how many attempts in a row may go without an answer before the store is
// opened again. A store that met a write error takes nothing more until then, and does not
// say so.
const ReopenAfter = 2

// NoteAnswer opens the embedded store again after ReopenAfter questions in a row without an
// answer, as the writer does for the log. The log survives that.
func (s *Servers) NoteAnswer(err error) {
	if !s.Here() {
		return
	}
	if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, nats.ErrTimeout) {
		s.silent.Store(0)
		return
	}
	if s.silent.Add(1) < ReopenAfter {
		return
	}
	s.silent.Store(0)
	s.cfg.Logger.Warn("a store does not answer, opening it again")
	s.reopened.Add(1)
	if err := s.Restart(); err != nil {
		s.cfg.Logger.Error("cannot open the store again", zap.Error(err))
	}
}
