package backbone

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"edgeloop/backbone/custody"
)

// Backbone is the node's durable side. Build it with Open. Its methods may be
// called from any goroutine; those that take a context wait for the server.
type Backbone struct {
	// Immutable after construction.
	cfg       Config
	patience  time.Duration   // of one question, but in tests requestTimeout
	server    *embedded       // nil with NATSURL
	lock      *dirLock        // on the data directory; nil with NATSURL
	keeper    *custody.Keeper // of the log; nil with NATSURL
	kept      bool            // the keeper has seen the log opened
	blocks    *blockSync      // of the log; the committer's, nil when it does not sync
	gate      func() error    // says why nothing may be written now
	writer    *clientConn     // the committer's alone, so that nothing delays its answers
	reader    *clientConn     // of all who read streams, so that they delay nobody's answers
	asker     *clientConn     // everything else
	up        jetstream.Stream
	down      jetstream.Stream
	presences jetstream.Stream
	logWas    jetstream.StreamConfig // the log when this node found or made it
	sync      Sync                   // what is known of its syncs then
	// differences of shared streams from what this node's flags say.
	differences []Difference
	known       *knownDevices // nil with an external server
	ends        *endIndex     // of the devices in the log; nil with an external server
	durable     *frontier     // how far the log is durable; nil with an external server
	banned      jetstream.Stream
	pipe        *pipeline
	committer   *committer
	presence    *presenceQueue
	tell        func(*nats.Msg) error // publishes a state without asking for an answer
	ctx         context.Context       // ends when the committer must give up
	cancel      context.CancelFunc
	workers     sync.WaitGroup
	closeOnce   sync.Once

	// Atomic.
	identity atomic.Pointer[string] // of the log
	silent   atomic.Int32           // questions in a row without an answer, see noteAnswer

	// Each with a lock of its own.
	commands commandSet
	bans     banSet
}

// How long the answer to a batch may take before the log is asked what it holds, or
// is sent the batch again. A slow disk is not an error until then. The embedded
// server answers before anything is synced, so its silence means more, sooner: its
// store has failed (see reopenAfter), and devices wait meanwhile.
const (
	answerTimeout         = 5 * time.Second
	embeddedAnswerTimeout = 2 * time.Second
)

// tagLength is the length of the random part of batch IDs, 40 bits: one for each
// start of a node.
const tagLength = 8

// Open starts the embedded server, or connects to the external one and waits
// for it until ctx ends, and makes the streams what cfg says.
func Open(ctx context.Context, cfg Config) (*Backbone, error) {
	return openWith(ctx, cfg, seams{})
}

func openWith(ctx context.Context, cfg Config, s seams) (*Backbone, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	cfg.Logger = cfg.Logger.Named("backbone")
	b := &Backbone{cfg: cfg, patience: cmp.Or(s.timeout, requestTimeout)}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	if err := b.open(ctx, s); err != nil {
		return nil, fmt.Errorf("open backbone: %w", errors.Join(err, b.shutdown()))
	}
	return b, nil
}

