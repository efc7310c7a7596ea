package backbone

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"edgeloop/backbone/custody"
	"edgeloop/backbone/names"
	"edgeloop/backbone/reader"
	"edgeloop/backbone/servers"
)

// Log is what devices sent, in order. Its methods may be called from any goroutine;
// those that take a context wait for the server.
type Log struct {
	// Immutable after construction.
	cfg       Config
	srv       *servers.Servers
	ctx       context.Context // the servers': it ends when the committer must give up
	alone     bool            // no other node writes to it
	keeper    *custody.Keeper // nil with a log elsewhere
	kept      bool            // the keeper has seen the log opened
	blocks    *blockSync      // the committer's, nil when it does not sync
	writer    *servers.Conn   // the committer's alone, so that nothing delays its answers
	up        jetstream.Stream
	logWas    jetstream.StreamConfig // the log when this node found or made it
	sync      Sync                   // what is known of its syncs then
	known     *knownDevices          // nil where others write
	ends      *endIndex              // of the devices in the log; nil where others write
	durable   *frontier              // how far the log is durable; nil where others write
	epoch     epochFunc
	source    reader.Source
	pipe      *pipeline
	committer *committer

	// Atomic.
	identity atomic.Pointer[string] // of the log
	missed   atomic.Uint64          // records that retention took before a named reader
}

// epochFunc gives the epoch of what is kept of a device beside the log.
type epochFunc func(ctx context.Context, tenant, device string) (uint64, error)

// How long the answer to a batch may take before the log is asked what it holds, or
// is sent the batch again. A slow disk is not an error until then. The embedded
// server answers before anything is synced, so its silence means more, sooner: its
// store has failed (see servers.ReopenAfter), and devices wait meanwhile.
const (
	answerTimeout         = 5 * time.Second
	embeddedAnswerTimeout = 2 * time.Second
)

// tagLength is the length of the random part of batch IDs, 40 bits: one for each
// start of a node.
const tagLength = 8

// watchOver looks at the log's files before the store opens them: it repairs what is
// damaged, and says nothing.
func (l *Log) watchOver(ctx context.Context) (err error) {
	if l.alone {
		l.keeper, err = custody.Open(ctx, l.cfg.custodyOptions())
	}
	return err
}

// ensure makes the stream of the log what was chosen, or compares.
func (l *Log) ensure(ctx context.Context) (err error) {
	if l.writer, err = l.srv.Dial(ctx, "writer"); err != nil {
		return err
	}
	if room := l.writer.NC.MaxPayload() - servers.RecordOverhead; int64(l.cfg.MaxRecord) > room {
		return fmt.Errorf("MaxRecord %d is more than the server's max_payload allows, %d", l.cfg.MaxRecord, room)
	}
	if l.up, err = l.srv.Ensure(ctx, logStream(&l.cfg)); err != nil {
		return err
	}
	l.logWas = l.up.CachedInfo().Config
	l.sync = l.srv.AskSync(ctx, &l.logWas)
	return nil
}

// start begins to take records.
func (l *Log) start(ctx context.Context, s seams) error {
	if err := l.keepOpened(ctx); err != nil {
		return err
	}
	if l.alone {
		l.durable = newFrontier(l.up.CachedInfo().State.LastSeq)
		var err error
		if l.known, err = loadKnown(ctx, l.up); err != nil {
			return err
		}
		if err = l.startEnds(ctx); err != nil {
			return err
		}
	}
	l.source = reader.Source{Servers: l.srv, Look: l.look, Missed: func(n uint64) { l.missed.Add(n) }, Logger: l.cfg.Logger}
	if l.alone {
		l.source.Durable = l.durable // not where it is nil: an interface with nothing in it is not
	}
	return l.startCommitter(s)
}

func (l *Log) look(ctx context.Context) (reader.State, error) {
	is, err := l.lookAtLog(ctx)
	return reader.State{Identity: is.Identity, First: is.First, Last: is.Last}, err
}

// Read gives fn the records in the order of the log: see reader.Read.
func (l *Log) Read(ctx context.Context, o ReadOptions, fn func(position uint64, line []byte) error) error {
	return reader.Read(ctx, &l.source, o, fn)
}

