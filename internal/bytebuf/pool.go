package bytebuf

import (
	"math"
	"math/bits"
	"sync"
	"sync/atomic"

	"edgeloop/internal/invariants"
)

// MaxSize is the largest buffer that is kept for reuse, in bytes.
const MaxSize = 1 << 20

// The classes are 256 B, 512 B, 1 KiB and so on up to 1 MiB. Memory bounds count the capacity of a
// buffer, so unused capacity leaves less room for messages; with steps of two at most half is
// unused.
const (
	minBits    = 8
	numClasses = 13
)

// Pool lends buffers and knows how many bytes it has lent. The zero value is
// ready; it must not be copied after first use. Any goroutine may use it.
type Pool struct {
	// Immutable after construction.
	budget *Budget // notified when a buffer comes back; may be nil

	// Atomic. Each sync.Pool synchronises itself.
	held    atomic.Int64 // capacity of the buffers that are lent
	classes [numClasses]sync.Pool
}

// Buf is one lent buffer. It belongs to one goroutine at a time.
type Buf struct {
	// B is the buffer. Append to it and reslice it from its start; a slice that
	// begins further on (b.B[n:]) hides the first n bytes from the pool for good.
	B []byte

	home  *Pool  // the pool that lent it and counts it
	size  uint32 // what it counts: the capacity it was lent with
	spare bool   // is in the pool; kept in builds with invariants only
}

// Size is the memory of the buffer, in bytes; 0 for nil.
func (b *Buf) Size() int {
	if b == nil {
		return 0
	}
	return int(b.size)
}

// LentBy says whether p lent the buffer; nobody lent nil.
func (b *Buf) LentBy(p *Pool) bool { return b != nil && b.home == p }

// Held is the capacity of all lent buffers.
func (p *Pool) Held() int64 { return p.held.Load() }

// Get lends a buffer of length 0 and capacity at least n bytes. It belongs to
// the caller until Put. Above MaxSize it is allocated for this one use.
func (p *Pool) Get(n int) *Buf {
	size := sizeFor(n)
	var b *Buf
	if size <= MaxSize {
		b, _ = p.classes[classFor(n)].Get().(*Buf)
	}
	if b == nil {
		b = &Buf{B: make([]byte, 0, size)}
	}
	if invariants.Enabled {
		b.spare = false
	}
	b.home, b.size = p, uint32(size) //nolint:gosec // messages are far below 4 GiB
	p.held.Add(int64(size))
	return b
}

// Put takes b back into the pool that lent it; ownership passes to that pool.
// nil is allowed.
func (p *Pool) Put(b *Buf) {
	if b == nil {
		return
	}
	if invariants.Enabled {
		if b.spare {
			panic("bytebuf: buffer put twice")
		}
		if b.home != nil && cap(b.B) != int(b.size) {
			panic("bytebuf: buffer grown by other means than Grow, and not counted")
		}
		b.spare = true
		invariants.Mangle(b.B[:cap(b.B)])
	}
	home, lent := b.home, b.size
	if home == nil { // made by a caller: it was never counted
		home = p
	}
	b.home, b.size = nil, 0
	// A buffer that a caller made serves the largest class that it can fill.
	if size := cap(b.B); size >= classSize(0) && size <= MaxSize {
		b.B = b.B[:0]
		home.classes[bits.Len(uint(size))-minBits-1].Put(b)
	}
	home.held.Add(-int64(lent))
	if home.budget != nil {
		home.budget.gaveBack()
	}
}

// Grow makes room for n more bytes after len(b.B) and keeps the contents. If the current array is too
// small, b moves to a larger class of p and the old array goes back to p: slices taken from b.B
// before are then invalid.
func (b *Buf) Grow(p *Pool, n int) { b.GrowUpTo(p, n, math.MaxInt) }

// GrowUpTo is Grow for a buffer that will not hold more than most, so that it does not grow in
// vain. It allocates nothing for most alone.
func (b *Buf) GrowUpTo(p *Pool, n, most int) {
	need := len(b.B) + n
	if need <= cap(b.B) {
		return
	}
	if need > MaxSize {
		need = max(need, min(2*cap(b.B), most)) // few copies even without a next class
	}
	next := p.Get(need)
	next.B = append(next.B, b.B...)
	*b, *next = *next, *b
	p.Put(next)
}

// sizeFor is the capacity that Get(n) lends.
func sizeFor(n int) int {
	if n > MaxSize {
		return n
	}
	return classSize(classFor(n))
}

// classFor is the smallest class that holds n bytes, n <= MaxSize.
func classFor(n int) int {
	if n <= classSize(0) {
		return 0
	}
	return bits.Len(uint(n-1)) - minBits
}

// classSize is the number of bytes in a buffer of class c.
func classSize(c int) int { return 1 << (minBits + c) }
