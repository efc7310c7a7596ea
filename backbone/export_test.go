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

// Token and Name are the two directions of a name's way into a subject.
func Token(name string) string              { return string(appendToken(nil, name)) }
func Name(token string) (string, error)     { return nameIn(token) }
func Line(r *Record) []byte                 { return appendRecord(nil, r) }
func LastSeqIn(line []byte) (uint64, error) { return lastSeqIn(line) }

// PurgeLog empties the log, as an operator who makes room.
func PurgeLog(ctx context.Context, b *Backbone) error { return b.up.Purge(ctx) }

// SyncedBlock is the newest block of the log that is synced, and how far.
func SyncedBlock(b *Backbone) (path string, size int64) {
	return b.blocks.path(b.blocks.index), b.blocks.size
}
