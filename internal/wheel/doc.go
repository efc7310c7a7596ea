// Package wheel keeps very many coarse timers that are pushed back often and rarely fire: how long has
// each connection been quiet?
//
// # Owns
// A slab of 16-byte nodes without pointers, linked into the slots of a timer
// wheel by index. The garbage collector never looks inside, and a connection
// holds only the 4-byte id of its node.
//
// Moving a timer is lazy: Touch stores the current tick in the node and leaves it in its slot. When the
// wheel reaches that slot the timer fires, and its owner says when to look again; by then it may want
// a different wait. So a busy connection costs one store per message and one call per wait, whatever
// its traffic. Due timers fire in slices, as many as the caller has time for.
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
// The clock (the caller defines a tick), and what silence means: that policy is in package
// devicemgr.
package wheel
