package eventloop_test

import (
	"net/netip"
	"strings"
	"testing"

	"edgeloop/eventloop"
	"edgeloop/internal/testkit"
)

func always(netip.Addr) bool { return true }
func never(netip.Addr) bool  { return false }

// remotes serves with these proxies and says whom each handshake was taken for.
func remotes(t *testing.T, cfg eventloop.Config, proxies func(netip.Addr) bool, greet func(*eventloop.Conn) eventloop.Greeting) (*node, chan netip.AddrPort) {
	t.Helper()
	seen := make(chan netip.AddrPort, 10)
	cfg.Listeners = []eventloop.Listener{{Address: "127.0.0.1:0", Proxies: proxies, Greet: greet}}
	return serve(t, cfg, func(_ *eventloop.Conn, h *eventloop.Hello) (eventloop.Receiver, *eventloop.Refusal) {
		seen <- h.Remote
		return &ears{}, nil
	}), seen
}

// A proxy says of whom a connection is, in however many pieces; whoever is no proxy is
// who he is, and what he says about it is no request.
func TestProxy_SaysWhoItIs(t *testing.T) {
	const header = "PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n"
	s, seen := remotes(t, eventloop.Config{}, always, nil)
	for _, cut := range []int{0, 1, 20, len(header)} {
		d := s.dial()
		d.raw([]byte(header[:cut]))
		d.raw([]byte(header[cut:] + request))
		d.wantSwitch()
		if got := testkit.Receive(t, patience, "the handshake", seen).String(); got != "192.0.2.7:56324" {
			t.Errorf("cut after %d: taken for %s", cut, got)
		}
	}
	d := s.dial()
	d.raw([]byte("\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00" + request))
	d.wantSwitch()
	if got := testkit.Receive(t, patience, "the handshake", seen); !got.Addr().IsLoopback() {
		t.Errorf("a health check was taken for %s", got)
	}
	d = s.dial()
	d.raw([]byte(request))
	d.wantEnd()

	s, seen = remotes(t, eventloop.Config{}, never, nil)
	d = s.dial()
	d.raw([]byte(request))
	d.wantSwitch()
	if got := testkit.Receive(t, patience, "the handshake", seen); !got.Addr().IsLoopback() {
		t.Errorf("somebody was taken for %s", got)
	}
	d = s.dial()
	d.raw([]byte(header + request))
	d.wantStatus(400)
}

// What lies behind the header may be another Greeting.
func TestProxy_BeforeAnotherGreeting(t *testing.T) {
	s, seen := remotes(t, eventloop.Config{}, always, func(*eventloop.Conn) eventloop.Greeting { return cipher{} })
	d := s.dial()
	d.raw([]byte("PROXY TCP6 2001:db8::7 2001:db8::1 7 443\r\n"))
	for piece := range pieces(request, 50) {
		d.raw(sealed([]byte(piece)))
	}
	if got := testkit.Receive(t, patience, "the handshake", seen).String(); got != "[2001:db8::7]:7" {
		t.Errorf("taken for %s", got)
	}
}

// pieces cuts text.
func pieces(text string, n int) func(func(string) bool) {
	return func(yield func(string) bool) {
		for ; text != ""; text = text[min(n, len(text)):] {
			if !yield(text[:min(n, len(text))]) {
				return
			}
		}
	}
}

// The header fields of proxies are read from their end, up to the first who is none.
func TestForwarded_WhoIsBelieved(t *testing.T) {
	ours := netip.MustParsePrefix("10.0.0.0/8")
	trusted := func(a netip.Addr) bool { return a.IsLoopback() || ours.Contains(a) }
	for _, c := range []struct{ name, fields, want string }{
		{"nothing", "", "127.0.0.1"},
		{"one", "X-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1"},
		{"what the device has added", "X-Forwarded-For: 1.1.1.1, 192.0.2.1\r\n", "192.0.2.1"},
		{"two proxies", "X-Forwarded-For: 192.0.2.1, 10.1.2.3\r\n", "192.0.2.1"},
		{"in two lines", "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 192.0.2.1, 10.1.2.3\r\n", "192.0.2.1"},
		{"only proxies", "X-Forwarded-For: 10.9.9.9, 10.1.2.3\r\n", "10.9.9.9"},
		{"a port", "X-Forwarded-For: 192.0.2.1:1234\r\n", "192.0.2.1"},
		{"IPv6", "X-Forwarded-For: 2001:db8::1\r\n", "2001:db8::1"},
		{"IPv6 and a port", "X-Forwarded-For: [2001:db8::1]:55\r\n", "2001:db8::1"},
		{"no address", "X-Forwarded-For: 192.0.2.1, unknown\r\n", "127.0.0.1"},
		{"RFC 7239", "Forwarded: for=1.1.1.1, for=192.0.2.1;proto=https;by=10.0.0.1\r\n", "192.0.2.1"},
		{"RFC 7239, IPv6", "forwarded: proto=https; For=\"[2001:db8::1]:4711\"\r\n", "2001:db8::1"},
		{"RFC 7239, hidden", "Forwarded: for=_secret\r\n", "127.0.0.1"},
		{"RFC 7239, nobody", "Forwarded: for=192.0.2.1, proto=https\r\n", "127.0.0.1"},
		{"both agree", "Forwarded: for=192.0.2.1\r\nX-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1"},
		{"one is the device's", "Forwarded: for=1.1.1.1\r\nX-Forwarded-For: 192.0.2.1\r\n", "127.0.0.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, seen := remotes(t, eventloop.Config{TrustedProxies: trusted}, nil, nil)
			d := s.dial()
			d.raw([]byte(strings.Replace(request, "\r\n\r\n", "\r\n"+c.fields+"\r\n", 1)))
			d.wantSwitch()
			if got := testkit.Receive(t, patience, "the handshake", seen).Addr().String(); got != c.want {
				t.Errorf("taken for %s, want %s", got, c.want)
			}
		})
	}
	s, seen := remotes(t, eventloop.Config{TrustedProxies: never}, nil, nil)
	d := s.dial()
	d.raw([]byte(strings.Replace(request, "\r\n\r\n", "\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n", 1)))
	d.wantSwitch()
	if got := testkit.Receive(t, patience, "the handshake", seen); !got.Addr().IsLoopback() {
		t.Errorf("who is no proxy was taken for %s", got)
	}
}

// A proxy that speaks PROXY, and does not say there of whom a connection is, passes on what
// it does not know: what the peer says of itself in header fields is not the proxy's word,
// even if the proxy's fields are trusted elsewhere.
func TestForwarded_NotBehindAHeaderThatNamesNobody(t *testing.T) {
	const fields = "\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n"
	s, seen := remotes(t, eventloop.Config{TrustedProxies: func(a netip.Addr) bool { return a.IsLoopback() || a.String() == "10.0.0.5" }}, always, nil)
	for _, c := range []struct{ header, want string }{
		{"PROXY UNKNOWN\r\n", "127.0.0.1"},
		{"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00", "127.0.0.1"},
		{"PROXY TCP4 198.51.100.9 198.51.100.1 56324 443\r\n", "198.51.100.9"},
		{"PROXY TCP4 10.0.0.5 198.51.100.1 56324 443\r\n", "192.0.2.1"}, // it names a trusted proxy
	} {
		d := s.dial()
		d.raw([]byte(c.header + strings.Replace(request, "\r\n\r\n", fields, 1)))
		d.wantSwitch()
		if got := testkit.Receive(t, patience, "the handshake", seen).Addr().String(); got != c.want {
			t.Errorf("behind %q: taken for %s, want %s", c.header, got, c.want)
		}
	}
}
