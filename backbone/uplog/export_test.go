package uplog

import (
	"context"
	"errors"

	"edgeloop/backbone/blocks"
)

// Line is a record as stored.
func Line(r *Record) []byte { return appendRecord(nil, r) }

// LastIn is what a stored line says about the end of its device's records.
func LastIn(line []byte) (Last, error) { return lastIn(line) }

// PurgeLog empties the log, as an operator who makes room.
func PurgeLog(ctx context.Context, l *Log) error { return l.up.Purge(ctx) }

// SyncedBlock is the newest block of the log that is synced, and how far.
func SyncedBlock(l *Log) (path string, size int64) {
	return blocks.Path(l.blocks.dir, l.blocks.index), l.blocks.size
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

// LastInLog asks the store for the last record of a device.
func LastInLog(ctx context.Context, l *Log, tenant, device string) (Last, error) {
	ready := l.ends.ready.Swap(false)
	defer l.ends.ready.Store(ready)
	return l.Last(ctx, tenant, device)
}

// Asked is how many questions went to the server.
func Asked(l *Log) uint64 { return l.srv.Asker.NC.Stats().OutMsgs }

// HasIndex says whether Last is answered without the server.
func HasIndex(l *Log) bool { return l.ends.ready.Load() }

// LastOfLine is LastIn without an allocation.
func LastOfLine(line []byte) (Last, error) { return lastOfLine(line) }

// ForgetTaken forgets what retention has taken.
func ForgetTaken(ctx context.Context, l *Log) error {
	s, err := l.logState(ctx)
	if err == nil {
		l.ends.forget(s.FirstSeq)
	}
	return err
}

// Indexed is of how many devices the index knows.
func Indexed(l *Log) int { return l.ends.len() }

// Scan reads the log's blocks as a start does.
func Scan(ctx context.Context, l *Log) error { return l.scanEnds(ctx, l.durable.Position()) }

// Replicated has the log's last records asked of the leader, as where it has replicas.
func Replicated(l *Log) { l.up.CachedInfo().Config.AllowDirect = false }

// AsksTheLeader says whether they are.
func AsksTheLeader(l *Log) bool { return !l.up.CachedInfo().Config.AllowDirect }

// AskState asks the log for its state, in all ways in which a node does.
func AskState(ctx context.Context, l *Log) error {
	_, err := l.lookAtLog(ctx)
	_, err2 := l.logState(ctx)
	_, err3 := l.deletedFromLog()
	return errors.Join(err, err2, err3)
}
