// Package bytebuf lends byte buffers in size classes, takes them back, and counts the capacity that
// is lent.
//
// # Owns
// The spare buffers, in one sync.Pool for each class, so that the garbage collector returns idle
// memory to the system; and the count of lent buffers.
//
// # Goroutines
// None. A Pool may be used from any goroutine; a Buf belongs to one at a time.
//
// # Memory
// Get passes ownership of a Buf to the caller, Put passes it back. After Put the caller must not touch
// the Buf or any slice of its bytes: another goroutine may hold them by then. Builds with invariants overwrite the bytes at Put and
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
// Allocating from a length that a peer declared. Get a buffer for the bytes that have arrived, and
// Grow it as more arrive.
package bytebuf
