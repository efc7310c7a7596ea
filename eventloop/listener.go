package eventloop

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/panjf2000/gnet/v2"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// Listener is a row of the table of listeners: where devices connect, and how.
type Listener struct {
	// Name is what the listener is called in Credentials and in logs; default Address.
	Name string
	// Address is "host:port"; port 0 picks a free one.
	Address string
	// Inherited, if not 0, is a socket that listens on Address already; the server takes it in
	// place of one of its own. It stays the caller's: it is not closed and never shut down, so a
	// peer that connects while no node runs waits for the next node.
	Inherited int
	// MQTT has the listener's clients speak MQTT on the bare stream, not HTTP.
	MQTT bool
	// Greet makes the Greeting of a connection; nil: the listener is plain.
	Greet func(c *Conn) Greeting
	// Proxies says from which addresses connections begin with a PROXY header
	// (proxyproto), before the Greeting; nil: from none. It is called on any goroutine.
	Proxies func(peer netip.Addr) bool
}

// MaxListeners is how many rows the table may have.
const MaxListeners = 16

// A listener is one row at work: its socket, the gate and the turnstile before it,
// and its lobby. Sockets, seats and descriptors are counted for all of them together
// (Server); the handshakes at a time are shared out, so that a crowd at one listener
// does not keep out those who come by another.
type listener struct {
	*Server // who counts for all

	// Immutable after construction.
	row       Listener
	index     uint8         // Conn.via
	turnstile chan struct{} // has the turnstile look again

	// Set by OnBoot, before any connection and before booted is closed.
	lnfd  int // a duplicate of the listening socket, ours; -1 without one
	bound netip.AddrPort

	// Owned by the turnstile until it has ended, then by Run.
	lnfdTaken bool // lnfd is the turnstile's to close

	// Atomic.
	crowdedAt atomic.Int64             // when somebody last had to give way, in ns since start; 0: never
	away      [numCauses]atomic.Uint64 // closed at the accept (doorman.go)

	// Safe for concurrent use.
	gate  gate
	lobby lobby
	door  doorstep
}

// checkListeners sees that the table can be listened on, and fills in names.
func checkListeners(rows []Listener) ([]Listener, error) {
	if len(rows) == 0 || len(rows) > MaxListeners {
		return nil, fmt.Errorf("eventloop: %d listeners: give 1 to %d", len(rows), MaxListeners)
	}
	rows = slices.Clone(rows)
	for i := range rows {
		r := &rows[i]
		if r.Address == "" {
			return nil, errors.New("eventloop: no listen address: give host:port, for example 127.0.0.1:8080")
		}
		if r.Name == "" {
			r.Name = r.Address
			if anyPort(r.Address) && i > 0 { // one of its kind
				r.Name += "#" + strconv.Itoa(i)
			}
		}
		for _, other := range rows[:i] {
			if (strings.EqualFold(other.Address, r.Address) && !anyPort(r.Address)) || other.Name == r.Name {
				return nil, fmt.Errorf("eventloop: two listeners are called %s or listen on %s: give each its own", r.Name, r.Address)
			}
		}
	}
	return rows, nil
}

// anyPort says that the kernel chooses the port.
func anyPort(addr string) bool {
	_, port, err := net.SplitHostPort(addr)
	return err == nil && port == "0"
}

