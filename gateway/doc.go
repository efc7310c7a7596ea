// Package gateway is the path of a message, both ways. Read link.go first: it is
// the whole way of a message from its socket to the log and of the ack back.
//
// # Owns
//
// Admission (who may connect, and when), the link between a connection and a
// device's session, the window, sequences and acknowledgements, commands and
// their replies, limits that change while running, overload outcomes, drain.
//
// # Goroutines
//
// None per device. Link methods run on the loop of their connection (eventloop.Receiver) or on the
// device's lane (pool). New starts two goroutines, which Close ends: one notices that the wall
// clock was set, for the tokens' sake (expiry.go), and one tells the store which Wills wait
// (wills.go).
//
// # Memory
//
// Bytes of a message are copied once, in link.Receive, into a pooled buffer that
// goes to the lane; the log copies again what it stores. What a device may have
// on the way is bounded by its window, in messages and in bytes. What all hold is
// counted by the pools that lend it, which the event loop shares (Gateway.Memory), and
// bounded by Config.InFlight: reading pauses there (memory.go), and a quarter above it
// connections that would take more are closed.
//
// # Errors
//
// What a device did wrong is told to the device: an HTTP answer before
// admission, an error message or a close code after it. A log that cannot store
// is not an error here: Append blocks, lanes fill, reading pauses.
//
// # When full
//
// Every refusal and drop is a value of Drop, counted. Messages that are
// acknowledged are never dropped: their device is held back instead.
//
// # Not here
//
// Bytes and sockets (eventloop), the encoding (envelope), the durable log
// (backbone), HTTP (admin).
package gateway
