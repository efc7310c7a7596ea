package eventloop

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// Pausing. gnet has no call to stop reading from one connection, so we take
// its interest out of the loop's epoll set ourselves: EPOLL_CTL_MOD with no
// events pauses, with gnet's own read events resumes. gnet does not give the
// epoll descriptor away; the kernel does: /proc/self/fdinfo/N of an epoll
// descriptor lists its targets. It is looked up with the loop's first
// connection. Errors and hang-ups are reported by epoll even to a paused
// connection, so a reset still ends it; a FIN is seen after the resume.
//
// gnet registers the descriptor anew, reading included, when a write fills the
// socket, and again when what it kept is out. The first happens inside our own
// write, which pauses again. The second would happen between two of our calls,
// and each time let one more read in: so a paused connection whose output waits
// is not watched at all. It is pushed along with each tick instead.

// readEvents is what gnet registers for a connection it reads from.
const readEvents = unix.EPOLLIN | unix.EPOLLPRI

// PauseOnLoop stops reading from the peer, which TCP then holds back. What was already read and not
// decoded is kept. The peer of a paused connection never counts as silent: nobody listens to it.
func (c *Conn) PauseOnLoop() {
	c.loop.assertOnLoop()
	if c.paused || c.state != stateOpen {
		return
	}
	c.paused = true
	c.loop.stats.paused.Add(1)
	if !c.decoding { // else decodeOnLoop does it, unless reading was resumed by then
		c.deafenOnLoop()
	}
}

// ResumeOnLoop reads again, first what was kept: it calls Receive and Flush before it returns,
// unless one of them has called it.
func (c *Conn) ResumeOnLoop() {
	c.loop.assertOnLoop()
	if !c.paused {
		return
	}
	c.unpauseOnLoop()
	if c.state != stateOpen || c.decoding {
		return
	}
	defer c.containOnLoop()
	c.loop.wheel.Touch(c.node)
	if c.hold != nil {
		c.decodeOnLoop(nil)
	}
	c.passRestOnLoop()
	c.partsOnLoop()
	c.listenOnLoop()
}

// HoldsOnLoop says whether something that was read waits for ResumeOnLoop, and takes memory.
func (c *Conn) HoldsOnLoop() bool {
	if l, ok := c.gc.(*layered); ok && l.wire != nil && l.waits {
		return true
	}
	return c.hold != nil && !c.partOnLoop()
}

// PausedOnLoop says whether reading is paused.
func (c *Conn) PausedOnLoop() bool { return c.paused }

// listenOnLoop has epoll report what the peer sends, or not, as it should be.
func (c *Conn) listenOnLoop() {
	switch {
	case c.state != stateOpen || c.paused == c.deaf:
	case c.paused:
		c.deafenOnLoop()
	default:
		c.hearOnLoop()
	}
}

// deafenOnLoop has epoll report nothing of this connection but its end.
func (c *Conn) deafenOnLoop() {
	c.deaf = true
	c.interestOnLoop(c.deafEventsOnLoop())
	if !c.push && c.gc.OutboundBuffered() > 0 {
		c.push = true
		c.loop.blocked = append(c.loop.blocked, c)
	}
}

// deafEventsOnLoop are the events that epoll reports of a connection that is not read from. A
// hang-up before the decision must be noticed: the peer needs no decision any more.
func (c *Conn) deafEventsOnLoop() uint32 {
	if c.state.undecided() {
		return unix.EPOLLRDHUP
	}
	return 0
}

// hearOnLoop undoes deafenOnLoop.
func (c *Conn) hearOnLoop() {
	c.deaf = false
	events := uint32(readEvents)
	if c.gc.OutboundBuffered() > 0 {
		events |= unix.EPOLLOUT
	}
	c.interestOnLoop(events)
}

// interestOnLoop sets what epoll reports of this connection.
func (c *Conn) interestOnLoop(events uint32) {
	if c.loop.epfd == 0 {
		return
	}
	fd := c.gc.Fd()
	err := unix.EpollCtl(c.loop.epfd, unix.EPOLL_CTL_MOD, fd, &unix.EpollEvent{Fd: int32(fd), Events: events}) //nolint:gosec // a descriptor fits 31 bits
	if err != nil {
		c.loop.s.log.Error("cannot change what epoll reports", zap.Uint64("conn_id", c.id), zap.Error(err))
	}
}

// pushOnLoop writes what waits for c, as far as its socket takes it.
func (l *loop) pushOnLoop(c *Conn) {
	if c.deaf && c.gc != nil {
		_ = c.gc.Flush() // a failure closes the connection and tells us, inside Flush
	}
	switch {
	case c.gc == nil || !c.deaf:
		c.push = false
	case c.gc.OutboundBuffered() > 0:
		l.blocked = append(l.blocked, c)
	default:
		c.push = false
		c.interestOnLoop(0) // gnet has just asked for reading
	}
}

// learnEpollOnLoop finds the loop's epoll descriptor: the one that watches fd.
func (l *loop) learnEpollOnLoop(fd int) {
	if l.epfd != 0 {
		return
	}
	epfd, err := epollOf(fd)
	if err != nil {
		l.s.log.Error("cannot pause reading yet, slow lanes do not hold devices back", zap.Error(err))
		return
	}
	l.epfd = epfd
}

// unreadOnLoop says whether the peer was heard by the kernel and not yet by us: a
// loop that is behind must not take its own lateness for the peer's silence.
func (c *Conn) unreadOnLoop() bool {
	n, err := unix.IoctlGetInt(c.gc.Fd(), unix.TIOCINQ)
	return err == nil && n > 0
}

// someoneWaitsOnLoop says whether a socket of this loop is ready. An epoll
// descriptor can be polled itself, which takes nothing out of it.
func (l *loop) someoneWaitsOnLoop() bool {
	if l.epfd == 0 {
		return false
	}
	fds := [1]unix.PollFd{{Fd: int32(l.epfd), Events: unix.POLLIN}} //nolint:gosec // a descriptor fits 31 bits
	n, err := unix.Poll(fds[:], 0)
	return err == nil && n > 0
}

// epollOf finds the epoll descriptor of this process that watches fd.
func epollOf(fd int) (int, error) {
	links, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		return 0, fmt.Errorf("list descriptors: %w", err)
	}
	for _, link := range links {
		if to, err := os.Readlink(link); err != nil || to != "anon_inode:[eventpoll]" {
			continue
		}
		n, err := strconv.Atoi(filepath.Base(link))
		if err == nil && watches(n, fd) {
			return n, nil
		}
	}
	return 0, fmt.Errorf("no epoll descriptor of this process watches descriptor %d", fd)
}

// watches says whether the epoll descriptor epfd has fd in its set.
func watches(epfd, fd int) bool {
	info, err := os.Open(fmt.Sprintf("/proc/self/fdinfo/%d", epfd))
	if err != nil {
		return false
	}
	defer info.Close()
	for lines := bufio.NewScanner(info); lines.Scan(); {
		field, ok := bytes.CutPrefix(lines.Bytes(), []byte("tfd:"))
		if !ok {
			continue
		}
		if got, err := strconv.Atoi(string(bytes.Fields(field)[0])); err == nil && got == fd {
			return true
		}
	}
	return false
}
