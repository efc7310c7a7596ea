package eventloop

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// The doorman is asked (Config.Doorman) where the real address is first known: at the accept, after
// the PROXY header or, for a proxy that speaks HTTP, after the request. It is asked about the
// addresses that proxies pass on, not about the proxies themselves.

// judge says whether a peer with this address may come, as far as that is known now.
func (l *listener) judge(addr netip.Addr) Cause {
	trusted := l.cfg.TrustedProxies
	if l.cfg.Doorman == nil || (trusted != nil && !l.row.MQTT && trusted(addr)) { // MQTT has no fields to say it
		return causeNone
	}
	return l.cfg.Doorman(addr)
}

// turnsAway judges a newcomer at the accept, and counts one that may not stay. Any
// goroutine.
func (l *listener) turnsAway(addr netip.Addr) bool {
	if l.row.Proxies != nil && l.row.Proxies(addr) {
		return false // whose it is comes with its header
	}
	cause := l.judge(addr)
	if cause == causeNone {
		return false
	}
	l.accepted.Add(1)
	l.away[cause].Add(1)
	return true
}

// notFromThere is what a peer behind a proxy hears.
func (s *Server) notFromThere(cause Cause) *Refusal {
	if cause == CauseBanned {
		return s.later("this address failed too often to prove who it is")
	}
	return &Refusal{Reason: ReasonForbidden, Text: "this address may not connect"}
}

// addressOf is the peer's address of a socket that was accepted.
func addressOf(sa unix.Sockaddr) netip.Addr {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrFrom4(sa.Addr)
	case *unix.SockaddrInet6:
		return netip.AddrFrom16(sa.Addr).Unmap()
	}
	return netip.Addr{}
}
