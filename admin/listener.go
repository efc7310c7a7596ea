package admin

import (
	"net"
	"sync"
)

// cappedListener accepts at most a fixed number of connections at a time, so
// that the API can never take the descriptors that devices need. Further ones
// wait in the kernel's backlog.
type cappedListener struct {
	net.Listener
	places chan struct{}
	closed chan struct{}
	once   sync.Once
}

func newCappedListener(ln net.Listener, limit int) *cappedListener {
	return &cappedListener{Listener: ln, places: make(chan struct{}, limit), closed: make(chan struct{})}
}

func (l *cappedListener) Accept() (net.Conn, error) {
	select {
	case l.places <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.places
		return nil, err
	}
	return &cappedConn{Conn: c, leave: func() { <-l.places }}, nil
}

func (l *cappedListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// cappedConn gives its place back once, however often it is closed.
type cappedConn struct {
	net.Conn
	leave func()
	once  sync.Once
}

func (c *cappedConn) Close() error {
	defer c.once.Do(c.leave)
	return c.Conn.Close()
}
