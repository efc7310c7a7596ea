package backbone

import (
	"context"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"edgeloop/backbone/blocks"
)

// Seams are where tests come between the committer and the log.
type Seams struct {
	Publish func(m *nats.Msg, next func(*nats.Msg) error) error
	Hear    func(m *nats.Msg) *nats.Msg
	Sync    func(next func() error) error
	Tell    func(m *nats.Msg, next func(*nats.Msg) error) error
	Synced  func(path string)
	Silence time.Duration
	Timeout time.Duration
}

// OpenWith is Open with seams.
func OpenWith(ctx context.Context, cfg Config, s Seams) (*Backbone, error) {
	return openWith(ctx, cfg, seams{publish: s.Publish, hear: s.Hear, sync: s.Sync, tell: s.Tell, synced: s.Synced, silence: s.Silence, timeout: s.Timeout})
}

// Disconnect breaks the committer's connection; it comes back by itself.
func Disconnect(b *Backbone) error { return b.writer.nc.ForceReconnect() }

// ReconnectAsker breaks the connection of everything but the committer, and
// returns when it is back.
func ReconnectAsker(b *Backbone) error {
	before := b.asker.nc.Stats().Reconnects
	if err := b.asker.nc.ForceReconnect(); err != nil {
		return err
	}
	for b.asker.nc.Stats().Reconnects == before || !b.asker.nc.IsConnected() {
		if !pause(b.ctx, time.Millisecond) {
			return ErrClosed
		}
	}
	return nil
}

// WriteOldLog writes a log as a version did that kept no mark: without an identity.
func WriteOldLog(ctx context.Context, t testing.TB, dir string, records int) {
	t.Helper()
	cfg, err := Config{DataDir: dir}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	b := &Backbone{cfg: cfg}
	if b.server, err = startEmbedded(&b.cfg); err != nil {
		t.Fatal(err)
	}
	defer b.server.stop()
	if b.asker, err = dial(ctx, &b.cfg, b.server, "asker"); err != nil {
		t.Fatal(err)
	}
	defer b.asker.nc.Close()
	if err := b.ensureStreams(ctx); err != nil {
		t.Fatal(err)
	}
	for i := range records {
		r := Record{Tenant: "default", Device: "d", Seq: uint64(i + 1), Type: "telemetry"} //nolint:gosec // small
		if _, err := b.asker.js.Publish(ctx, "edgeloop.up.default.d", appendRecord(nil, &r)); err != nil {
			t.Fatal(err)
		}
	}
}

// RestartServer ends the embedded server and starts it again.
func RestartServer(b *Backbone) error { return b.server.restart() }

// Token is a name as a subject token.
func Token(name string) string { return string(appendToken(nil, name)) }

// Line is a record as stored.
func Line(r *Record) []byte { return appendRecord(nil, r) }

// LastIn is what a stored line says about the end of its device's records.
func LastIn(line []byte) (Last, error) { return lastIn(line) }

// PurgeLog empties the log, as an operator who makes room.
func PurgeLog(ctx context.Context, b *Backbone) error { return b.up.Purge(ctx) }

// SyncedBlock is the newest block of the log that is synced, and how far.
func SyncedBlock(b *Backbone) (path string, size int64) {
	return blocks.Path(b.blocks.dir, b.blocks.index), b.blocks.size
}

// Pipeline is the way from Append to the committer, without one.
type Pipeline struct {
	p *pipeline
	b batch
}

// NewPipeline has room for so many records.
func NewPipeline(records, bytes int) *Pipeline { return &Pipeline{p: newPipeline(records, bytes)} }

// Put is Append.
func (p *Pipeline) Put(rs []Record) error {
	s, err := p.p.encode(rs, 1<<20)
	if err != nil {
		return err
	}
	return p.p.put(s)
}

// Take takes up to n records as durable and returns how many there were.
func (p *Pipeline) Take(n int) int {
	p.p.take(&p.b, n, 1<<20)
	n = len(p.b.items)
	p.p.release(&p.b)
	return n
}

// Close ends all waiting.
func (p *Pipeline) Close() { p.p.close() }

// CommandsStored is how many commands the store holds.
func CommandsStored(ctx context.Context, b *Backbone) (uint64, error) {
	info, err := b.down.Info(ctx)
	if err != nil {
		return 0, err
	}
	return info.State.Msgs, nil
}

// BreakCommands lets so many commands be read from the store, and deleted, and
// has the next such question fail with err, until mend is called.
func BreakCommands(b *Backbone, reads, deletes int, err error) (mend func()) {
	whole := b.down
	b.down = &failingStream{whole, reads, deletes, err}
	return func() { b.down = whole }
}

type failingStream struct {
	jetstream.Stream
	reads, deletes int
	err            error
}

