package eventloop

import (
	"errors"
	"net"
	"net/http"
	"net/netip"

	"edgeloop/wsproto"
)

// The opening in HTTP: the header block of a WebSocket handshake, and the answer to
// it. What is decided in between is in opening.go, and knows nothing of it.

// httpOpening has no state.
type httpOpening struct{}

// helloOnLoop gathers the header block of the opening handshake and, when it is
// whole, has it checked and decided. in is borrowed until return.
func (o httpOpening) helloOnLoop(c *Conn, in []byte) {
	s := c.loop.s
	block := in
	if c.hold != nil { // the block came in pieces, of which FindHeaderBlock allows only so many bytes
		c.holdOnLoop(in)
		block = c.hold.B
	}
	n, err := wsproto.FindHeaderBlock(block, &s.handshake)
	if err != nil {
		o.faultOnLoop(c, err)
		return
	}
	if n == 0 {
		if c.hold == nil {
			c.holdOnLoop(in)
		}
		return
	}
	h := s.getHello(c)
	h.block = append(h.block[:0], block[:n]...) // the one copy: the block outlives this read
	rest := block[n:]
	if held := c.hold; held != nil {
		c.hold = nil
		defer s.memory.Parts.Put(held)
	}
	if err := h.upgrade.Parse(&s.handshake, h.block); err != nil {
		s.putHello(h)
		o.faultOnLoop(c, err)
		return
	}
	h.Credentials = presented(&h.upgrade)
	h.Listener = c.listener().row.Name
	cause := causeNone
	if h.Remote, cause = c.forwardedOnLoop(&h.upgrade, c.remoteOnLoop()); cause != causeNone {
		s.putHello(h)
		c.turnAwayOnLoop(s.notFromThere(cause), cause)
		return
	}
	h.Certificate = c.CertificateOnLoop()
	if h.Protocol == mqttSubprotocol {
		c.tunnelOnLoop(h, rest)
		return
	}
	c.decideOnLoop(h, rest)
}

// presented is what a peer presents in a handshake.
func presented(w *wsproto.Handshake) Credentials {
	return Credentials{
		Path: w.Path, Query: w.Query, Host: w.Host, Origin: w.Origin,
		Authorization: w.Authorization, Bearer: w.BearerProtocol,
		Protocol: w.Protocol, Offered: w.Offered,
	}
}

func addrPortOf(addr net.Addr) netip.AddrPort {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := tcp.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// yesOnLoop appends the 101.
func (httpOpening) yesOnLoop(c *Conn, h *Hello, dst []byte) []byte {
	wsFraming{}.begin(c, h)
	return h.upgrade.AppendResponse(dst)
}

// faultOnLoop refuses a request that is none.
func (httpOpening) faultOnLoop(c *Conn, err error) {
	if !c.noteRefusedOnLoop(CauseRefused) {
		return
	}
	var r *wsproto.Refusal
	if !errors.As(err, &r) {
		r = &wsproto.Refusal{Status: http.StatusBadRequest, Reason: err.Error()}
	}
	c.loop.scratch = r.Append(c.loop.gatherOnLoop(c))
	c.lingerOnLoop()
}

// noOnLoop gathers a refusal.
func (httpOpening) noOnLoop(c *Conn, r *Refusal) {
	c.loop.scratch = inHTTP(r).Append(c.loop.gatherOnLoop(c))
}

// inHTTP is a refusal as HTTP puts it.
func inHTTP(r *Refusal) *wsproto.Refusal {
	status := [numReasons]int{
		ReasonMalformed:    http.StatusBadRequest,
		ReasonName:         http.StatusBadRequest,
		ReasonRetain:       http.StatusBadRequest,
		ReasonUnauthorized: http.StatusUnauthorized,
		ReasonForbidden:    http.StatusForbidden,
		ReasonNotFound:     http.StatusNotFound,
		ReasonUnavailable:  http.StatusServiceUnavailable,
		ReasonQuota:        http.StatusTooManyRequests,
		ReasonInternal:     http.StatusInternalServerError,
	}[r.Reason]
	return &wsproto.Refusal{Status: status, Reason: r.Text, RetryAfter: r.RetryAfter}
}
