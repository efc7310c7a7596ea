package uplog_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"edgeloop/backbone"
	"edgeloop/backbone/backbonetest"
	"edgeloop/backbone/uplog"
	"edgeloop/internal/invariants"
)

func TestBackbone_AppendBlocksWhileFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := uplog.NewPipeline(4, 1<<20)
		for n := range 4 {
			if err := p.Put([]backbone.Record{record("d", uint64(n+1), nil)}); err != nil {
				t.Fatal(err)
			}
		}
		returned := false
		go func() {
			if err := p.Put([]backbone.Record{record("d", 5, nil), record("d", 6, nil)}); err != nil {
				t.Error(err)
			}
			returned = true
		}()
		synctest.Wait()
		if returned {
			t.Fatal("Append returned with four records waiting where four may wait")
		}
		p.Take(1)
		synctest.Wait()
		if !returned {
			t.Fatal("Append still blocks though there is room for one: behind many small calls a large one would wait for ever")
		}
		if got := p.Take(100); got != 5 {
			t.Errorf("%d records left, want 5", got)
		}
	})
}

// A waiter gets room before one that comes later, though that one is running
// and those who wait have yet to be woken.
func TestBackbone_AppendsGetRoomInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const waiting = 16
		p := uplog.NewPipeline(waiting, 1<<20)
		put := func(n uint64) {
			if err := p.Put([]backbone.Record{record("d", n, nil)}); err != nil && !errors.Is(err, backbone.ErrClosed) {
				t.Error(err)
			}
		}
		for n := range uint64(waiting) {
			put(n + 1)
		}
		for n := range uint64(waiting) {
			go put(waiting + n + 1)
			synctest.Wait()
		}
		p.Take(waiting)
		for n := range uint64(waiting) {
			go put(2*waiting + n + 1)
		}
		synctest.Wait()
		p.Take(waiting)
		if !slices.IsSorted(p.Taken) || p.Taken[waiting-1] != 2*waiting {
			t.Errorf("taken next: %d", p.Taken)
		}
		p.Close()
	})
}

func TestBackbone_AppendLargerThanTheRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := uplog.NewPipeline(2, 1<<20)
		rs := []backbone.Record{record("d", 1, nil), record("d", 2, nil), record("d", 3, nil)}
		if err := p.Put(rs); err != nil {
			t.Fatal(err)
		}
		if a, b := p.Take(2), p.Take(2); a != 2 || b != 1 {
			t.Errorf("took %d and %d, want 2 and 1", a, b)
		}
	})
}

func TestBackbone_CloseEndsBlockedAppends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := uplog.NewPipeline(1, 1<<20)
		if err := p.Put([]backbone.Record{record("d", 1, nil)}); err != nil {
			t.Fatal(err)
		}
		var err error
		go func() { err = p.Put([]backbone.Record{record("d", 2, nil)}) }()
		synctest.Wait()
		p.Close()
		synctest.Wait()
		if !errors.Is(err, backbone.ErrClosed) {
			t.Errorf("blocked Append: %v, want ErrClosed", err)
		}
		if err := p.Put([]backbone.Record{record("d", 3, nil)}); !errors.Is(err, backbone.ErrClosed) {
			t.Errorf("Append after Close: %v, want ErrClosed", err)
		}
	})
}

func TestBackbone_AppendRefusesWholeCall(t *testing.T) {
	b := backbonetest.Open(t, backbone.Config{DataDir: t.TempDir(), MaxRecord: 1000})
	big := record("d", 2, nil)
	big.Data = fmt.Appendf(nil, `"%01000d"`, 0)
	err := b.Append([]backbone.Record{record("d", 1, nil), big})
	var tooLarge *backbone.TooLargeError
	if !errors.As(err, &tooLarge) || tooLarge.Index != 1 || tooLarge.Max != 1000 {
		t.Errorf("a record over MaxRecord: %v", err)
	}
	if err := b.Append([]backbone.Record{{Tenant: "t", Data: []byte("1")}}); err == nil {
		t.Error("a record without a device was taken")
	}
	backbonetest.Flush(t, b)
	if n := b.Stats().Records; n != 0 {
		t.Errorf("%d records are in the log", n)
	}
}

func TestAllocs_Append(t *testing.T) {
	if invariants.Enabled {
		t.Skip("sync.Pool drops at random under the race detector")
	}
	p := uplog.NewPipeline(1000, 1<<20)
	var done counter
	rs := []backbone.Record{record("device-1", 1, &done), record("device.2", 2, &done)}
	allocs := testing.AllocsPerRun(1000, func() {
		if err := p.Put(rs); err != nil {
			t.Fatal(err)
		}
		if p.Take(2) != 2 {
			t.Fatal("not taken")
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations for an Append, want 0", allocs)
	}
}
