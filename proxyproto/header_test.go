package proxyproto_test

import (
	"bufio"
	"bytes"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	oracle "github.com/pires/go-proxyproto"

	"edgeloop/proxyproto"
)

const v2 = "\r\n\r\n\x00\r\nQUIT\n"

var headers = []struct {
	name, text string
	want       string // source; "" for none
	err        error
}{
	{"v1 IPv4", "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n", "192.0.2.1:56324", nil},
	{"v1 IPv6", "PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n", "[2001:db8::1]:1", nil},
	{"v1 unknown", "PROXY UNKNOWN\r\n", "", nil},
	{"v1 unknown and more", "PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", "", nil},
	{"v1 longest", "PROXY UNKNOWN " + strings.Repeat("x", 91) + "\r\n", "", nil},
	{"v1 too long", "PROXY UNKNOWN " + strings.Repeat("x", 92) + "\r\n", "", proxyproto.ErrLine},
	{"v1 bare LF", "PROXY TCP4 192.0.2.1 198.51.100.1 1 2\n", "", proxyproto.ErrLine},
	{"v1 wrong family", "PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n", "", proxyproto.ErrLine},
	{"v1 family mixed", "PROXY TCP6 2001:db8::1 192.0.2.1 1 2\r\n", "", proxyproto.ErrLine},
	{"v1 zone", "PROXY TCP6 fe80::1%eth0 fe80::2 1 2\r\n", "", proxyproto.ErrLine},
	{"v1 port too large", "PROXY TCP4 192.0.2.1 198.51.100.1 65536 2\r\n", "", proxyproto.ErrLine},
	{"v1 leading zero", "PROXY TCP4 192.0.2.1 198.51.100.1 01 2\r\n", "", proxyproto.ErrLine},
	{"v1 sign", "PROXY TCP4 192.0.2.1 198.51.100.1 +1 2\r\n", "", proxyproto.ErrLine},
	{"v1 two spaces", "PROXY TCP4  192.0.2.1 198.51.100.1 1 2\r\n", "", proxyproto.ErrLine},
	{"v1 a word more", "PROXY TCP4 192.0.2.1 198.51.100.1 1 2 3\r\n", "", proxyproto.ErrLine},
	{"v1 UDP", "PROXY UDP4 192.0.2.1 198.51.100.1 1 2\r\n", "", proxyproto.ErrLine},
	{"v1 small", "proxy TCP4 192.0.2.1 198.51.100.1 1 2\r\n", "", proxyproto.ErrNoHeader},
	{"v2 IPv4", v2 + "\x21\x11\x00\x0c\xc0\x00\x02\x01\xc6\x33\x64\x01\xdc\x04\x01\xbb", "192.0.2.1:56324", nil},
	{"v2 IPv4 and extensions", v2 + "\x21\x11\x00\x10\xc0\x00\x02\x01\xc6\x33\x64\x01\xdc\x04\x01\xbb\x04\x00\x01\x00", "192.0.2.1:56324", nil},
	{"v2 IPv6", v2 + "\x21\x21\x00\x24" + "\x20\x01\x0d\xb8" + strings.Repeat("\x00", 11) + "\x01" + strings.Repeat("\x00", 16) + "\x00\x07\x00\x08", "[2001:db8::1]:7", nil},
	{"v2 IPv4 in IPv6", v2 + "\x21\x21\x00\x24" + strings.Repeat("\x00", 10) + "\xff\xff\xc0\x00\x02\x01" + strings.Repeat("\x00", 16) + "\x00\x07\x00\x08", "192.0.2.1:7", nil},
	{"v2 health check", v2 + "\x20\x00\x00\x00", "", nil},
	{"v2 health check with a family", v2 + "\x20\x11\x00\x01x", "", nil},
	{"v2 unspecified", v2 + "\x21\x00\x00\x03abc", "", nil},
	{"v2 Unix", v2 + "\x21\x31\x00\xd8" + strings.Repeat("/", 216), "", nil},
	{"v2 UDP", v2 + "\x21\x12\x00\x0c" + strings.Repeat("\x00", 12), "", proxyproto.ErrAddress},
	{"v2 too short for its family", v2 + "\x21\x11\x00\x0b" + strings.Repeat("\x00", 11), "", proxyproto.ErrAddress},
	{"v2 of version 1", v2 + "\x11\x11\x00\x0c" + strings.Repeat("\x00", 12), "", proxyproto.ErrVersion},
	{"v2 unknown command", v2 + "\x22\x11\x00\x0c" + strings.Repeat("\x00", 12), "", proxyproto.ErrVersion},
	{"v2 longest", v2 + "\x21\x11\x0f\xf0\xc0\x00\x02\x01\xc6\x33\x64\x01\xdc\x04\x01\xbb" + strings.Repeat("\x00", 4080-12), "192.0.2.1:56324", nil},
	{"v2 too long", v2 + "\x21\x11\x0f\xf1", "", proxyproto.ErrTooLong},
	{"HTTP", "GET / HTTP/1.1\r\n\r\n", "", proxyproto.ErrNoHeader},
	{"TLS", "\x16\x03\x01\x02\x00", "", proxyproto.ErrNoHeader},
	{"almost v2", "\r\n\r\n\x00\r\nQUIT\r", "", proxyproto.ErrNoHeader},
}