func (l *Log) startCommitter(s seams) error {
	timeout := answerTimeout
	if l.srv.Here() {
		timeout = embeddedAnswerTimeout
	}
	w, err := newWire(l.writer, l.ctx.Done(), cmp.Or(s.timeout, timeout), s)
	if err != nil {
		return err
	}
	l.pipe = newPipeline(l.cfg.PendingMax, l.cfg.PendingBytes)
	l.pipe.known = l.known
	c := &committer{
		pipe:       l.pipe,
		gate:       l.srv.Gate,
		ctx:        l.ctx,
		logger:     l.cfg.Logger,
		tagBase:    rand.Text()[:tagLength],
		batchMax:   l.cfg.BatchMax,
		batchBytes: l.cfg.BatchBytes,
		gather:     l.cfg.CommitInterval,
	}
	c.state.Store(&State{})
	l.committer = c
	if l.alone {
		c.log = l.newChain(w, s)
	} else {
		c.log = l.newAtomicLog(w)
	}
	l.srv.Go(c.run)
	return nil
}

func (l *Log) newChain(w *wire, s seams) *chain {
	c := &chain{
		wire:   w,
		sync:   func(int64) error { return nil },
		mark:   l.keeper.Advance,
		reopen: l.srv.Restart,
		log:    l.cfg.Logger,
		count:  &l.committer.count,
		head:   l.durable,
		ends:   l.ends,
	}
	if l.cfg.Durability == Power {
		l.blocks = newBlockSync(l.srv.BlocksDir(names.StreamUp))
		c.sync = l.blocks.sync
	}
	if s.sync != nil {
		next := c.sync
		c.sync = func(n int64) error { return s.sync(func() error { return next(n) }) }
	}
	return c
}

func (l *Log) newAtomicLog(w *wire) *atomicLog {
	a := &atomicLog{
		wire:   w,
		find:   finder(l.ctx, l.up),
		latest: l.lookup,
		fence:  newFence(),
		mark: nats.Msg{
			Subject: string(names.AppendToken([]byte(names.Sync), l.cfg.Node)),
			Header:  nats.Header{jetstream.MsgRollup: {jetstream.MsgRollupSubject}},
		},
		ensure:  l.ensureLog,
		limit:   l.cfg.BatchMax,
		last:    l.up.CachedInfo().State.LastSeq,
		numbers: make([]string, serverBatchMax+1),
		count:   &l.committer.count,
	}
	for i := range a.numbers {
		a.numbers[i] = strconv.Itoa(i)
	}
	return a
}

func (l *Log) ensureLog() (uint64, error) {
	ctx, cancel := context.WithTimeout(l.ctx, servers.RequestTimeout)
	defer cancel()
	s, err := l.srv.Remake(ctx, l.logWas)
	if err != nil {
		return 0, err
	}
	return s.CachedInfo().State.LastSeq, nil
}

// Append takes rs for the log, in order, and copies all of it before it returns.
// It blocks while the pipeline is full, so only pool workers may call it. A
// record is durable when its Done says so. Errors: ErrClosed, *TooLargeError
// (nothing of rs was taken then).
func (l *Log) Append(rs []Record) error {
	if len(rs) == 0 {
		return nil
	}
	s, err := l.pipe.encode(rs, l.cfg.MaxRecord)
	if err != nil {
		return err
	}
	return l.pipe.put(s)
}

// Flush waits until everything appended before the call is durable.
func (l *Log) Flush(ctx context.Context) error { return l.pipe.flush(ctx) }

// halt ends all waiting for the log. What is not durable stays unconfirmed.
func (l *Log) halt() {
	if l.pipe != nil {
		l.pipe.close()
	}
}

// release gives the log's files back, after the server has closed them.
func (l *Log) release() (err error) {
	if l.blocks != nil {
		err = l.blocks.close()
	}
	if l.keeper != nil {
		orderly := l.kept && l.committer != nil && !errors.Is(l.State().Cause, ErrDisk)
		err = errors.Join(err, l.keeper.Close(orderly))
	}
	return err
}
