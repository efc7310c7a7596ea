package backbonetest

import (
	"context"
	"maps"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"edgeloop/backbone"
	"edgeloop/internal/testkit"
)

// Main runs the tests of a package and fails if they leave goroutines behind.
func Main(m *testing.M) {
	// Now and then the store forgets the goroutine that writes a block which it replaces
	// (seen with nats-server 2.15.2). We cannot stop it.
	testkit.Leaks(m, goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server.(*msgBlock).flushLoop"))
}

// Open opens a backbone and closes it at the end of the test.
func Open(t testing.TB, cfg backbone.Config) *backbone.Backbone {
	t.Helper()
	b, err := backbone.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { Close(t, b) })
	return b
}

// Close closes b, which may be closed already.
func Close(t testing.TB, b *backbone.Backbone) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := b.Close(ctx); err != nil {
		t.Errorf("close: %v", err)
	}
}

// Append appends records and waits until they are durable.
func Append(t testing.TB, b *backbone.Backbone, records []backbone.Record) {
	t.Helper()
	if err := b.Append(records); err != nil {
		t.Fatal(err)
	}
	Flush(t, b)
}

// Flush waits until all that was appended is durable.
func Flush(t testing.TB, b *backbone.Backbone) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := b.Flush(ctx); err != nil {
		t.Fatalf("flush: %v (state %+v)", err, b.State())
	}
}

// CopyDir copies a data directory; to must not exist or be empty.
func CopyDir(t testing.TB, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Error(err)
	}
}

// Watch runs watch, such as Backbone.WatchPresence, until the test ends. got returns the
// newest state of each device, seen the number of devices, which costs no copy.
func Watch(t testing.TB, watch func(context.Context, func(backbone.Presence)) error) (got func() map[string]backbone.Presence, seen func() int) {
	ctx, cancel := context.WithCancel(context.Background())
	var mu sync.Mutex
	states := make(map[string]backbone.Presence)
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = watch(ctx, func(p backbone.Presence) {
			mu.Lock()
			defer mu.Unlock()
			states[p.Device] = p
		})
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	got = func() map[string]backbone.Presence {
		mu.Lock()
		defer mu.Unlock()
		return maps.Clone(states)
	}
	seen = func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(states)
	}
	return got, seen
}
