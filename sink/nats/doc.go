// Package nats sends records to another NATS: into a stream of JetStream, which confirms each
// and drops what comes twice by its message id, or over core NATS, which keeps nothing.
//
// # Order
//
// Into a stream that takes atomic batches a batch goes as one, which is stored whole or not at all.
// Else, and where it was not, up to window records are on their way at once, of each device one (sink.Turns).
// A connection in which one got no answer is given up, and nothing is repeated in it.
//
// # Errors
//
// A record larger than the server or the stream takes is refused. All else is of the moment:
// no stream for the subject, no leave, no server.
//
// # Goroutines
//
// Those of nats.go, for as long as there is a connection; Close ends them. During a Send those of
// sink.Turns.
package nats