func (s *failingStream) GetMsg(ctx context.Context, seq uint64, opts ...jetstream.GetMsgOpt) (*jetstream.RawStreamMsg, error) {
	if s.reads--; s.reads < 0 {
		return nil, s.err
	}
	return s.Stream.GetMsg(ctx, seq, opts...)
}

func (s *failingStream) DeleteMsg(ctx context.Context, seq uint64) error {
	if s.deletes--; s.deletes < 0 {
		return s.err
	}
	return s.Stream.DeleteMsg(ctx, seq)
}

// PresenceIdle is true when every state has been published.
func PresenceIdle(b *Backbone) bool {
	queued, _ := b.presence.stats()
	return queued == 0
}

// PresenceStored is of how many devices a state is kept.
func PresenceStored(ctx context.Context, b *Backbone) (uint64, error) {
	info, err := b.presences.Info(ctx)
	if err != nil {
		return 0, err
	}
	return info.State.Msgs, nil
}

// PresenceQueue is the queue of states to publish, without a publisher.
type PresenceQueue struct{ q *presenceQueue }

// NewPresenceQueue is empty.
func NewPresenceQueue() PresenceQueue { return PresenceQueue{newPresenceQueue()} }

// Push is PublishPresence.
func (q PresenceQueue) Push(p Presence) { q.q.push(p) }

// Take takes all.
func (q PresenceQueue) Take() []Presence { return q.q.take(nil, 100) }

// PutBack returns what could not be published.
func (q PresenceQueue) PutBack(ps []Presence) { q.q.putBack(ps) }

// BanSet is a node's copy of the bans.
type BanSet struct{ s banSet }

// Set takes a ban; followed says that it came through the watcher.
func (s *BanSet) Set(n Ban, seq uint64, followed bool) { s.s.set(n, seq, followed) }

// Find finds one, also one that is over.
func (s *BanSet) Find(tenant, device string) (Ban, bool) { return s.s.find(tenant, device) }

// Len counts those that are over, too.
func (s *BanSet) Len() int { return len(s.s.bans) }

// DeleteLog removes the log's stream, as an operator of an external server can.
func DeleteLog(ctx context.Context, b *Backbone) error { return b.asker.js.DeleteStream(ctx, StreamUp) }

// UpSubject is where the records of a device are.
func UpSubject(tenant, device string) (string, error) { return subjectOf(upPrefix, tenant, device) }

// UpFilter selects records; "" stands for all.
func UpFilter(tenant, device string) string { return filterOf(upPrefix, tenant, device) }

// JudgeSync and Older are how an external server's syncs are judged.
var (
	JudgeSync = judgeSync
	Older     = older
)

// Consumers is how many readers a stream has.
func Consumers(ctx context.Context, b *Backbone, stream string) (int, error) {
	s, err := b.asker.js.Stream(ctx, stream)
	if err != nil {
		return 0, err
	}
	info, err := s.Info(ctx)
	if err != nil {
		return 0, err
	}
	return info.State.Consumers, nil
}

// ReadAheadBytes bounds what a reader has under way.
const ReadAheadBytes = readAheadBytes

// ReaderBytes is what came for readers so far.
func ReaderBytes(b *Backbone) uint64 { return b.reader.nc.Stats().InBytes }

// Lock is the lock of a data directory.
type Lock struct{ l *dirLock }

// LockDirs takes it.
func LockDirs(dirs ...string) (Lock, error) {
	l, err := lockDirs("test", dirs...)
	return Lock{l}, err
}

// Inherit shares the first directory's lock, as a child does that was forked.
func (l Lock) Inherit() (*os.File, error) {
	fd, err := syscall.Dup(int(l.l.held[0].Fd()))
	return os.NewFile(uintptr(fd), "inherited"), err
}

// Close gives it back.
func (l Lock) Close() error { return l.l.close() }

// LastInLog asks the store for the last record of a device.
func LastInLog(ctx context.Context, b *Backbone, tenant, device string) (Last, error) {
	ready := b.ends.ready.Swap(false)
	defer b.ends.ready.Store(ready)
	return b.Last(ctx, tenant, device)
}

// Asked is how many questions went to the server.
func Asked(b *Backbone) uint64 { return b.asker.nc.Stats().OutMsgs }

// HasIndex says whether Last is answered without the server.
func HasIndex(b *Backbone) bool { return b.ends.ready.Load() }

// LastOfLine is LastIn without an allocation.
func LastOfLine(line []byte) (Last, error) { return lastOfLine(line) }

// ForgetTaken forgets what retention has taken.
func ForgetTaken(ctx context.Context, b *Backbone) error {
	s, err := b.logState(ctx)
	if err == nil {
		b.ends.forget(s.FirstSeq)
	}
	return err
}

// Indexed is of how many devices the index knows.
func Indexed(b *Backbone) int { return b.ends.len() }

// Scan reads the log's blocks as a start does.
func Scan(ctx context.Context, b *Backbone) error { return b.scanEnds(ctx, b.durable.position()) }
