package pool

import (
	"math/bits"
	"sync"
)

// minSlots is the size of the block that a lane keeps while it is empty, once it has been
// used: most reads bring a message or two.
const minSlots = 4

// block is the memory of a lane: slots, some of them free. It belongs to one lane at a time,
// whose lock guards it.
type block[T any] struct {
	slots []slot[T] // length a power of two
	used  int32     // the slots from here on have not been used since the last reset
	free  int32     // 1 + the index of the first slot that was given back; 0: none
}

// slot holds a task and the index of the next slot.
type slot[T any] struct {
	task T
	next int32 // in a queue: its next slot; free: as block.free
}

// take returns the index of a free slot. There must be one.
func (b *block[T]) take() int32 {
	if b.free == 0 {
		b.used++
		return b.used - 1
	}
	at := b.free - 1
	b.free = b.slots[at].next
	return at
}

// give returns a slot to the block and forgets its task.
func (b *block[T]) give(at int32) {
	b.slots[at] = slot[T]{next: b.free}
	b.free = at + 1
}

// reset makes all slots free.
func (b *block[T]) reset() {
	clear(b.slots[:b.used])
	b.used, b.free = 0, 0
}

// blockPool keeps the blocks that no lane needs at present, by size: 4, 8, 16 … slots. The
// garbage collector empties it.
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

// put takes a block back; nothing in it is needed any more.
func (p *blockPool[T]) put(b *block[T]) {
	b.reset()
	p.sizes[bits.TrailingZeros(uint(len(b.slots)))].Put(b)
}

// ceilPow2 returns the smallest power of two that is at least n; n > 0.
func ceilPow2(n int) int { return 1 << bits.Len(uint(n-1)) }
