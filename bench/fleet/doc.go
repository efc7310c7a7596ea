// Package fleet is the client side of a load test: up to a million simulated
// devices, each a real connection of WebSocket or MQTT, driven by a few epoll loops.
//
// It speaks to a node from outside and therefore shares no code with it: frames
// are made and read with gobwas/ws, envelopes and the packets of MQTT are written and
// read here, tokens are signed here, TLS is crypto/tls's. A fault in the node's own codec cannot cancel itself out.
//
// # Owns
//
// The sockets, the accounts of what was sent and what came back (lost,
// duplicated, reordered, corrupted), and the latency histograms.
//
// # Goroutines
//
// One per loop (Config.Loops), started by New, ended and waited for by Close.
// There is no goroutine per connection.
//
// # Memory
//
// A connection without traffic is about 100 bytes, with TLS 15 KB. Buffers for bytes that
// arrived in pieces or that the kernel did not take exist only while needed.
//
// # Errors
//
// New reports a configuration that cannot work. What happens to a connection
// is never an error of the fleet: it is counted, and Snapshot says how often.
//
// # When full
//
// A paced message that finds its connection's window and queue full is counted
// as Overrun and not sent.
//
// # Not here
//
// What to do in which order (package bench), reading the server's memory and
// CPU (package probe).
package fleet
