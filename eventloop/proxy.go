package eventloop

import (
	"net"

	"edgeloop/proxyproto"
)

// Behind proxies. Some proxies name the peer at the front of a connection (PROXY protocol). Only
// those with known addresses are believed, and they must send that header, so a peer behind them
// cannot begin with one of its own making. Every other peer is the other end of the socket.

// A proxyGreeting reads the header, and gives way to what lies behind it.
type proxyGreeting struct {
	c    *Conn
	next func(*Conn) Greeting // nil: the opening comes next
}

var _ Greeting = proxyGreeting{}

// Step implements Greeting.
func (g proxyGreeting) Step(wire []byte) (Step, error) {
	source, n, err := proxyproto.Parse(wire)
	if err != nil || n == 0 {
		return Step{}, err //nolint:wrapcheck // it names its package
	}
	if g.next == nil {
		return Step{Used: n, Remote: source, Over: true}, nil
	}
	return Step{Used: n, Remote: source, Next: g.next(g.c)}, nil
}

// Seal implements Greeting.
func (proxyGreeting) Seal(dst, plain []byte) []byte { return append(dst, plain...) }

// Goodbye implements Greeting.
func (proxyGreeting) Goodbye(dst []byte) []byte { return dst }

// Closed implements Greeting.
func (proxyGreeting) Closed() {}

// greetingOf makes the Greeting of a connection that begins with one.
func (l *listener) greetingOf(c *Conn) Greeting {
	if l.fromProxy(c.gc.RemoteAddr()) {
		return proxyGreeting{c: c, next: l.row.Greet}
	}
	return l.row.Greet(c)
}

// fromProxy says whether peer is a proxy that sends PROXY headers.
func (l *listener) fromProxy(peer net.Addr) bool {
	return l.row.Proxies != nil && l.row.Proxies(addrPortOf(peer).Addr())
}
