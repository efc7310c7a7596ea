package bytebuf_test

import (
	"testing"

	"pgregory.net/rapid"

	"edgeloop/internal/bytebuf"
)

// TestPool_Held: whatever is taken, grown and put back, by whichever pool's Put,
// what counts is the capacity of the buffers that are out.
func TestPool_Held(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		budget := bytebuf.NewBudget(1<<20, nil)
		pools := []*bytebuf.Pool{&budget.Moving, &budget.Held, &budget.Parts}
		var out []*bytebuf.Buf
		pick := func(t *rapid.T) int {
			if len(out) == 0 {
				t.Skip("nothing is out")
			}
			return rapid.IntRange(0, len(out)-1).Draw(t, "which")
		}
		some := rapid.SampledFrom(pools)
		t.Repeat(map[string]func(*rapid.T){
			"get": func(t *rapid.T) {
				out = append(out, some.Draw(t, "pool").Get(rapid.IntRange(0, 3<<20).Draw(t, "n")))
			},
			"grow": func(t *rapid.T) {
				b, n := out[pick(t)], rapid.IntRange(0, 200_000).Draw(t, "n")
				b.Grow(some.Draw(t, "pool"), n)
				b.B = append(b.B, make([]byte, n)...)
			},
			"put": func(t *rapid.T) {
				i := pick(t)
				some.Draw(t, "pool").Put(out[i])
				out = append(out[:i], out[i+1:]...)
			},
			"": func(t *rapid.T) {
				want := 0
				for _, b := range out {
					if b.Size() != cap(b.B) {
						t.Fatalf("a buffer of %d bytes counts as %d", cap(b.B), b.Size())
					}
					want += cap(b.B)
				}
				if got := budget.Used(); got != int64(want) {
					t.Fatalf("%d bytes count, %d are out", got, want)
				}
			},
		})
	})
}

func TestBudget_Bounds(t *testing.T) {
	low := 0
	b := bytebuf.NewBudget(64<<10, func() { low++ })
	moving := []*bytebuf.Buf{b.Moving.Get(16 << 10), b.Moving.Get(16 << 10)}
	held := b.Held.Get(16 << 10)
	if b.Full() || b.Low() {
		t.Errorf("48 of 64 KiB: full %t, low %t", b.Full(), b.Low())
	}
	part := b.Parts.Get(16 << 10)
	if !b.Full() || b.Over(16<<10, 0) || !b.Over(16<<10+1, 0) || b.Over(16<<10+1, 16<<10) {
		t.Errorf("64 of 64 KiB: full %t, over with 16 KiB %t, with 32 KiB %t", b.Full(), b.Over(16<<10, 0), b.Over(16<<10+1, 0))
	}
	b.Want(true)
	b.Held.Put(held)
	if low != 0 {
		t.Error("told of little that moves when half of the limit did")
	}
	b.Moving.Put(moving[0])
	if low != 1 {
		t.Errorf("told %d times that little is moving, want once", low)
	}
	b.Want(false)
	b.Moving.Put(moving[1])
	if low != 1 {
		t.Error("told of what nobody wants to know")
	}
	if part.Grow(&b.Parts, 32<<10+1); !b.OverParts() {
		t.Error("32 KiB are the share of parts of 64 KiB, 64 are not over it")
	}
}