// Every header gives the same answer however it is cut: nothing before the last byte,
// then who the peer is, and what follows is left alone.
func TestParse_Headers(t *testing.T) {
	for _, h := range headers {
		t.Run(h.name, func(t *testing.T) {
			for cut := range len(h.text) {
				if source, n, err := proxyproto.Parse([]byte(h.text[:cut])); n != 0 || source.IsValid() || (err != nil && h.err == nil) {
					t.Fatalf("after %d bytes: %v, %d, %v", cut, source, n, err)
				}
			}
			source, n, err := proxyproto.Parse([]byte(h.text + "what follows"))
			if !errors.Is(err, h.err) {
				t.Fatalf("error %v, want %v", err, h.err)
			}
			if h.err != nil {
				return
			}
			if n != len(h.text) {
				t.Errorf("%d bytes, want %d", n, len(h.text))
			}
			if got := source; got.IsValid() != (h.want != "") || (got.IsValid() && got.String() != h.want) {
				t.Errorf("from %v, want %q", got, h.want)
			}
		})
	}
}

// FuzzParse: any bytes give what pires/go-proxyproto finds in them, where both take
// them; they are cut without a difference; no more than MaxHeader is ever asked for.
func FuzzParse(f *testing.F) {
	for _, h := range headers {
		f.Add([]byte(h.text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		source, n, err := proxyproto.Parse(b)
		switch {
		case n < 0 || n > len(b) || n > proxyproto.MaxHeader || (err != nil && n != 0):
			t.Fatalf("%d of %d bytes, %v", n, len(b), err)
		case err == nil && n == 0 && len(b) >= proxyproto.MaxHeader:
			t.Fatalf("it waits for more than %d bytes", len(b))
		case err != nil || n == 0:
			return
		}
		for cut := range n {
			if _, m, err := proxyproto.Parse(b[:cut]); m != 0 || err != nil {
				t.Fatalf("%d bytes are a header, and %d of them too, or an error: %v", n, cut, err)
			}
		}
		want, err := oracle.Read(bufio.NewReader(bytes.NewReader(b[:n])))
		if err != nil {
			return // it reads extensions, and is stricter in some addresses
		}
		var from netip.AddrPort
		if tcp, ok := want.SourceAddr.(*net.TCPAddr); ok && want.Command.IsProxy() && !want.TransportProtocol.IsUnspec() {
			from = netip.AddrPortFrom(tcp.AddrPort().Addr().Unmap(), tcp.AddrPort().Port())
		}
		if from != source {
			t.Errorf("from %v, the oracle says %v", source, from)
		}
	})
}

// A header of version 2 costs no memory, whatever it brings.
func TestAllocs_Parse(t *testing.T) {
	for _, h := range headers {
		b := []byte(h.text)
		if n := testing.AllocsPerRun(100, func() { _, _, _ = proxyproto.Parse(b) }); n > 0 && strings.HasPrefix(h.text, v2) {
			t.Errorf("%s: %.0f allocations", h.name, n)
		}
	}
}
