// Package tlsrec speaks TLS over byte slices: no socket, no goroutine that waits, no clock
// of its own.
//
// # Owns
//
// A Server holds the certificate and counts; a Session is the TLS of one connection. The
// handshake is crypto/tls's own, as a coroutine: Session.Advance runs it until it needs
// the peer's next record, so a worker is never held by a peer that is slow. After it, Open
// and Seal turn records into bytes and back: those of crypto/tls, or, for TLS 1.3 where
// Config.OwnRecords says so, own.go, which is given the secrets and lets the rest go.
//
// # Goroutines
//
// None that runs by itself. A handshake under way keeps the stack of its coroutine, until
// it is over or Session.Close.
//
// # Memory
//
// What is handed in is borrowed until return. Before the handshake is over a peer makes a
// Session hold no more than handshakeBytes of what it sent, and after it barrenBytes.
//
// # Errors
//
// New says which file cannot be used, and why. What a Session returns ends its connection;
// Alert of it is to be sent first. No error holds key material.
//
// # When full
//
// A handshake that takes more than handshakeRecords or handshakeBytes fails
// (OutcomeTooLong). A peer that then sends more than barrenBytes in a row in which there is
// no data fails Open.
//
// # Not here
//
// Where the records come from, how many handshakes there may be at a time and how long
// each may take: package eventloop. Who runs Advance: cmd/edgeloop.
package tlsrec
