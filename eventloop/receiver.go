package eventloop

import (
	"time"

	"edgeloop/wsproto"
)

// Receiver hears one connection. All calls come from that connection's loop
// and must not block.
type Receiver interface {
	// Receive hands over one message; payload is borrowed until return.
	Receive(kind Kind, payload []byte)
	// Flush follows the last Receive of one read; what was gathered goes on now.
	Flush()
	// Woken is called once right after the connection was admitted, and again
	// after one or more calls of Conn.Wake.
	Woken()
	// Quiet is told for how long nothing came from the peer, and how long ago the peer was first
	// asked for a sign of life since (PingOnLoop), or NotAsked. It returns when it wants to be
	// called again, and may Ping or Close. It is first called right after Woken, then when it asked
	// to be and at some other times, also for a peer that is not silent. The clock of both values
	// stands still while the loop does. While reading is paused nobody is silent, and Quiet is
	// called with each tick.
	Quiet(idle, asked time.Duration) time.Duration
	// Closed is the last call, exactly one for each Receiver that was given to
	// the server. It may come from inside a write of the Receiver's own.
	Closed(gone *Gone)
}

// NotAsked is what Quiet is told of a peer that was not asked for a sign of life since it was last
// heard.
const NotAsked time.Duration = -1

// A Cause says why a connection ended. The list is closed; it labels metrics.
type Cause uint8

// The causes.
const (
	causeNone             Cause = iota // still open
	CausePeerClosed                    // the peer sent a Close frame and was answered
	CausePeerGone                      // end of file or a socket error without a Close frame
	CauseClosed                        // this side closed it with Conn.Close or CloseOnLoop
	CauseProtocolError                 // the peer broke its protocol: WebSocket, MQTT or TLS; the code says how
	CauseSlowConsumer                  // more than OutBuffer was waiting to be written
	CauseRefused                       // the opening was refused, or its Greeting failed
	CauseHandshakeTimeout              // no complete handshake in time
	CausePanic                         // a Receiver panicked
	CauseShutdown                      // the server stopped
	CauseMemoryFull                    // it would have taken memory beyond the second bound of Config.Memory
	CauseStalled                       // it took nothing of what waited for it for SendTimeout
	CauseCrowdedOut                    // it was not done with its handshake, and others needed its place
	CauseDenied                        // its address is one that may not come
	CauseBanned                        // its address has to stay out for a while
	numCauses
)

// NumCauses is one more than the highest cause; zero is none.
const NumCauses = int(numCauses)

// String is the metric label of the cause.
func (c Cause) String() string {
	if c >= numCauses {
		return "unknown"
	}
	return [numCauses]string{
		"none", "peer_closed", "peer_gone", "closed", "protocol_error", "slow_consumer",
		"refused", "handshake_timeout", "panic", "shutdown", "memory_full", "stalled", "crowded_out", "denied", "banned",
	}[c]
}

// Gone says how a connection ended.
type Gone struct {
	// Cause is why.
	Cause Cause
	// Code is the close code of the side that closed first; 1006 if none did.
	Code wsproto.CloseCode
	// Err is the socket's error when there was one.
	Err error
}
