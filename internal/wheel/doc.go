// Package wheel keeps very many coarse timers that are pushed back all the time
// and seldom fire: how long has each connection been quiet?
//
// # Owns
// A slab of 16-byte nodes without pointers, linked into the slots of a timer
// wheel by index. The garbage collector never looks inside, and a connection
// holds only the 4-byte id of its node.
//
// Re-slotting is lazy: Touch stores the current tick into the node and leaves
// it where it is. When the wheel comes to the slot where the node lies, the timer
// fires, and its owner, who may want another wait by now than when it was set,
// says when to look again. A busy connection so costs one store per message and
// one call per wait, whatever its traffic. Timers that are due are fired in
// slices, as many as the caller has time for.
//
// # Goroutines
// None. A Wheel is used by one goroutine, or under the caller's lock.
//
// # Memory
// The slab grows to the largest number of timers that lived at once and does
// not shrink; ids of removed timers are reused at once.
//
// # Errors
// None. Using an id after Remove is a bug of the caller; builds with
// invariants panic on it.
//
// # When full
// Nothing is refused: the caller bounds the number of connections.
//
// # Not here
// The clock (a tick is what the caller says it is) and what silence means:
// package devicemgr has that policy.
package wheel
