package uplog

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
	writer    *servers.Conn   // the committer's alone, so that nothing delays its answers; nil who writes alone
	up        jetstream.Stream
	logWas    jetstream.StreamConfig // the log when this node found or made it
	sync      servers.Sync           // what is known of its syncs then
	known     *knownDevices          // nil where others write
	ends      *endIndex              // of the devices in the log; nil where others write
	scanned   chan struct{}          // closed when ends is made, or cannot be; nil where others write
	tenants   *tenantBytes           // how much of the log each holds
	durable   *frontier              // how far the log is durable; nil where others write
	epoch     EpochFunc
	source    reader.Source
	pipe      *pipeline
	committer *committer

	// Owned by the caller of Devices.
	listed []string // subjects of the devices that were in the log at the start

	// Atomic.
	identity atomic.Pointer[string] // of the log
	usage    atomic.Pointer[Usage]  // what the log took lately; nil: nobody has said yet
	missed   atomic.Uint64          // records that retention took before a named reader
}

// EpochFunc gives the epoch of what is kept of a device beside the log.
type EpochFunc func(ctx context.Context, tenant, device string) (uint64, error)

// answerTimeout is how long the answer to a batch may take before the log is asked what
// it holds, or is sent the batch again. A slow disk is not an error until then.
const answerTimeout = 5 * time.Second

// tagLength is the length of the random part of batch IDs, 40 bits: one for each
// start of a node.
const tagLength = 8

// Life is the log for its owner, which opens and closes it. Its methods are called in the order in
// which they stand here.
type Life struct{ *Log }

// New makes a log on servers that have not been started. epoch is asked where others
// write, after the servers have been.
func New(cfg Config, srv *servers.Servers, epoch EpochFunc) Life {
	return Life{&Log{cfg: cfg, srv: srv, ctx: srv.Context(), alone: cfg.Writers == Alone, epoch: epoch, tenants: newTenantBytes()}}
}

// WatchOver looks at the log's files before the store opens them, because the store repairs what is
// damaged, and says nothing.
func (l Life) WatchOver(ctx context.Context) (err error) {
	if l.alone {
		l.keeper, err = custody.Open(ctx, l.cfg.custodyOptions())
	}
	return err
}

// Ensure makes the stream of the log what was chosen, or compares.
func (l Life) Ensure(ctx context.Context) (err error) {
	if !l.alone {
		if l.writer, err = l.srv.Dial(ctx, "writer"); err != nil {
			return err
		}
	}
	if room := l.srv.Asker.NC.MaxPayload() - servers.RecordOverhead; int64(l.cfg.MaxRecord) > room {
		return fmt.Errorf("MaxRecord %d is more than the server's max_payload allows, %d", l.cfg.MaxRecord, room)
	}
	if l.up, err = l.srv.Ensure(ctx, logStream(&l.cfg)); err != nil {
		return err
	}
	l.logWas = l.up.CachedInfo().Config
	l.sync = l.srv.AskSync(ctx, &l.logWas)
	return nil
}

// Start begins to take records.
func (l Life) Start(ctx context.Context) error {
	if err := l.keepOpened(ctx); err != nil {
		return err
	}
	if l.alone {
		l.durable = newFrontier(l.up.CachedInfo().State.LastSeq)
		var err error
		if l.known, l.listed, err = loadKnown(ctx, l.srv); err != nil {
			return err
		}
		if err = l.startEnds(ctx); err != nil {
			return err
		}
	}
	l.source = reader.Source{Servers: l.srv, Look: l.look, Missed: func(n uint64) { l.missed.Add(n) }, Logger: l.cfg.Logger}
	if l.alone {
		l.source.Durable = l.durable // only if it is not nil: an interface that holds a nil pointer is not nil
		l.source.Outlet = func() (*servers.Outlet, error) { return l.srv.Outlet(names.StreamUp) }
	}
	l.srv.Go(l.watchUsage)
	return l.startCommitter()
}

