package eventloop_test

import (
	"bufio"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"edgeloop/eventloop"
	"edgeloop/internal/testkit"
)

// denying is a doorman that lets in nobody with one of these addresses.
func denying(addrs ...string) func(netip.Addr) eventloop.Cause {
	return func(addr netip.Addr) eventloop.Cause {
		if slices.Contains(addrs, addr.String()) {
			return eventloop.CauseDenied
		}
		return 0
	}
}

// from dials from an address of this machine.
func (n *node) from(addr string) *dialogue {
	n.t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(addr)}, Timeout: patience}
	conn, err := d.Dial("tcp", n.Addr().String())
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { conn.Close() })
	return &dialogue{t: n.t, conn: conn.(*net.TCPConn), r: bufio.NewReader(conn)}
}

func (n *node) wantDenied(count uint64) {
	n.t.Helper()
	testkit.Eventually(n.t, patience, "them to be counted", func() bool { return n.Stats().Gone[eventloop.CauseDenied] == count })
}

// A peer whose address may not come is hung up on before a byte is read: it costs no Greeting,
// no place among the handshakes, and hears nothing.
func TestDoorman_AtTheAccept(t *testing.T) {
	var greeted atomic.Int64
	n := serve(t, eventloop.Config{
		Listeners: []eventloop.Listener{{Address: "127.0.0.1:0", Greet: func(*eventloop.Conn) eventloop.Greeting {
			greeted.Add(1)
			return cipher{}
		}}},
		Tick: tick, MaxHandshakes: 1, Doorman: denying("127.0.0.2"), TrustedProxies: never,
	}, echoing())
	const strangers = 50
	for range strangers {
		n.from("127.0.0.2").wantEnd()
	}
	n.wantDenied(strangers)
	if st := n.Stats(); st.Open != 0 || st.Handshakes != 0 || st.Accepted != strangers || greeted.Load() != 0 {
		t.Errorf("%d open, %d handshakes, %d accepted, %d greeted: want 0, 0, %d, 0", st.Open, st.Handshakes, st.Accepted, greeted.Load(), strangers)
	}
	n.dial().raw(sealed([]byte("G")))
	testkit.Eventually(t, patience, "who may come to be greeted", func() bool { return greeted.Load() == 1 })
}

// A peer that comes in a crowd is judged no less.
func TestDoorman_OnTheDoorstep(t *testing.T) {
	const budget = 2
	n := serve(t, eventloop.Config{Tick: tick, MaxHandshakes: budget, MaxPerAddress: 100, HandshakeTimeout: time.Hour, Doorman: denying("127.0.0.2")}, echoing())
	n.crowd(budget)
	n.from("127.0.0.2").wantGone()
	n.wantDenied(1)
	d := n.from("127.0.0.3")
	d.handshake()
}

// Behind a proxy that says whose a connection is, that address counts, and not the proxy's.
func TestDoorman_BehindThePROXYHeader(t *testing.T) {
	s, seen := remotes(t, eventloop.Config{Doorman: denying("127.0.0.1", "192.0.2.7", "2001:db8::7")}, always, nil)
	for _, header := range []string{"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n", "PROXY TCP6 2001:db8::7 2001:db8::1 7 443\r\n"} {
		d := s.dial()
		d.raw([]byte(header))
		d.wantEnd()
	}
	s.wantDenied(2)
	for _, header := range []string{"PROXY TCP4 192.0.2.8 198.51.100.1 56324 443\r\n", "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"} {
		d := s.dial()
		d.raw([]byte(header + request))
		d.wantSwitch()
		testkit.Receive(t, patience, "the handshake", seen)
	}
}

// Behind a proxy that speaks HTTP it is a request that is refused, as soon as the proxy has
// said of whom it is. A device that has the proxy say two things is not let in: it could hide.
func TestDoorman_BehindForwarded(t *testing.T) {
	s, seen := remotes(t, eventloop.Config{TrustedProxies: always, Doorman: denying("192.0.2.7")}, nil, nil)
	denied := uint64(0)
	for _, c := range []struct {
		fields string
		comes  bool
	}{
		{"X-Forwarded-For: 192.0.2.7\r\n", false},
		{"Forwarded: for=192.0.2.7\r\n", false},
		{"X-Forwarded-For: ::ffff:192.0.2.7\r\n", false},
		{"Forwarded: for=192.0.2.9\r\nX-Forwarded-For: 192.0.2.7\r\n", false},
		{"X-Forwarded-For: unknown\r\n", false},
		{"X-Forwarded-For: 192.0.2.8\r\n", true},
		{"", true},
	} {
		d := s.dial()
		d.raw([]byte(strings.Replace(request, "\r\n\r\n", "\r\n"+c.fields+"\r\n", 1)))
		if c.comes {
			d.wantSwitch()
			testkit.Receive(t, patience, "the handshake", seen)
			continue
		}
		denied++
		d.wantStatus(403)
		d.conn.Close()
	}
	s.wantDenied(denied)
}

// MQTT has no fields in which a proxy could say whose a connection is.
func TestDoorman_MQTTHasNoForwarded(t *testing.T) {
	n := serve(t, eventloop.Config{
		Listeners: []eventloop.Listener{{Address: "127.0.0.1:0", MQTT: true}}, TrustedProxies: always, Doorman: denying("127.0.0.2"),
	}, echoing())
	n.from("127.0.0.2").wantEnd()
	n.wantDenied(1)
}
