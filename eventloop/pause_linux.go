package eventloop

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// Pausing. gnet has no call to stop reading from one connection, so we take
// its interest out of the loop's epoll set ourselves: EPOLL_CTL_MOD with no
// events pauses, with gnet's own read events resumes. gnet does not give the
// epoll descriptor away; the kernel does: /proc/self/fdinfo/N of an epoll
// descriptor lists its targets. It is looked up once, with the loop's first
// connection. Errors and hang-ups are reported by epoll even to a paused
// connection, so a reset still ends it; a FIN is seen after the resume.
//
// Whatever makes gnet register the descriptor anew (a write that fills the
// socket, and its emptying) resumes reading behind our back; trafficOnLoop and
// writeOnLoop pause again then.

// readEvents is what gnet registers for a connection it reads from.
const readEvents = unix.EPOLLIN | unix.EPOLLPRI

// A pauser knows the epoll descriptor of one loop; zero is not known yet.
type pauser struct {
	epfd int
}

func (c *Conn) stopReadingOnLoop()  { c.interestOnLoop(0) }
func (c *Conn) startReadingOnLoop() { c.interestOnLoop(readEvents) }

// interestOnLoop sets what epoll reports of this connection. While gnet has
// output waiting for the socket, that interest has to stay.
func (c *Conn) interestOnLoop(events uint32) {
	if c.gc == nil || c.loop.pauser.epfd == 0 {
		return
	}
	if c.gc.OutboundBuffered() > 0 {
		events |= unix.EPOLLOUT
	}
	fd := c.gc.Fd()
	err := unix.EpollCtl(c.loop.pauser.epfd, unix.EPOLL_CTL_MOD, fd, &unix.EpollEvent{Fd: int32(fd), Events: events}) //nolint:gosec // a descriptor fits 31 bits
	if err != nil {
		c.loop.s.log.Sugar().Debugf("epoll_ctl: %v", err)
	}
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
	defer info.Close() //nolint:errcheck // only read from
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
