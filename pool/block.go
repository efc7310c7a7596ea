package pool

import (
	"math/bits"
	"sync"
)

// minSlots is the size of block that a lane keeps while it is empty, once it has
// been used: most of what comes is a message or two.
const minSlots = 4

// block is the memory of a lane: slots, of which some are free. It belongs to one
// lane at a time, and is guarded by its lock.
type block[T any] struct {
	slots []slot[T] // length a power of two
	used  int32     // those behind were never used since the last reset
	free  int32     // the first of those that were given back, as 1 and its place; 0: none
}

// slot holds a task, and where the next one is.
type slot[T any] struct {
	task T
	next int32 // in a queue: the next of it; free: as block.free
}

// take is the place of a free slot. There must be one.
func (b *block[T]) take() int32 {
	if b.free == 0 {
		b.used++
		return b.used - 1
	}
	at := b.free - 1
	b.free = b.slots[at].next
	return at
}

// give takes a slot back, and forgets its task.
func (b *block[T]) give(at int32) {
	b.slots[at] = slot[T]{next: b.free}
	b.free = at + 1
}

// reset makes all slots free.
func (b *block[T]) reset() {
	clear(b.slots[:b.used])
	b.used, b.free = 0, 0
}

// blockPool keeps the blocks that no lane needs at present, by size: they have 4, 8,
// 16 … slots. The garbage collector empties it.
type blockPool[T any] struct {
	sizes [bits.UintSize]sync.Pool
}

func (p *blockPool[T]) get(n int) *block[T] {
	size := ceilPow2(n)
	if got, ok := p.sizes[bits.TrailingZeros(uint(size))].Get().(*block[T]); ok {
		return got
	}
	return &block[T]{slots: make([]slot[T], size)}
}

// put takes a block; nothing in it is needed any more.
func (p *blockPool[T]) put(b *block[T]) {
	b.reset()
	p.sizes[bits.TrailingZeros(uint(len(b.slots)))].Put(b)
}

// ceilPow2 is the smallest power of two that is not less than n; n > 0.
func ceilPow2(n int) int { return 1 << bits.Len(uint(n-1)) }
