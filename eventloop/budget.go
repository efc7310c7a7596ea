package eventloop

import "go.uber.org/zap"

// The budgets that the accept gate keeps: sockets (MaxConnections and the
// reserve beyond it), places (MaxConnections) and handshakes (MaxHandshakes).

// seatOnLoop takes one of MaxConnections for c; false if there is none left.
// Who has said nothing yet, or was refused, has none.
func (s *Server) seatOnLoop(c *Conn) bool {
	if s.seats.Add(1) > s.limit.Load() {
		s.seats.Add(-1)
		return false
	}
	c.seated = true
	return true
}

func (s *Server) unseatOnLoop(c *Conn) {
	if c.seated {
		c.seated = false
		s.seats.Add(-1)
	}
}

// patientTicks is how long a newcomer that says nothing counts towards
// MaxHandshakes. It costs no more than its socket, and a few hundred of its kind
// must not keep the devices out until they all have timed out.
const patientTicks = 2

// beginOnLoop counts a newcomer.
func (s *Server) beginOnLoop(c *Conn) {
	s.accepted.Add(1)
	s.open.Add(1)
	s.handshakes.Add(1)
	s.chargeOnLoop(c)
}

// chargeOnLoop makes c count towards MaxHandshakes.
func (s *Server) chargeOnLoop(c *Conn) {
	if c.charged {
		return
	}
	c.charged = true
	s.charged.Add(1)
	if !s.roomForMore() {
		s.minding()
	}
}

// dischargeOnLoop ends that. The gate opens again when half is free, not for
// every single one.
func (s *Server) dischargeOnLoop(c *Conn) {
	if !c.charged {
		return
	}
	c.charged = false
	if s.charged.Add(-1) <= int64(s.cfg.MaxHandshakes)/2 {
		s.minding()
	}
}

// decidedOnLoop is called when c is admitted, refused or lost.
func (s *Server) decidedOnLoop(c *Conn) {
	s.handshakes.Add(-1)
	s.dischargeOnLoop(c)
}

// goneOnLoop is called when c is closed.
func (s *Server) goneOnLoop(c *Conn) {
	s.unseatOnLoop(c)
	s.open.Add(-1)
	s.minding()
}

// roomForMore says whether another connection may be accepted.
func (s *Server) roomForMore() bool {
	return s.open.Load() < s.limit.Load()+int64(s.cfg.RefuseReserve) &&
		s.charged.Load() < int64(s.cfg.MaxHandshakes)
}

// minding sets the gate by what is open now. Whoever changes a number that
// roomForMore looks at calls it afterwards.
func (s *Server) minding() {
	if err := s.gate.mind(s.roomForMore); err != nil {
		s.log.Warn("accept gate is stuck", zap.Error(err))
	}
}
