package eventloop

import "errors"

// errLate says that a handshake was not over in time.
var errLate = errors.New("eventloop: too late")

// blameOnLoop reports a peer to Config.OnFailedTLS if its TLS handshake failed with err through its
// own fault: it sent or showed something invalid, or it began and did not go on. A peer that left,
// said nothing or does not trust our certificate is not blamed, nor is one that had to wait for one
// of our workers. The address reported is the real one, behind a PROXY header.
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

// crowded reports whether handshakes wait for a worker. The newest is served first, so a peer that
// is late then may have waited for us.
func (w *workshop) crowded() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.waiting) > 0
}
