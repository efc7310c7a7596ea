package bytebuf

import (
	"math/bits"
	"sync"

	"edgeloop/internal/invariants"
)

// MaxSize is the largest buffer that is kept for reuse, in bytes.
const MaxSize = 1 << 20

// The classes are 256 B, 1 KiB, 4 KiB, 16 KiB, 64 KiB, 256 KiB and 1 MiB.
// Steps of four waste at most three quarters of a buffer that is held only
// while a message is on its way, and keep the number of idle kinds small.
const (
	minBits    = 8
	stepBits   = 2
	numClasses = 7
)

// Pool lends buffers. The zero value is ready; it must not be copied after
// first use. Any goroutine may use it.
type Pool struct {
	// Atomic. Each sync.Pool synchronises itself.
	classes [numClasses]sync.Pool
}

// Buf is one lent buffer. It belongs to one goroutine at a time.
type Buf struct {
	// B is the buffer. Append to it and reslice it from its start; a slice that
	// begins further on (b.B[n:]) hides the first n bytes from the pool for good.
	B []byte

	spare bool // is in the pool; kept in builds with invariants only
}

// Get lends a buffer of length 0 and capacity at least n bytes. It belongs to
// the caller until Put. Above MaxSize it is allocated for this one use.
func (p *Pool) Get(n int) *Buf {
	if n > MaxSize {
		return &Buf{B: make([]byte, 0, n)}
	}
	c := classFor(n)
	b, ok := p.classes[c].Get().(*Buf)
	if !ok {
		return &Buf{B: make([]byte, 0, classSize(c))}
	}
	if invariants.Enabled {
		b.spare = false
	}
	return b
}

// Put takes b back; ownership passes to the pool. nil is allowed.
func (p *Pool) Put(b *Buf) {
	if b == nil {
		return
	}
	if invariants.Enabled {
		if b.spare {
			panic("bytebuf: buffer put twice")
		}
		b.spare = true
		invariants.Mangle(b.B[:cap(b.B)])
	}
	// Appending may have moved B to an array of any size: it serves the largest
	// class that it can fill.
	size := cap(b.B)
	if size < classSize(0) || size > MaxSize {
		return
	}
	b.B = b.B[:0]
	p.classes[(bits.Len(uint(size))-minBits-1)/stepBits].Put(b)
}

// Grow makes room for n bytes more after len(b.B) and keeps the contents. When
// the present array is too small b moves to a larger class of p and the old
// array goes back to p, so slices taken from b.B before are invalid after.
func (b *Buf) Grow(p *Pool, n int) {
	need := len(b.B) + n
	if need <= cap(b.B) {
		return
	}
	if need > MaxSize {
		need = max(need, cap(b.B)+cap(b.B)/2) // few copies also where there is no next class
	}
	next := p.Get(need)
	next.B = append(next.B, b.B...)
	b.B, next.B = next.B, b.B
	p.Put(next)
}

// classFor is the smallest class that holds n bytes, n <= MaxSize.
func classFor(n int) int {
	if n <= classSize(0) {
		return 0
	}
	return (bits.Len(uint(n-1)) - minBits + stepBits - 1) / stepBits
}

// classSize is the number of bytes in a buffer of class c.
func classSize(c int) int { return 1 << (minBits + c*stepBits) }
