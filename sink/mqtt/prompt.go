package mqtt

import (
	"bufio"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// prompt is a connection that acknowledges at once what it has read. A broker that leaves Nagle's
// algorithm on, as Mosquitto does where nobody tells it otherwise, holds its second PUBACK back
// until the kernel here has acknowledged the first one, which it puts off by 40 ms when nothing
// is sent: at the end of each batch. [RFC1122 4.2.3.2, 4.2.3.4]
type prompt struct {
	*net.TCPConn
	in *bufio.Reader // paho reads a packet in three parts
}

func newPrompt(c *net.TCPConn) (*prompt, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	return &prompt{TCPConn: c, in: bufio.NewReader(&acknowledged{c, raw})}, nil
}

func (p *prompt) Read(b []byte) (int, error) { return p.in.Read(b) }

// acknowledged is the reading side below the buffer.
type acknowledged struct {
	conn *net.TCPConn
	raw  syscall.RawConn
}

func (a *acknowledged) Read(b []byte) (int, error) {
	n, err := a.conn.Read(b)
	if n > 0 { // the kernel forgets it, so each time; where it fails it is slower, and that is all
		_ = a.raw.Control(func(fd uintptr) {
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1)
		})
	}
	return n, err
}
