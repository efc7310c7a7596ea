package eventloop

import (
	"time"

	"go.uber.org/zap"
)

// The budgets that the accept gate keeps: sockets (MaxConnections and the
// reserve beyond it) for all listeners together, and handshakes (MaxHandshakes) for each.
// Seats are in seat.go.

// beginOnLoop counts a newcomer in. If there is no room for it, it waits, and nothing is read from
// it (lobby.go).
func (s *listener) beginOnLoop(c *Conn) {
	s.accepted.Add(1)
	s.open.Add(1)
	s.handshakes.Add(1)
	c.guest = true
	if !s.lobby.enter(c, c.gc.RemoteAddr(), time.Now()) {
		c.deafenOnLoop()
	}
	if !s.roomForMore() {
		s.crowdOut()
	}
	if !s.roomForMany() {
		s.minding()
	}
}

// decidedOnLoop is called when c is admitted, refused or lost. A refused one
// counts until it is gone.
func (s *listener) decidedOnLoop(c *Conn) {
	s.handshakes.Add(-1)
	switch {
	case c.state == stateOpen:
		s.partOnLoop(c)
	case !s.roomForMore():
		s.crowdOut()
	}
}

// partOnLoop lets c leave the lobby, and lets the next one in. The gate opens again when a quarter
// of the lobby is free, not for every single place.
func (s *listener) partOnLoop(c *Conn) {
	if !c.guest {
		return
	}
	c.guest = false
	s.lobby.leave(c)
	for next := s.lobby.next(time.Now()); next != nil; next = s.lobby.next(time.Now()) {
		_ = next.loop.post(mail{c: next, kind: mailEnter}) // a loop that has ended has closed it
	}
	if s.lobby.inside.Load() <= int64(s.lobby.most)*3/4 {
		s.minding()
	}
}

// goneOnLoop is called when c is closed.
func (s *listener) goneOnLoop(c *Conn) {
	c.leaveSeat()
	s.open.Add(-1)
	s.partOnLoop(c)
	s.minding()
}

// sockets is how many are open, or stand on a doorstep.
func (s *Server) sockets() int64 {
	n := s.open.Load()
	for _, l := range s.listeners {
		n += l.door.standing.Load()
	}
	return n
}

// roomForSocket says whether one more socket may be opened.
func (s *Server) roomForSocket() bool {
	return s.sockets() < s.limit.Load()+int64(s.cfg.RefuseReserve)
}

// roomInside says whether one more may be read from.
func (s *listener) roomInside() bool {
	return s.lobby.inside.Load() < int64(s.lobby.most) && s.lobby.waiting.Load() == 0
}

// roomForMore says whether another connection may be accepted.
func (s *listener) roomForMore() bool {
	return s.roomForSocket() && s.roomInside()
}

// roomForMany says whether as many as wait may be accepted.
func (s *listener) roomForMany() bool { return s.roomForMore() && !s.nearLimit() && !s.crowded() }

// minding sets the gates by what is open now. Call it after each change
// of a number that roomForMore looks at.
func (s *Server) minding() {
	for _, l := range s.listeners {
		if err := l.gate.mind(l.roomForMany); err != nil {
			s.log.Warn("accept gate is stuck", zap.String("listener", l.row.Name), zap.Error(err))
		}
		if l.useTurnstile() {
			l.callTurnstile()
		}
	}
}