func (b *Backbone) open(ctx context.Context, s seams) error {
	var err error
	b.gate = func() error { return nil }
	if b.cfg.NATSURL == "" {
		if err = b.openStore(ctx); err != nil {
			return err
		}
	}
	if b.asker, err = dial(ctx, &b.cfg, b.server, "asker"); err != nil {
		return err
	}
	if b.writer, err = dial(ctx, &b.cfg, b.server, "writer"); err != nil {
		return err
	}
	if b.reader, err = dial(ctx, &b.cfg, b.server, "reader"); err != nil {
		return err
	}
	b.reader.silence = cmp.Or(s.silence, pullSilence)
	if b.server == nil {
		if err = b.claimName(ctx); err != nil {
			return err
		}
	}
	if room := b.writer.nc.MaxPayload() - recordOverhead; int64(b.cfg.MaxRecord) > room {
		return fmt.Errorf("MaxRecord %d is more than the server's max_payload allows, %d", b.cfg.MaxRecord, room)
	}
	if err = b.ensureStreams(ctx); err != nil {
		return err
	}
	if b.server != nil && b.cfg.Durability == Power {
		// What an earlier process left counts as durable from here on.
		if err = syncStore(b.cfg.DataDir, b.cfg.storeDir(), s.syncer()); err != nil {
			return err
		}
	}
	if err = b.keepOpened(ctx); err != nil {
		return err
	}
	if b.server != nil {
		b.durable = newFrontier(b.up.CachedInfo().State.LastSeq)
		if b.known, err = loadKnown(ctx, b.up); err != nil {
			return err
		}
		if err = b.startEnds(ctx); err != nil {
			return err
		}
	}
	if err = b.startCommitter(s); err != nil {
		return err
	}
	b.startPresence(s)
	if err = b.startWatch(ctx, b.watchCommands()); err != nil {
		return err
	}
	return b.startWatch(ctx, b.watchBans())
}

// openStore starts the embedded server on the data directory.
func (b *Backbone) openStore(ctx context.Context) (err error) {
	dir := b.cfg.storeDir()
	if err = makeDir(dir); err != nil {
		return err
	}
	if b.lock, err = lockDirs(b.cfg.Node, b.cfg.DataDir, dir); err != nil {
		return err
	}
	b.gate = b.lock.check
	if b.cfg.DiskReserve > 0 {
		free := diskGate(dir, b.cfg.DiskReserve)
		b.gate = func() error {
			if err := b.lock.check(); err != nil {
				return err
			}
			return free()
		}
	}
	if b.keeper, err = custody.Open(ctx, b.cfg.custodyOptions()); err != nil {
		return err // before the store repairs what is damaged
	}
	b.server, err = startEmbedded(&b.cfg)
	return err
}

func (b *Backbone) startPresence(s seams) {
	b.presence = newPresenceQueue()
	b.tell = b.asker.nc.PublishMsg
	if s.tell != nil {
		b.tell = func(m *nats.Msg) error { return s.tell(m, b.asker.nc.PublishMsg) }
	}
	b.workers.Go(b.publishPresence)
}

func (b *Backbone) startCommitter(s seams) error {
	timeout := answerTimeout
	if b.server != nil {
		timeout = embeddedAnswerTimeout
	}
	w, err := newWire(b.writer, b.ctx.Done(), cmp.Or(s.timeout, timeout), s)
	if err != nil {
		return err
	}
	b.pipe = newPipeline(b.cfg.PendingMax, b.cfg.PendingBytes)
	b.pipe.known = b.known
	c := &committer{
		pipe:       b.pipe,
		gate:       b.gate,
		ctx:        b.ctx,
		logger:     b.cfg.Logger,
		tagBase:    rand.Text()[:tagLength],
		batchMax:   b.cfg.BatchMax,
		batchBytes: b.cfg.BatchBytes,
		gather:     b.cfg.CommitInterval,
	}
	c.state.Store(&State{})
	b.committer = c
	if b.server != nil {
		c.log = b.newChain(w, s)
	} else {
		c.log = b.newAtomicLog(w)
	}
	b.workers.Go(c.run)
	return nil
}

func (b *Backbone) newChain(w *wire, s seams) *chain {
	c := &chain{
		wire:   w,
		sync:   func(int64) error { return nil },
		mark:   b.keeper.Advance,
		reopen: b.server.restart,
		log:    b.cfg.Logger,
		count:  &b.committer.count,
		head:   b.durable,
		ends:   b.ends,
	}
	if b.cfg.Durability == Power {
		b.blocks = newBlockSync(b.cfg.blocksDir(StreamUp))
		c.sync = b.blocks.sync
	}
	if s.sync != nil {
		next := c.sync
		c.sync = func(n int64) error { return s.sync(func() error { return next(n) }) }
	}
	return c
}