// gnetAddress is the listener's address as gnet gets it. gnet tells listeners apart by this text
// alone, so those whose port the kernel chooses get different numbers of zeros: port 000 is port 0.
// For [::] gnet listens on IPv6 alone, where everybody else takes both families; for an address
// without a host it takes both.
func (l *listener) gnetAddress() string {
	address := l.row.Address
	if l.row.Inherited != 0 { // until takeInherited
		address = "127.0.0.1:0"
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return l.row.Address // gnet says what is wrong with it
	}
	if port == "0" {
		port = strings.Repeat("0", 1+int(l.index))
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip == netip.IPv6Unspecified() {
		host = ""
	}
	return net.JoinHostPort(host, port)
}

// makeListeners makes the listeners of the table, which share the handshakes.
func (s *Server) makeListeners() {
	n := len(s.cfg.Listeners)
	share := max(1, s.cfg.MaxHandshakes/n)
	perAddress := s.cfg.MaxPerAddress
	if perAddress == 0 {
		perAddress = max(1, share/8)
	}
	for i, row := range s.cfg.Listeners {
		l := &listener{Server: s, row: row, index: uint8(i), turnstile: make(chan struct{}, 1), lnfd: -1} //nolint:gosec // at most MaxListeners
		l.lobby.init(share, perAddress)
		l.lobby.proxies = row.Proxies
		l.door.most = share
		s.listeners = append(s.listeners, l)
	}
}

// addresses are the listeners' as gnet wants them.
func (s *Server) addresses() (all []string) {
	for _, l := range s.listeners {
		all = append(all, "tcp://"+l.gnetAddress())
	}
	return all
}

// firstState is the state in which a connection of gc begins.
func (l *listener) firstState(gc gnet.Conn) connState {
	if l.row.Greet != nil || l.fromProxy(gc.RemoteAddr()) {
		return stateGreeting
	}
	return stateHello
}

// firstSpeech is what is spoken until the opening says more.
func (l *listener) firstSpeech() speech {
	if l.row.MQTT {
		return speechMQTT
	}
	return 0
}

// listener is the one by which c came.
func (c *Conn) listener() *listener { return c.loop.s.listeners[c.via] }

// listenerOf finds the listener by which gc came. gnet does not say, and does not know it for a
// connection from the turnstile, so the socket is asked.
func (s *Server) listenerOf(gc gnet.Conn) *listener {
	if len(s.listeners) == 1 {
		return s.listeners[0]
	}
	at, err := boundTo(gc.Fd())
	if err == nil {
		for _, l := range s.listeners {
			if l.bound == at || (l.bound.Port() == at.Port() && l.bound.Addr().IsUnspecified()) {
				return l
			}
		}
	}
	s.log.Error("connection without a listener", zap.Stringer("addr", at), zap.Error(err))
	return s.listeners[0]
}

// learn finds the listening socket, and tunes it.
func (l *listener) learn() (err error) {
	if len(l.listeners) == 1 {
		l.lnfd, err = l.engine.Dup()
	} else {
		l.lnfd, err = l.engine.DupListener("tcp", l.gnetAddress())
	}
	if err != nil {
		l.lnfd = -1
		return fmt.Errorf("duplicate the listening socket of %s: %w", l.row.Name, err)
	}
	if l.row.Inherited != 0 {
		if l.lnfd, err = takeInherited(l.row.Inherited, l.lnfd); err != nil {
			return fmt.Errorf("%s: %w", l.row.Name, err)
		}
		l.gate.lend()
	}
	if err := l.tuneListener(l.lnfd); err != nil {
		return err
	}
	if l.bound, err = boundTo(l.lnfd); err != nil {
		return fmt.Errorf("name of the listening socket: %w", err)
	}
	return nil
}

// boundTo is the local address of a socket.
func boundTo(fd int) (netip.AddrPort, error) {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return netip.AddrPort{}, err //nolint:wrapcheck // the caller says what for
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port)), nil //nolint:gosec // a port
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), uint16(sa.Port)), nil //nolint:gosec // a port
	}
	return netip.AddrPort{}, unix.EAFNOSUPPORT
}

// Addr is where the first listener listens.
func (s *Server) Addr() *net.TCPAddr { return s.Addrs()[0] }

// Addrs is where the listeners listen, in the order of the table.
func (s *Server) Addrs() (all []*net.TCPAddr) {
	for _, l := range s.listeners {
		all = append(all, net.TCPAddrFromAddrPort(l.bound))
	}
	return all
}