func (l *Log) look(ctx context.Context) (reader.State, error) {
	is, err := l.lookAtLog(ctx)
	return reader.State{Identity: is.Identity, First: is.First, Last: is.Last}, err
}

// Read gives fn the records in the order of the log: see reader.Read.
func (l *Log) Read(ctx context.Context, o reader.Options, fn func(position uint64, line []byte) error) error {
	return reader.Read(ctx, &l.source, o, fn)
}

func (l *Log) startCommitter() error {
	l.pipe = newPipeline(l.cfg.PendingMax, l.cfg.PendingBytes)
	l.pipe.known = l.known
	c := &committer{
		pipe:       l.pipe,
		writable:   l.srv.Writable,
		ctx:        l.ctx,
		logger:     l.cfg.Logger,
		tagBase:    rand.Text()[:tagLength],
		batchMax:   l.cfg.BatchMax,
		batchBytes: l.cfg.BatchBytes,
		gather:     l.cfg.CommitInterval,
	}
	c.state.Store(&servers.State{})
	l.committer = c
	if l.alone {
		c.log = l.newChain()
	} else {
		w, err := newWire(l.writer, l.ctx.Done(), cmp.Or(l.cfg.AnswerTimeout, answerTimeout), &l.cfg.Seams)
		if err != nil {
			return err
		}
		c.log = l.newAtomicLog(w)
	}
	l.srv.Go(c.run)
	return nil
}

func (l *Log) newChain() *chain {
	inlet := l.srv.Inlet(names.StreamUp)
	c := &chain{
		open:    inlet.Open,
		put:     inlet.Store,
		sync:    func(int64) error { return nil },
		mark:    l.keeper.Advance,
		reopen:  l.srv.Restart,
		log:     l.cfg.Logger,
		count:   &l.committer.count,
		head:    l.durable,
		ends:    l.ends,
		tenants: l.tenants,
	}
	if l.cfg.Durability == servers.Power {
		l.blocks = newBlockSync(l.srv.BlocksDir(names.StreamUp))
		c.sync = l.blocks.sync
	}
	if between := l.cfg.Seams.Store; between != nil {
		c.put = func(subject string, line []byte) (uint64, error) {
			return between(func() (uint64, error) { return inlet.Store(subject, line) })
		}
	}
	if between := l.cfg.Seams.Sync; between != nil {
		next := c.sync
		c.sync = func(n int64) error { return between(func() error { return next(n) }) }
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
		numbers: make([]string, BatchMost+1),
		count:   &l.committer.count,
	}
	l.committer.stored = l.tenants.noteShared
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
// record is durable when its Done says so. Errors: servers.ErrClosed, *servers.TooLargeError
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

// Shared says that other nodes write to the log too.
func (l *Log) Shared() bool { return !l.alone }

// Pending is how many records wait, and their bytes.
func (l *Log) Pending() (records, bytes int) { return l.pipe.waiting() }

// Source is the log for its named readers.
func (l Life) Source() *reader.Source { return &l.source }

// Halt ends all waiting for the log. What is not durable stays unconfirmed.
func (l Life) Halt() {
	if l.pipe != nil {
		l.pipe.close()
	}
}

// Release gives the log's files back, after the server has closed them.
func (l Life) Release() (err error) {
	if l.blocks != nil {
		err = l.blocks.close()
	}
	if l.keeper != nil {
		orderly := l.kept && l.committer != nil && !errors.Is(l.State().Cause, ErrDisk)
		err = errors.Join(err, l.keeper.Close(orderly))
	}
	return err
}

// AwaitDurable waits until the log is durable up to a position, of a log that this node alone
// writes; another is not waited for.
func (l *Log) AwaitDurable(ctx context.Context, position uint64) error {
	if l.source.Durable == nil {
		return nil
	}
	return l.source.Durable.Wait(ctx, position)
}

// Durable is the position up to which the log is durable, of a log that this node alone
// writes; false for one that others write too. Any goroutine may call it.
func (l *Log) Durable() (position uint64, ok bool) {
	if l.source.Durable == nil {
		return 0, false
	}
	return l.source.Durable.Position(), true
}
