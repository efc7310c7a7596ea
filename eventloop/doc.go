// Package eventloop holds the sockets: gnet reactor loops that read, cut and
// write WebSocket frames and MQTT packets without a goroutine per connection.
//
// Bytes pass through layers: socket, greeting, opening, framing (greeting.go).
//
// # Owns
//
// The gnet engine, the table of listeners (listener.go), every [Conn] with its buffers and its place on the timer
// wheel, the accept gate, and the pausing of reads. What bytes mean is
// wsproto's; what messages mean is the [Receiver]'s.
//
// # Goroutines
//
// One per event loop, one acceptor and one ticker, all started by gnet in
// [Server.Run] and ended by [Server.Stop]. Near the limits, and after a failed
// accept, a goroutine of our own accepts in its place (turnstile.go). A loop
// that has more to do than one turn takes starts a bell-ringer, which tells it to
// come again and ends (turn.go). Run waits for all of them.
// Receivers are called on the loop of their connection and must not block.
//
// # Memory
//
// Bytes are decoded in place in the loop's own read buffer; what a Receiver is
// handed is borrowed until it returns. A connection between messages holds no
// buffer. What waits to be written is bounded by Config.OutBuffer for each
// connection. What waits to be read, and what has not arrived in full, is lent by the
// pools of Config.Memory and bounded for all connections together (memory.go). An idle
// connection costs 528 bytes of heap, 382 of them gnet's.
//
// # Errors
//
// [Server.Run] returns an error when the engine could not start or returned
// without having been asked to. A connection's end is told to its Receiver as
// a [*Gone] with a [Cause] from a closed list.
//
// # When full
//
// A connection that does not read is closed with [CauseSlowConsumer] when more
// than OutBuffer waits for it. A Receiver that cannot take more pauses its
// connection; TCP then holds the device back. New connections beyond
// MaxConnections are answered 503, and beyond the reserve they wait in the
// kernel's backlog, because the accept gate is closed.
//
// # Not here
//
// Who a device is (gateway, devicemgr), what silence means (devicemgr.Silence),
// and the records and the handshake of TLS (tlsrec); tls.go only schedules them.
package eventloop
