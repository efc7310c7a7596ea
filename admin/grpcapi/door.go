package grpcapi

import (
	"maps"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// door is the listener for services. It holds at most limit connections, so that they never
// take the descriptors that devices need. When it is full, the oldest connection that never
// showed a token gives way; where all have, the newcomer is closed. Who shows no token has a
// few calls and a few bytes on a connection, and an address a few such connections: HTTP/2 lets
// a client make much work with little.
type door struct {
	net.Listener

	// Immutable after construction.
	limit  int
	refuse func() // counts

	mu sync.Mutex
	// Guarded by mu.
	visitors map[string]*visitor // by remote address
	came     uint64
	paid     map[netip.Addr]time.Time // of addresses without a token: see paceLocked
}

// visitor is one connection.
type visitor struct {
	net.Conn

	// Immutable after construction.
	door *door
	turn uint64 // grows from one to the next

	// Guarded by door.mu.
	trusted bool // has shown a token
	refused int  // calls

	// Atomic.
	spared atomic.Bool  // trusted, or closed for what it sent: it is not counted any more
	bytes  atomic.Int64 // that came before
}

// What a stranger has.
const (
	strangerCalls = 16                     // on one connection
	strangerBytes = 2*window + 2*maxHeader // the same: what a client may send before it hears anything
	strangerEvery = 250 * time.Millisecond // between two connections of an address
	strangerBurst = 16                     // of them that may come at once
	maxPaid       = 4096                   // addresses that are remembered
)

func newDoor(ln net.Listener, limit int, refuse func()) *door {
	return &door{Listener: ln, limit: limit, refuse: refuse, visitors: map[string]*visitor{}, paid: map[netip.Addr]time.Time{}}
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
	if !d.paceLocked(hostOf(v.RemoteAddr()), time.Now()) {
		return v
	}
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

// paceLocked counts a connection of an address, and says whether it may stay. A token that is
// shown from there pays for all that came.
func (d *door) paceLocked(host netip.Addr, now time.Time) bool {
	if len(d.paid) >= maxPaid {
		maps.DeleteFunc(d.paid, func(_ netip.Addr, until time.Time) bool { return !until.After(now) })
		if len(d.paid) >= maxPaid {
			clear(d.paid)
		}
	}
	until := d.paid[host]
	if until.Before(now) {
		until = now
	}
	if until = until.Add(strangerEvery); until.Sub(now) > strangerBurst*strangerEvery {
		return false
	}
	d.paid[host] = until
	return true
}

// trust notes that the connection from an address has shown a token.
func (d *door) trust(remote string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if v := d.visitors[remote]; v != nil && !v.trusted {
		v.trusted = true
		v.spared.Store(true)
		delete(d.paid, hostOf(v.RemoteAddr()))
	}
}

// distrust notes that a call of the connection from an address showed no good token.
func (d *door) distrust(remote string) {
	d.mu.Lock()
	v := d.visitors[remote]
	goes := false
	if v != nil && !v.trusted {
		v.refused++
		goes = v.refused == strangerCalls
	}
	d.mu.Unlock()
	if goes {
		v.dismiss()
	}
}

// dismiss closes a stranger's connection, once.
func (v *visitor) dismiss() {
	if !v.spared.Swap(true) {
		v.door.refuse()
		_ = v.Close() // it has had its answers, or asked for none
	}
}

// Read implements net.Conn.
func (v *visitor) Read(b []byte) (int, error) {
	n, err := v.Conn.Read(b)
	if !v.spared.Load() && v.bytes.Add(int64(n)) > strangerBytes {
		v.dismiss()
		return 0, net.ErrClosed
	}
	return n, err
}

// hostOf is an address without its port.
func hostOf(addr net.Addr) netip.Addr {
	at, _ := netip.ParseAddrPort(addr.String()) // of "tcp"
	return at.Addr().Unmap()
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
