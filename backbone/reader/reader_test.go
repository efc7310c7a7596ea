package reader_test

import (
	"context"
	"fmt"
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

// The log is opened with all that belongs to it, on a server of its own.
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

func records(from, to uint64) (rs []backbone.Record) {
	for n := from; n <= to; n++ {
		rs = append(rs, backbone.Record{
			Tenant: "default", Device: "d", Epoch: 3, Seq: n, Type: "telemetry", Data: fmt.Appendf(nil, `{"c":%d}`, n),
		})
	}
	return rs
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
