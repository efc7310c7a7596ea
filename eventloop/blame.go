package eventloop

import "errors"

// errLate says that a handshake was not over in time.
var errLate = errors.New("eventloop: too late")

// blameOnLoop tells Config.OnFailedTLS of a peer whose TLS handshake failed for err, if that
// was the peer's doing: what it sent or showed is no good, or it began and did not go on.
// Nobody is blamed who left, said nothing, or does not trust our certificate, nor for what
// had to wait for a worker of ours. The address is the true one, behind a PROXY header.
func (c *Conn) blameOnLoop(err error) {
	tell := c.loop.s.cfg.OnFailedTLS
	l, ok := c.gc.(*layered)
	if tell == nil || !ok {
		return
	}
	g, ok := l.greeting.(*tlsGreeting)
	if !ok || g.open || g.held.Load() != heldByLoop {
		return
	}
	blamed := g.session.Blames()
	if errors.Is(err, errLate) {
		began := !g.session.Virgin() || l.wire != nil
		blamed = began && !g.shop.crowded()
	}
	if blamed {
		tell(c.remoteOnLoop().Addr())
	}
}

// crowded says whether handshakes wait for a worker: the newest comes first, so who is late
// then may have waited for us.
func (w *workshop) crowded() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.waiting) > 0
}
