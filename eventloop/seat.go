package eventloop

// Seats. MaxConnections counts the connections that are admitted. One that has said nothing yet, is
// being decided or was refused has no seat; MaxHandshakes and RefuseReserve bound those. Only the
// Acceptor knows which device has come. A device that comes back while its old socket is still
// there takes over that one's seat, so a full node lets it in. If the Acceptor takes no seat, Admit
// does.

// moveSeat replaces the seat bits from by to in Conn.signals. false: they were not from.
func (c *Conn) moveSeat(from, to uint32) bool {
	for {
		old := c.signals.Load()
		if old&(seatTaken|seatOver) != from {
			return false
		}
		if c.signals.CompareAndSwap(old, old&^(seatTaken|seatOver)|to) {
			return true
		}
	}
}

// TakeSeat takes one of MaxConnections for c, if it has none; false if there is none
// left. Any goroutine.
func (c *Conn) TakeSeat() bool {
	if c.signals.Load()&seatTaken != 0 {
		return true
	}
	s := c.loop.s
	if s.seats.Add(1) > s.limit.Load() {
		s.seats.Add(-1)
		return false
	}
	if !c.moveSeat(0, seatTaken) {
		s.seats.Add(-1) // it is gone, and needs none
	}
	return true
}

// TakeSeatOf takes over the seat of old, which keeps its socket until it is closed. It
// fails only where old has none any more and the node is full. Any goroutine.
func (c *Conn) TakeSeatOf(old *Conn) bool {
	if !old.moveSeat(seatTaken, seatOver) {
		return c.TakeSeat()
	}
	if !c.moveSeat(0, seatTaken) {
		c.loop.s.seats.Add(-1)
	}
	return true
}

// leaveSeat gives up what seat c has, for good.
func (c *Conn) leaveSeat() {
	if c.moveSeat(seatTaken, seatOver) {
		c.loop.s.seats.Add(-1)
		return
	}
	c.moveSeat(0, seatOver)
}

// Gone says that the connection is closed, or about to be. Any goroutine.
func (c *Conn) Gone() bool { return c.signals.Load()&signalClosed != 0 }
