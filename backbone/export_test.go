package backbone

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"
)

// Seams are where tests come between the committer and the log.
type Seams struct {
	Publish func(m *nats.Msg, next func(*nats.Msg) error) error
	Hear    func(m *nats.Msg) *nats.Msg
	Sync    func(next func() error) error
	Timeout time.Duration
}

// OpenWith is Open with seams.
func OpenWith(ctx context.Context, cfg Config, s Seams) (*Backbone, error) {
	return openWith(ctx, cfg, seams{publish: s.Publish, hear: s.Hear, sync: s.Sync, timeout: s.Timeout})
}

// Disconnect breaks the committer's connection; it comes back by itself.
func Disconnect(b *Backbone) error { return b.writer.nc.ForceReconnect() }

// RestartServer ends the embedded server and starts it again.
func RestartServer(b *Backbone) error { return b.server.restart() }

// Token is a name as a subject token.
func Token(name string) string { return string(appendToken(nil, name)) }

// Line is a record as stored.
func Line(r *Record) []byte { return appendRecord(nil, r) }

// LastSeqIn is the sequence that a stored line makes durable.
func LastSeqIn(line []byte) (uint64, error) { return lastSeqIn(line) }

// PurgeLog empties the log, as an operator who makes room.
func PurgeLog(ctx context.Context, b *Backbone) error { return b.up.Purge(ctx) }

// SyncedBlock is the newest block of the log that is synced, and how far.
func SyncedBlock(b *Backbone) (path string, size int64) {
	return b.blocks.path(b.blocks.index), b.blocks.size
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
