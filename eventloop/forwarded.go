package eventloop

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"

	"edgeloop/wsproto"
)

// A proxy that speaks HTTP names the origin of a request in a header field: X-Forwarded-For, or
// Forwarded (RFC 7239). Each proxy on the way appends the address from which it got the request;
// what a device has put there itself stands before that. So the lists are read from their end, up
// to the first address that is no proxy of ours.

// forwardedOnLoop returns who sent the request that came from peer, and why that one may not
// come; a peer that is no proxy was judged before.
func (c *Conn) forwardedOnLoop(w *wsproto.Handshake, peer netip.AddrPort) (netip.AddrPort, Cause) {
	trusted, doorman := c.loop.s.cfg.TrustedProxies, c.loop.s.cfg.Doorman
	if trusted == nil || !trusted(peer.Addr()) {
		return peer, causeNone
	}
	// A proxy that begins its connections with a PROXY header names their origin there. If it named
	// none, it passes on the bytes of a peer that it does not know, and these fields are among
	// them.
	if socket := c.gc.RemoteAddr(); peer == addrPortOf(socket) && c.listener().fromProxy(socket) {
		return peer, causeNone
	}
	source, known := sourceBehind(trusted, w, peer)
	switch {
	case doorman == nil:
		return source, causeNone
	case !known: // or a device could hide by what it writes there
		return source, CauseDenied
	}
	return source, doorman(source.Addr())
}

// sourceBehind returns who sent a request that a trusted proxy has passed on: the proxy
// itself, where it does not say. known is false where what it says does not tell.
func sourceBehind(trusted func(netip.Addr) bool, w *wsproto.Handshake, peer netip.AddrPort) (_ netip.AddrPort, known bool) {
	one, said := client(trusted, forwardedFor(w))
	other, alsoSaid := client(trusted, forwarded(w))
	switch {
	case said && alsoSaid && one != other:
		// A proxy writes one of them, and passes on the other as the device wrote it:
		// which is which cannot be known here, so neither is believed.
		return peer, false
	case said && one.IsValid():
		return netip.AddrPortFrom(one, 0), true
	case alsoSaid && other.IsValid():
		return netip.AddrPortFrom(other, 0), true
	}
	return peer, !said && !alsoSaid
}

// client is the last of the addresses that is no trusted proxy. said is false for an
// empty list; the address is not valid where it cannot be read.
func client(trusted func(netip.Addr) bool, all []string) (_ netip.Addr, said bool) {
	for i, text := range slices.Backward(all) {
		addr, ok := node(text)
		if !ok {
			return netip.Addr{}, true
		}
		if !trusted(addr) || i == 0 {
			return addr, true
		}
	}
	return netip.Addr{}, false
}

// forwardedFor are the entries of all X-Forwarded-For lines.
func forwardedFor(w *wsproto.Handshake) (all []string) {
	for value := range w.Fields("X-Forwarded-For") {
		for entry := range bytes.SplitSeq(value, []byte(",")) {
			all = append(all, strings.TrimSpace(string(entry)))
		}
	}
	return all
}

// forwarded are the "for" parameters of all Forwarded lines; one without is "".
func forwarded(w *wsproto.Handshake) (all []string) {
	for value := range w.Fields("Forwarded") {
		// No address has a comma or a semicolon, so one in quotes only makes an entry
		// that cannot be read.
		for element := range strings.SplitSeq(string(value), ",") {
			who := ""
			for pair := range strings.SplitSeq(element, ";") {
				if name, v, _ := strings.Cut(strings.TrimSpace(pair), "="); strings.EqualFold(name, "for") {
					who = strings.Trim(v, `"`)
				}
			}
			all = append(all, who)
		}
	}
	return all
}

// node reads an address with or without a port: 192.0.2.1, 192.0.2.1:5, 2001:db8::1,
// [2001:db8::1], [2001:db8::1]:5. RFC 7239 6
func node(text string) (netip.Addr, bool) {
	if ap, err := netip.ParseAddrPort(text); err == nil {
		return ap.Addr().Unmap().WithZone(""), true
	}
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	return addr.Unmap().WithZone(""), err == nil
}
