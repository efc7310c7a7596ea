package grpcapi

import (
	"net"
	"sync"
)

// door is the listener for services. It holds at most limit connections, so that they never
// take the descriptors that devices need. When it is full, the oldest connection that never
// showed a token gives way; where all have, the newcomer is closed.
type door struct {
	net.Listener

	// Immutable after construction.
	limit  int
	refuse func() // counts

	mu sync.Mutex
	// Guarded by mu.
	visitors map[string]*visitor // by remote address
	came     uint64
}

// visitor is one connection.
type visitor struct {
	net.Conn

	// Immutable after construction.
	door *door
	turn uint64 // grows from one to the next

	// Guarded by door.mu.
	trusted bool // has shown a token
}

func newDoor(ln net.Listener, limit int, refuse func()) *door {
	return &door{Listener: ln, limit: limit, refuse: refuse, visitors: map[string]*visitor{}}
}

// Accept implements net.Listener.
func (d *door) Accept() (net.Conn, error) {
	for {
		c, err := d.Listener.Accept()
		if err != nil {
			return nil, err
		}
		v := &visitor{Conn: c, door: d}
		goes := d.enter(v)
		if goes == nil {
			return v, nil
		}
		d.refuse()
		_ = goes.Conn.Close() // it is out of the count already
		if goes != v {
			return v, nil
		}
	}
}

// enter counts v in, and gives back who has to go: v itself where nobody else may.
func (d *door) enter(v *visitor) (goes *visitor) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.visitors) >= d.limit {
		for _, other := range d.visitors {
			if !other.trusted && (goes == nil || other.turn < goes.turn) {
				goes = other
			}
		}
		if goes == nil {
			return v
		}
		delete(d.visitors, goes.RemoteAddr().String())
	}
	d.came++
	v.turn = d.came
	d.visitors[v.RemoteAddr().String()] = v
	return goes
}

// trust notes that the connection from an address has shown a token.
func (d *door) trust(remote string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if v := d.visitors[remote]; v != nil {
		v.trusted = true
	}
}

func (d *door) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.visitors)
}

// Close implements net.Conn; it may be called more than once.
func (v *visitor) Close() error {
	v.door.mu.Lock()
	if at := v.RemoteAddr().String(); v.door.visitors[at] == v {
		delete(v.door.visitors, at)
	}
	v.door.mu.Unlock()
	return v.Conn.Close()
}
