package proxyproto

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
)

// MaxHeader is the largest header that is taken, in bytes. Version 1 has at most 107
// (section 2.1). Version 2 may declare 64 KiB of extensions, of which none is used here;
// those that proxies send take some hundred bytes, with a client certificate some
// thousand.
const MaxHeader = 4 << 10

// maxV1 is the longest line of version 1, its CRLF included (section 2.1).
const maxV1 = 107

// What is wrong with a header. Nothing in one of them comes from the peer.
var (
	ErrNoHeader = errors.New("proxyproto: no PROXY header, which every connection from this address has to begin with")
	ErrTooLong  = errors.New("proxyproto: the PROXY header is longer than 4 KiB")
	ErrLine     = errors.New("proxyproto: malformed PROXY line of version 1")
	ErrVersion  = errors.New("proxyproto: PROXY header of a version or command that is not known")
	ErrAddress  = errors.New("proxyproto: the addresses of the PROXY header do not fit its length, or are no TCP")
)

// signature begins a header of version 2 (section 2.2).
const signature = "\r\n\r\n\x00\r\nQUIT\n"

// Parse reads the header at the front of b, and says how many bytes it has. n is 0
// without an error while more have to come first: at most MaxHeader in all.
//
// source is the peer of the proxy. It is not valid where the proxy speaks for itself, as
// for a health check (LOCAL, section 2.2), or does not say (UNKNOWN, unspecified
// addresses): then the connection is the proxy's own. Addresses of IPv4 in IPv6 are given
// as IPv4.
func Parse(b []byte) (source netip.AddrPort, n int, err error) {
	switch {
	case len(b) == 0:
		return source, 0, nil
	case b[0] == 'P':
		return parseLine(b)
	case b[0] == signature[0]:
		return parseBinary(b)
	}
	return source, 0, ErrNoHeader
}

// parseLine reads version 1: "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n".
func parseLine(b []byte) (source netip.AddrPort, n int, err error) {
	const word = "PROXY "
	if got := b[:min(len(b), len(word))]; string(got) != word[:len(got)] {
		return source, 0, ErrNoHeader
	}
	end := bytes.IndexByte(b[:min(len(b), maxV1)], '\n')
	if end < 0 {
		if len(b) >= maxV1 {
			return source, 0, ErrLine
		}
		return source, 0, nil
	}
	line, ok := bytes.CutSuffix(b[len(word):end], []byte("\r"))
	if !ok {
		return source, 0, ErrLine
	}
	n = end + 1
	family, rest, _ := bytes.Cut(line, []byte(" "))
	switch string(family) {
	case "UNKNOWN": // the rest is to be ignored
		return source, n, nil
	case "TCP4", "TCP6":
	default:
		return source, 0, ErrLine
	}
	from, rest, _ := bytes.Cut(rest, []byte(" "))
	to, rest, _ := bytes.Cut(rest, []byte(" "))
	fromPort, toPort, _ := bytes.Cut(rest, []byte(" "))
	wants4 := family[3] == '4'
	src, ok1 := address(from, wants4)
	_, ok2 := address(to, wants4)
	port, ok3 := decimal(fromPort)
	_, ok4 := decimal(toPort)
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return source, 0, ErrLine
	}
	return netip.AddrPortFrom(src.Unmap(), port), n, nil
}

// address reads one of the family that the line names.
func address(text []byte, wants4 bool) (netip.Addr, bool) {
	a, err := netip.ParseAddr(string(text))
	return a, err == nil && a.Is4() == wants4 && a.Zone() == ""
}

// decimal reads a port, without leading zeros (section 2.1).
func decimal(text []byte) (port uint16, ok bool) {
	if len(text) == 0 || len(text) > 5 || (text[0] == '0' && len(text) > 1) {
		return 0, false
	}
	v := 0
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		v = 10*v + int(c-'0')
	}
	return uint16(v), v <= 1<<16-1 //nolint:gosec // looked at here
}

// parseBinary reads version 2 (section 2.2).
func parseBinary(b []byte) (source netip.AddrPort, n int, err error) {
	const fixed = len(signature) + 4
	if got := b[:min(len(b), len(signature))]; string(got) != signature[:len(got)] {
		return source, 0, ErrNoHeader
	}
	if len(b) < fixed {
		return source, 0, nil
	}
	const (
		local = 0x20
		proxy = 0x21
	)
	command, family := b[12], b[13]
	if command != local && command != proxy {
		return source, 0, ErrVersion
	}
	length := int(binary.BigEndian.Uint16(b[14:]))
	if fixed+length > MaxHeader {
		return source, 0, ErrTooLong
	}
	if len(b) < fixed+length {
		return source, 0, nil
	}
	n = fixed + length
	if command == local { // the family is to be ignored
		return source, n, nil
	}
	// Behind the addresses come extensions, which nobody here asks for.
	body := b[fixed:n]
	switch {
	case family == 0x00: // unspecified: the proxy does not say
		return source, n, nil
	case family == 0x11 && length >= 12: // TCP over IPv4
		a, _ := netip.AddrFromSlice(body[0:4])
		return netip.AddrPortFrom(a, binary.BigEndian.Uint16(body[8:])), n, nil
	case family == 0x21 && length >= 36: // TCP over IPv6
		a, _ := netip.AddrFromSlice(body[0:16])
		return netip.AddrPortFrom(a.Unmap(), binary.BigEndian.Uint16(body[32:])), n, nil
	case family == 0x31 && length >= 216: // a Unix socket, which has no address
		return source, n, nil
	}
	return source, 0, ErrAddress
}
