package eventloop

import "net/netip"

// The layers of a connection, from the socket up; Conn.state says which is in charge.
//
//	socket    handler.go, write.go, pause_linux.go   bytes as the kernel has them
//	greeting  greeting.go, layered.go                what comes before the opening, and
//	                                                 what all bytes pass through (TLS)
//	opening   opening.go, opening_http.go            who has come, and may it stay
//	framing   framing.go, read.go                    messages
//
// MQTT over WebSocket has its own layer between greeting and opening, which is a Greeting
// too (tunnel.go).
//
// A listener without a Greeting is plain: its connections begin with the opening, and
// have nothing of this layer, not even a field.

// A Greeting is the layer between the socket of one connection and its opening. It is
// made when the first byte comes, and all its methods are called on the loop. Until it
// hands on something, or is over, nobody above has heard of the peer.
//
// While the connection is paused or being decided, the Greeting is not called, and bytes wait as
// they came, before any transformation. Of what the Greeting has already handed on, the rest of one
// Step may wait.
type Greeting interface {
	// Step takes the next piece off the front of wire, which is borrowed until return
	// and may be written to. It is also called, maybe with nothing, after Conn.Wake.
	// An error ends the connection, behind Reply. No piece may be longer than 64 KiB:
	// a peer that declares a longer one is an error, before it is waited for.
	Step(wire []byte) (Step, error)
	// Seal appends plain to dst as it goes over the wire. It is called for everything
	// that is written, unless the Greeting is over. plain is borrowed until return.
	Seal(dst, plain []byte) []byte
	// Goodbye appends to dst what says, as it goes over the wire, that nothing more
	// comes. It is called once at the most, before we shut the socket; not when the
	// peer is gone, nor once the Greeting is over.
	Goodbye(dst []byte) []byte
	// Closed is the last call, when the connection is gone or the Greeting is over.
	Closed()
}

// A Step is what a Greeting made of some bytes.
type Step struct {
	// Used is how many bytes were taken; 0: more have to come first.
	Used int
	// Plain goes to the layer above; borrowed until it is through with it, which is
	// before the next Step.
	Plain []byte
	// Reply is written to the peer as it is; borrowed until the next Step.
	Reply []byte
	// Remote is who the peer is, if that is not the other end of the socket.
	Remote netip.AddrPort
	// Fault says that nothing behind Plain can be understood. The connection fails for it, behind
	// Plain and Reply, and the layers above tell the peer in their own words.
	Fault error
	// Next takes over from this Greeting, whose Closed is called.
	Next Greeting
	// Over says that the Greeting is through: all that follows is plain.
	Over bool
	// End says that the peer sends nothing more, as if it had shut its socket. The
	// connection ends, behind Plain and Reply.
	End bool
}
