// Package bytebuf lends byte buffers in size classes, takes them back, and counts
// by capacity what is lent.
//
// # Owns
// The spare buffers, and the count of those that are lent: one sync.Pool a class, so that the garbage collector
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
// Get never fails. A Budget counts what three pools have lent and says when the
// two bounds of the node's memory are reached; the borrowers then stop reading,
// or close a connection. Buffers above 1 MiB are never kept.
//
// # Not here
// Allocating from a length that a peer declared. Ask for what has arrived, and
// Grow as more does.
package bytebuf
