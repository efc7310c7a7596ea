package eventloop

import (
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// The accept gate. gnet's acceptor takes connections until the kernel has none
// left, and dies with the whole engine when one accept fails for want of
// descriptors (libraries.md 1.1). So it must not be called when there is no
// room: the gate takes the listening socket out of the acceptor's epoll set,
// and the newcomers wait in the kernel's backlog. Putting it back reports those
// who wait at once, because gnet registers it edge-triggered. Should an accept
// fail all the same (others on this machine use up descriptors too), turnstile.go
// keeps the engine alive.
//
// An acceptor that is in the middle of emptying the backlog is not stopped by the
// gate. Those who are then too many for MaxHandshakes wait in the lobby; where they
// could be too many for MaxConnections the gate is shut and the turnstile accepts.

// listenEvents is what gnet registers for its listening socket.
const listenEvents = unix.EPOLLIN | unix.EPOLLPRI | unix.EPOLLET | unix.EPOLLRDHUP

// errNoListener says that gnet's own descriptor was not among ours.
var errNoListener = errors.New("the acceptor's listening socket was not found")

// A gate opens and closes the way in.
type gate struct {
	// Guarded by mu.
	mu     sync.Mutex
	epfd   int  // the acceptor's epoll descriptor; 0 until found, -1 after release
	lnfd   int  // the listening socket, gnet's own descriptor
	shut   bool // closed for now
	ended  bool // closed for good
	lent   bool // the socket is another's too, where newcomers may wait
	closes uint64
}

// found says whether the descriptors are known, or not needed any more.
func (g *gate) found() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.epfd != 0
}

// find learns the descriptors: own is a duplicate of the listening socket.
func (g *gate) find(own int) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	var want unix.Stat_t
	if err := unix.Fstat(own, &want); err != nil {
		return fmt.Errorf("stat the listening socket: %w", err)
	}
	for fd := range maxScan {
		var st unix.Stat_t
		if fd == own || unix.Fstat(fd, &st) != nil || st.Ino != want.Ino || st.Dev != want.Dev {
			continue
		}
		if epfd, err := epollOf(fd); err == nil {
			g.lnfd, g.epfd = fd, epfd
			if g.ended { // StopAccepting came first
				return g.refuseLocked()
			}
			return nil
		}
	}
	return errNoListener
}

// maxScan bounds the search for gnet's listening descriptor. It is opened at
// the start, so its number is small.
const maxScan = 4096

// mind opens or closes the gate as room says; any goroutine. room is asked with
// the lock held: whoever changed what it looks at and calls mind afterwards is
// heard, by this call or by the next.
func (g *gate) mind(room func() bool) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ended || g.epfd <= 0 {
		return nil
	}
	return g.setLocked(room())
}

func (g *gate) setLocked(open bool) error {
	if g.shut == !open {
		return nil
	}
	op := unix.EPOLL_CTL_DEL
	if open {
		op = unix.EPOLL_CTL_ADD
	} else {
		g.closes++
	}
	ev := unix.EpollEvent{Fd: int32(g.lnfd), Events: listenEvents} //nolint:gosec // a descriptor fits 31 bits
	if err := unix.EpollCtl(g.epfd, op, g.lnfd, &ev); err != nil {
		return fmt.Errorf("accept gate: %w", err)
	}
	g.shut = !open
	return nil
}

// end closes the gate for good, and the listening socket for new dials, which
// are refused from now on instead of left waiting.
func (g *gate) end() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ended {
		return nil
	}
	g.ended = true
	if g.epfd <= 0 {
		return nil // find will do it
	}
	return g.refuseLocked()
}

func (g *gate) refuseLocked() error {
	err := g.setLocked(false)
	if g.lent {
		return err
	}
	_ = unix.Shutdown(g.lnfd, unix.SHUT_RD) // a socket that is not listening any more is as good
	return err
}

// lend notes that the socket is another's too.
func (g *gate) lend() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lent = true
}

// release forgets the descriptors, which gnet is about to close.
func (g *gate) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ended, g.epfd, g.lnfd = true, -1, -1
}

// state says whether the gate is shut now, for good, and how often it was shut.
func (g *gate) state() (shut, ended bool, closes uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.shut, g.ended, g.closes
}

// gateState says whether newcomers wait at any listener, and how often they had to.
func (s *Server) gateState() (shut bool, closes uint64) {
	for _, l := range s.listeners {
		here, ended, n := l.gate.state()
		if l.useTurnstile() { // it takes them, the gate is shut for gnet only
			here = ended || (!l.roomForMore() && !l.roomOutside())
		}
		shut, closes = shut || here, closes+n
	}
	return shut, closes
}
