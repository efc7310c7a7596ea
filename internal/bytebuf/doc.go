// Package bytebuf lends byte buffers in seven size classes and takes them back.
//
// # Owns
// The spare buffers: one sync.Pool a class, so that the garbage collector
// gives idle memory back to the system.
//
// # Goroutines
// None. A Pool may be used from any goroutine; a Buf belongs to one at a time.
//
// # Memory
// Get passes ownership of a Buf to the caller, Put passes it back. After Put
// neither the Buf nor any slice of its bytes may be touched: another goroutine
// may hold them by then. Builds with invariants overwrite the bytes at Put and
// panic on a second Put.
//
// # Errors
// None.
//
// # When full
// The pool has no bound of its own: what a caller may hold is the caller's
// limit to keep. Buffers above 1 MiB are never kept.
//
// # Not here
// Allocating from a length that a peer declared. Ask for what has arrived, and
// Grow as more does.
package bytebuf
