package bytebuf_test

import (
	"bytes"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"edgeloop/internal/bytebuf"
	"edgeloop/internal/invariants"
)

func TestPool_Get(t *testing.T) {
	for _, tc := range []struct{ n, want int }{
		{0, 256},
		{1, 256},
		{256, 256},
		{257, 512},
		{1 << 10, 1 << 10},
		{1<<10 + 1, 2 << 10},
		{16<<10 + 1, 32 << 10},
		{64 << 10, 64 << 10},
		{64<<10 + 1, 128 << 10},
		{512<<10 + 1, 1 << 20},
		{1 << 20, 1 << 20},
		{1<<20 + 1, 1<<20 + 1},
	} {
		var p bytebuf.Pool
		if b := p.Get(tc.n); cap(b.B) != tc.want || len(b.B) != 0 {
			t.Errorf("Get(%d): len %d cap %d, want 0 and %d", tc.n, len(b.B), cap(b.B), tc.want)
		}
	}
}

func TestPool_Put(t *testing.T) {
	t.Run("nil is allowed", func(*testing.T) {
		var p bytebuf.Pool
		p.Put(nil)
	})
	t.Run("any capacity comes back only where it is large enough", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			var p bytebuf.Pool
			for range rapid.IntRange(1, 20).Draw(t, "rounds") {
				p.Put(&bytebuf.Buf{B: make([]byte, rapid.IntRange(0, 5000).Draw(t, "cap"))})
				n := rapid.IntRange(0, 5000).Draw(t, "n")
				if b := p.Get(n); len(b.B) != 0 || cap(b.B) < n {
					t.Fatalf("Get(%d): len %d cap %d", n, len(b.B), cap(b.B))
				}
			}
		})
	})
	t.Run("bytes read as nonsense after it, and twice panics", func(t *testing.T) {
		if !invariants.Enabled {
			t.Skip("needs the tag invariants or -race")
		}
		var p bytebuf.Pool
		b := p.Get(4)
		b.B = append(b.B, "abcd"...)
		kept := b.B
		p.Put(b)
		if !bytes.Equal(kept, []byte{0xCC, 0xCC, 0xCC, 0xCC}) {
			t.Errorf("after Put the bytes read %x", kept)
		}
		defer func() {
			if recover() == nil {
				t.Error("second Put did not panic")
			}
		}()
		p.Put(b)
	})
}

func TestBuf_Grow(t *testing.T) {
	var p bytebuf.Pool
	b := p.Get(3)
	var want []byte
	for n := 1; n < 3<<20; n *= 3 {
		b.Grow(&p, n)
		if cap(b.B)-len(b.B) < n {
			t.Fatalf("Grow(%d): room for %d", n, cap(b.B)-len(b.B))
		}
		b.B = append(b.B, bytes.Repeat([]byte{byte(n)}, n)...)
		want = append(want, bytes.Repeat([]byte{byte(n)}, n)...)
	}
	if !bytes.Equal(b.B, want) {
		t.Error("contents changed while growing")
	}
	p.Put(b)
}

func TestPool_Concurrent(t *testing.T) {
	var p bytebuf.Pool
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 2000 {
				b := p.Get(i)
				b.B = append(b.B, byte(g), byte(i))
				b.Grow(&p, 300)
				if b.B[0] != byte(g) || b.B[1] != byte(i) {
					t.Errorf("another goroutine wrote into the buffer")
				}
				p.Put(b)
			}
		})
	}
	wg.Wait()
}

func TestAllocs_GetPut(t *testing.T) {
	if invariants.Race {
		t.Skip("the race detector makes sync.Pool drop values")
	}
	var p bytebuf.Pool
	for _, n := range []int{1, 1 << 10, 1 << 20} {
		if got := testing.AllocsPerRun(1000, func() { p.Put(p.Get(n)) }); got != 0 {
			t.Errorf("Get(%d) and Put: %v allocations", n, got)
		}
	}
}

func BenchmarkPool_GetPut(b *testing.B) {
	var p bytebuf.Pool
	b.ReportAllocs()
	for b.Loop() {
		p.Put(p.Get(128))
	}
}
