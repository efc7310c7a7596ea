package eventloop

import (
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// What the listening socket is told holds for every socket that it accepts.
//
// The kernel would let a socket's buffers grow to some megabytes; for a device
// that does not read they are memory that nobody counts. And TCP_USER_TIMEOUT ends
// a connection whose peer has taken nothing of what waits for it for so long,
// whatever it sends meanwhile: one that is out of reach, and one that keeps its
// window shut.

func (s *Server) tuneListener(fd int) error {
	if n := s.cfg.SocketBuffer; n > 0 {
		for _, opt := range []int{unix.SO_SNDBUF, unix.SO_RCVBUF} {
			if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, opt, n); err != nil {
				return fmt.Errorf("socket buffers of %d bytes: %w", n, err)
			}
		}
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(s.cfg.SendTimeout.Milliseconds())); err != nil {
		return fmt.Errorf("send timeout of %s: %w", s.cfg.SendTimeout, err)
	}
	return nil
}

// stalledOnLoop says whether the kernel has ended the connection because its peer
// took nothing for SendTimeout. err is what gnet says of the end: the error of a read or
// write, which took it off the socket, or io.EOF, also where epoll reported an error.
func (c *Conn) stalledOnLoop(err error) bool {
	if errors.Is(err, unix.ETIMEDOUT) {
		return true
	}
	if c.gc == nil || !errors.Is(err, io.EOF) {
		return false
	}
	code, err := unix.GetsockoptInt(c.gc.Fd(), unix.SOL_SOCKET, unix.SO_ERROR)
	return err == nil && unix.Errno(code) == unix.ETIMEDOUT
}