func (b *Backbone) newAtomicLog(w *wire) *atomicLog {
	l := &atomicLog{
		wire:   w,
		find:   finder(b.ctx, b.up),
		latest: b.lookup,
		fence:  newFence(),
		mark: nats.Msg{
			Subject: string(appendToken([]byte(syncPrefix), b.cfg.Node)),
			Header:  nats.Header{jetstream.MsgRollup: {jetstream.MsgRollupSubject}},
		},
		ensure:  b.ensureLog,
		limit:   b.cfg.BatchMax,
		last:    b.up.CachedInfo().State.LastSeq,
		numbers: make([]string, serverBatchMax+1),
		count:   &b.committer.count,
	}
	for i := range l.numbers {
		l.numbers[i] = strconv.Itoa(i)
	}
	return l
}

func (b *Backbone) ensureLog() (uint64, error) {
	ctx, cancel := context.WithTimeout(b.ctx, requestTimeout)
	defer cancel()
	s, err := b.remakeLog(ctx)
	if err != nil {
		return 0, err
	}
	return s.CachedInfo().State.LastSeq, nil
}

// Append takes rs for the log, in order, and copies all of it before it returns.
// It blocks while the pipeline is full, so only pool workers may call it. A
// record is durable when its Done says so. Errors: ErrClosed, *TooLargeError
// (nothing of rs was taken then).
func (b *Backbone) Append(rs []Record) error {
	if len(rs) == 0 {
		return nil
	}
	s, err := b.pipe.encode(rs, b.cfg.MaxRecord)
	if err != nil {
		return err
	}
	return b.pipe.put(s)
}

// Flush waits until everything appended before the call is durable.
func (b *Backbone) Flush(ctx context.Context) error { return b.pipe.flush(ctx) }

// Close waits for what was appended to become durable, for as long as ctx
// allows, and ends everything the Backbone started. Its error says that records
// were left unconfirmed; their devices will send them again.
func (b *Backbone) Close(ctx context.Context) error {
	err := error(nil)
	b.closeOnce.Do(func() {
		if err = b.Flush(ctx); err != nil {
			records, _ := b.pipe.waiting()
			err = fmt.Errorf("close backbone with %d records unconfirmed: %w", records, err)
		}
		b.settlePresence(ctx)
		err = errors.Join(err, b.shutdown())
	})
	return err
}

// settlePresence waits a little for what was said of devices to be published. What
// is not then, this node puts right when it starts again.
func (b *Backbone) settlePresence(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if left := b.presence.settle(ctx); left > 0 {
		b.cfg.Logger.Warn("closing before presence was published", zap.Int("devices", left))
	}
}

// closeGrace is how long the workers may take to end in peace with an external
// server. One that stands still would hold them up.
const closeGrace = 2 * time.Second

func (b *Backbone) conns() (all []*clientConn) {
	for _, c := range []*clientConn{b.writer, b.reader, b.asker} {
		if c != nil {
			all = append(all, c)
		}
	}
	return all
}

func (b *Backbone) shutdown() (err error) {
	b.cancel()
	if b.pipe != nil {
		b.pipe.close()
	}
	if b.presence != nil {
		b.presence.close()
	}
	conns := b.conns()
	hurry := time.AfterFunc(closeGrace, func() {
		for _, c := range conns {
			if c.dial != nil {
				c.dial.abort()
			}
		}
	})
	defer hurry.Stop()
	b.workers.Wait()
	for _, c := range conns {
		c.nc.Close()
	}
	if b.server != nil {
		b.server.stop()
	}
	if b.blocks != nil {
		err = errors.Join(err, b.blocks.close())
	}
	if b.keeper != nil {
		orderly := b.kept && b.committer != nil && !errors.Is(b.State().Cause, ErrDisk)
		err = errors.Join(err, b.keeper.Close(orderly))
	}
	if b.lock != nil {
		err = errors.Join(err, b.lock.close())
	}
	return err
}
