package eventloop

import "sync/atomic"

// loopStats are one loop's counters. Only that loop writes them, so they cost
// an uncontended store; the padding keeps two loops off one cache line.
type loopStats struct {
	// Atomic.
	admitted          atomic.Uint64
	refused           atomic.Uint64
	handshakeTimeouts atomic.Uint64
	bytesIn           atomic.Uint64
	bytesOut          atomic.Uint64
	messagesIn        atomic.Uint64
	framesOut         atomic.Uint64
	writes            atomic.Uint64
	panics            atomic.Uint64
	paused            atomic.Int64
	gone              [numCauses]atomic.Uint64
	_                 [64]byte
}

// Stats is a snapshot of the server's counters, summed over its loops.
type Stats struct {
	// Open connections, handshakes included; Handshakes of them are not decided.
	Open, Handshakes int64
	// Paused is how many are not being read from now.
	Paused int64
	// Accepted, Admitted and Refused count connections since the start.
	Accepted, Admitted, Refused uint64
	// HandshakeTimeouts counts connections that never completed a handshake.
	HandshakeTimeouts uint64
	// BytesIn and BytesOut are bytes read from and written to sockets.
	BytesIn, BytesOut uint64
	// MessagesIn counts messages taken in; FramesOut frames posted by Send;
	// Writes write calls.
	MessagesIn, FramesOut, Writes uint64
	// Panics counts contained panics of Receivers.
	Panics uint64
	// Gone counts ended connections by Cause.
	Gone [NumCauses]uint64
	// GateShut says whether new connections wait in the backlog; GateCloses how
	// often they had to.
	GateShut   bool
	GateCloses uint64
	// AcceptFailures counts failed accepts (turnstile.go).
	AcceptFailures uint64
}

// Stats adds up the counters; any goroutine.
func (s *Server) Stats() Stats {
	st := Stats{
		Open:           s.open.Load(),
		Handshakes:     s.handshakes.Load(),
		Accepted:       s.accepted.Load(),
		AcceptFailures: s.acceptFailures.Load(),
	}
	for _, l := range s.listeners {
		standing, sentAway, left := l.door.standing.Load(), l.door.sentAway.Load(), l.door.left.Load()
		st.Open, st.Handshakes = st.Open+standing, st.Handshakes+standing
		st.Accepted += uint64(standing) + sentAway + left //nolint:gosec // not negative
		st.Gone[CauseCrowdedOut] += sentAway
		st.Gone[CausePeerGone] += left
		for i := range st.Gone {
			st.Gone[i] += l.away[i].Load()
		}
	}
	st.GateShut, st.GateCloses = s.gateState()
	for _, l := range s.loops() {
		c := &l.stats
		st.Paused += c.paused.Load()
		st.Admitted += c.admitted.Load()
		st.Refused += c.refused.Load()
		st.HandshakeTimeouts += c.handshakeTimeouts.Load()
		st.BytesIn += c.bytesIn.Load()
		st.BytesOut += c.bytesOut.Load()
		st.MessagesIn += c.messagesIn.Load()
		st.FramesOut += c.framesOut.Load()
		st.Writes += c.writes.Load()
		st.Panics += c.panics.Load()
		for i := range st.Gone {
			st.Gone[i] += c.gone[i].Load()
		}
	}
	return st
}
