package uplog_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"edgeloop/backbone"
)

// The store now and then forgets the writer of a block that it replaces (seen with
// nats-server 2.15.2); it is not ours to stop.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server.(*msgBlock).flushLoop"))
}

// The log is opened with all that belongs to it: what these tests look into is its own.
func open(t *testing.T, cfg backbone.Config) *backbone.Backbone {
	t.Helper()
	b, err := backbone.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeNow(t, b) })
	return b
}

// closeNow ends b; a second time it does nothing.
func closeNow(t *testing.T, b *backbone.Backbone) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := b.Close(ctx); err != nil {
		t.Errorf("close: %v", err)
	}
}

func record(device string, seq uint64, done backbone.Completion) backbone.Record {
	return backbone.Record{
		Tenant: "default", Device: device, Epoch: 3, Seq: seq, Type: "telemetry",
		Topic: []byte("temp"), TS: 1795234836000, Received: 1795234836001,
		Data: fmt.Appendf(nil, `{"c":%d}`, seq), Done: done,
	}
}

func appendAll(t *testing.T, b *backbone.Backbone, rs []backbone.Record) {
	t.Helper()
	if err := b.Append(rs); err != nil {
		t.Fatal(err)
	}
	flush(t, b)
}

func flush(t *testing.T, b *backbone.Backbone) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := b.Flush(ctx); err != nil {
		t.Fatalf("flush: %v (state %+v)", err, b.State())
	}
}

// counter is a Completion that counts.
type counter struct{ n atomic.Int64 }

func (c *counter) Durable(_ uint64, n int)   { c.n.Add(int64(n)) }
func (*counter) Overtaken(seq uint64, _ int) { panic(fmt.Sprint("overtaken at sequence ", seq)) }
func (*counter) Wanted() bool                { return true }
