// Package presence keeps up elsewhere who is connected to this node: a key for each device,
// that ends by itself when nobody sets it again.
//
// # Owns
//
// Which devices are here, as Tell said last, and when each has to be set again: twice within its
// time to live, spread over it.
//
// # Goroutines
//
// One for each board; Start starts it, Stop ends it and waits.
//
// # Memory
//
// About 200 B for each device that is here; what waits to be written is the last state of a
// device alone.
//
// # When full
//
// While the other side is away, at most 65,536 devices that went wait to be written: those beyond
// are counted (Dropped), and their keys end by themselves.
//
// # Errors
//
// A failure is of the moment: it is tried again with growing delays, and then every device that
// is here is set again. A key that the other side never takes is counted and passed over.
//
// # Not here
//
// The other side, in a package of its kind in sink.
package presence
