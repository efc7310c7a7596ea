// Package conformance holds the node's WebSocket side to RFC 6455 and RFC 7692:
// tables of wire dialogues against the real `edgeloop echo`, spoken by a client
// of its own that shares no code with the node.
//
// # Owns
//
// The cases, the client's framing, a strict reader of what a server sends, an
// inflater that knows how far back it had to look. The sections are numbered as
// in the public Autobahn suite, which has no cases that are not here; what that
// suite lacks (handshake, minimal lengths, shortcuts of the decoder) has
// sections of its own, from 20 on.
//
// # How a case is run
//
// Whole, cut at every byte, and one byte a write, where it is small enough for
// that. Between two pieces the test waits until the node has read the first
// (the kernel tells how much is unread), so a cut is a cut. What is invalid has
// to be refused at the first byte that makes it so: the rest is never sent.
//
// `go test` runs the quick mode; `go test -conformance.full` repeats messages
// as often, and makes them as large, as the suite does. With -conformance.tls all dialogues
// are spoken over TLS; TestOverTLS has the quick mode do so with a part of them.
//
// # Goroutines
//
// Those of the tests, and the node's processes, which TestMain ends.
//
// # Not here
//
// Load and time: bench/fleet. What comes after the frames: test/e2e.
package conformance
