package uplog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"edgeloop/backbone/blocks"
	"edgeloop/backbone/names"
	"edgeloop/backbone/servers"
	"edgeloop/internal/pause"
)

const (
	// scanPatience is how long a start waits for the index of devices. It is made to
	// the end beside a node that runs, and the log is asked until then.
	scanPatience  = time.Minute
	scanProgress  = 10 * time.Second // a line that often
	forgetEvery   = time.Minute
	errIncomplete = scanError("the blocks do not hold what the store says")
)

type scanError string

func (e scanError) Error() string { return string(e) }

// startEnds makes the index of devices on a worker that then keeps up with
// retention, and waits for it to be made, but not for ever.
func (l *Log) startEnds(ctx context.Context) error {
	l.ends, l.scanned = newEndIndex(), make(chan struct{})
	end := l.durable.Position()
	l.srv.Go(func() {
		err := l.scanEnds(l.ctx, end)
		if l.ctx.Err() != nil {
			return
		}
		if err != nil {
			l.cfg.Logger.Warn("cannot index the devices in the log, each is looked up in the log instead", zap.Error(err))
		}
		l.ends.ready.Store(err == nil)
		close(l.scanned)
		for pause.For(l.ctx, forgetEvery) == nil {
			if info, err := l.logState(l.ctx); err == nil { // if not, the next time
				l.ends.forget(info.FirstSeq)
			}
		}
	})
	patience := time.NewTimer(scanPatience)
	defer patience.Stop()
	select {
	case <-l.scanned:
	case <-patience.C:
		l.cfg.Logger.Warn("the log is long: the index of its devices is built while the node runs")
	case <-ctx.Done():
		return fmt.Errorf("list the devices in the log: %w", ctx.Err())
	}
	return nil
}

func (l *Log) logState(ctx context.Context) (jetstream.StreamState, error) {
	ctx, cancel := context.WithTimeout(ctx, servers.RequestTimeout)
	defer cancel()
	info, err := l.srv.Info(ctx, names.StreamUp)
	if err != nil {
		return jetstream.StreamState{}, err
	}
	return info.State, nil
}

// scanEnds reads the log's blocks up to a position, one after another, and notes the
// records in them. That none was missed is checked against the store.
func (l *Log) scanEnds(ctx context.Context, end uint64) error {
	began := time.Now()
	s := blockScan{index: l.ends, tenants: l.tenants, dir: l.srv.BlocksDir(names.StreamUp), end: end}
	list, err := blocks.List(s.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	said := began
	for i, block := range list {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.read(block); err != nil {
			return err
		}
		if time.Since(said) > scanProgress {
			said = time.Now()
			l.cfg.Logger.Info("listing the devices in the log", zap.Int("blocks", i+1), zap.Int("of", len(list)))
		}
	}
	state, err := l.logState(ctx)
	if err != nil {
		return err
	}
	l.ends.forget(state.FirstSeq)
	l.tenants.trim(state.FirstSeq)
	if !s.complete(state.FirstSeq, uint64(state.NumDeleted)) { //nolint:gosec // not negative
		return errIncomplete
	}
	l.cfg.Logger.Info("listed the devices in the log", zap.Int("devices", l.ends.len()),
		zap.Int64("bytes", s.bytes), zap.Duration("dur", time.Since(began)))
	return nil
}

// blockScan reads blocks in their order.
type blockScan struct {
	// Immutable after construction.
	index   *endIndex
	tenants *tenantBytes
	dir     string
	end     uint64

	// Owned by the goroutine that reads.
	buf   []byte // of one block
	bytes int64
	seen  uint64 // the last position
	gaps  []gap  // positions of which no message was seen
}

type gap struct{ from, to uint64 } // both missing

// maxGaps bounds what is remembered of a log that was damaged in so many places.
const maxGaps = 1 << 16

func (s *blockScan) read(index uint32) error {
	f, err := os.Open(blocks.Path(s.dir, index))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // retention has taken it
	}
	if err != nil {
		return err
	}
	s.buf, err = readInto(s.buf, f)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	s.bytes += int64(len(s.buf))
	r := blocks.NewReader(names.StreamUp, index, s.buf)
	for {
		rec, err := r.Next()
		var bad *blocks.BadError
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.As(err, &bad):
			continue // its position stays a gap
		case err != nil:
			return err
		case rec.Kind != blocks.Message || rec.Seq > s.end:
			continue
		}
		if err := s.note(&rec); err != nil {
			return err
		}
	}
}

// readInto reads a file into buf, which grows to what the largest block takes.
func readInto(buf []byte, f *os.File) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return buf, err
	}
	if info.Size() > blocks.MaxBlock {
		return buf, fmt.Errorf("%s is larger than a block", f.Name())
	}
	if int64(cap(buf)) < info.Size() {
		buf = make([]byte, info.Size())
	}
	n, err := io.ReadFull(f, buf[:info.Size()])
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) { // cut off meanwhile
		err = nil
	}
	return buf[:n], err
}

func (s *blockScan) note(rec *blocks.Record) error {
	switch {
	case rec.Seq <= s.seen:
		return errIncomplete // not in order: this is not known of the store
	case rec.Seq > s.seen+1:
		if len(s.gaps) == maxGaps {
			return errIncomplete
		}
		s.gaps = append(s.gaps, gap{s.seen + 1, rec.Seq - 1})
	}
	s.seen = rec.Seq
	subject := textOf(rec.Subject)
	if !strings.HasPrefix(subject, names.Up) {
		return nil
	}
	s.tenants.find(subject, rec.Seq, len(rec.Data))
	if names.IsEvents(subject) {
		return nil
	}
	last, err := lastOfLine(rec.Data)
	if err != nil {
		return err
	}
	last.Position, last.At = rec.Seq, rec.Time/int64(time.Millisecond)
	s.index.note(names.KeyOf(subject), last)
	return nil
}

// complete says whether all was seen that the store has from first on, but for as
// many as it says are deleted.
func (s *blockScan) complete(first, deleted uint64) bool {
	missing := uint64(0)
	for _, g := range s.gaps {
		if g.to >= first {
			missing += g.to - max(g.from, first) + 1
		}
	}
	if s.seen < s.end && first <= s.end {
		missing += s.end - max(s.seen, first-1)
	}
	return missing <= deleted
}
