package backbone

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"edgeloop/backbone/blocks"
	"edgeloop/backbone/servers"
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
func Disconnect(b *Backbone) error { return b.writer.NC.ForceReconnect() }

// ReconnectAsker breaks the connection of everything but the committer, and
// returns when it is back.
func ReconnectAsker(b *Backbone) error {
	before := b.srv.Asker.NC.Stats().Reconnects
	if err := b.srv.Asker.NC.ForceReconnect(); err != nil {
		return err
	}
	for b.srv.Asker.NC.Stats().Reconnects == before || !b.srv.Asker.NC.IsConnected() {
		if !servers.Pause(b.ctx, time.Millisecond) {
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
	b := &Backbone{}
	if b.srv, err = servers.New(cfg.servers()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		b.srv.Stop()
		if err := b.srv.Unlock(); err != nil {
			t.Error(err)
		}
	}()
	if err := b.srv.Start(ctx); err != nil {
		t.Fatal(err)
	}
	b.Log = &Log{cfg: cfg, srv: b.srv, ctx: b.srv.Context(), alone: true}
	if err := b.ensure(ctx); err != nil {
		t.Fatal(err)
	}
	if err := b.openStores(ctx, &b.cfg, seams{}); err != nil {
		t.Fatal(err)
	}
	b.presence.Close()
	for i := range records {
		r := Record{Tenant: "default", Device: "d", Seq: uint64(i + 1), Type: "telemetry"} //nolint:gosec // small
		if _, err := b.srv.Asker.JS.Publish(ctx, "edgeloop.up.default.d", appendRecord(nil, &r)); err != nil {
			t.Fatal(err)
		}
	}
}

// RestartServer ends the embedded server and starts it again.
func RestartServer(b *Backbone) error { return b.srv.Restart() }

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

	Taken []uint64 // the sequences of what the last Take took
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
	p.Taken = p.Taken[:0]
	for i := range p.b.items {
		p.Taken = append(p.Taken, p.b.items[i].seq)
	}
	p.p.release(&p.b)
	return n
}

// Close ends all waiting.
func (p *Pipeline) Close() { p.p.close() }

// DeleteLog removes the log's stream, as an operator of an external server can.
func DeleteLog(ctx context.Context, b *Backbone) error {
	return b.srv.Asker.JS.DeleteStream(ctx, StreamUp)
}

// Consumers is how many readers a stream has.
func Consumers(ctx context.Context, b *Backbone, stream string) (int, error) {
	s, err := b.srv.Asker.JS.Stream(ctx, stream)
	if err != nil {
		return 0, err
	}
	info, err := s.Info(ctx)
	if err != nil {
		return 0, err
	}
	return info.State.Consumers, nil
}

// LastInLog asks the store for the last record of a device.
func LastInLog(ctx context.Context, b *Backbone, tenant, device string) (Last, error) {
	ready := b.ends.ready.Swap(false)
	defer b.ends.ready.Store(ready)
	return b.Last(ctx, tenant, device)
}

// Asked is how many questions went to the server.
func Asked(b *Backbone) uint64 { return b.srv.Asker.NC.Stats().OutMsgs }

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
func Scan(ctx context.Context, b *Backbone) error { return b.scanEnds(ctx, b.durable.Position()) }

// ReaderBytes is what came for readers so far.
func ReaderBytes(b *Backbone) uint64 { return b.srv.Reader.NC.Stats().InBytes }
