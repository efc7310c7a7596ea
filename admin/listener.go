package admin

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// door is the listener of the API. It holds at most limit connections, so that
// the API can never take the descriptors that devices need, and always takes the
// next one: when it is full, the connection that was quiet for longest goes, one
// that never showed the token before one that did. One whose request with the
// token is being served stays; those are fewer than limit, the others are
// refused (begin). So whoever asks for /healthz gets through, whatever others
// keep open.
type door struct {
	net.Listener

	// Immutable after construction.
	limit   int
	mayWork int // of limit, how many may be working at a time
	// mayBound is how many of mayWork those who are bound to a tenant may take: who
	// waits in numbers for one tenant's devices must not keep out who runs the node.
	mayBound int

	// Guarded by mu.
	mu       sync.Mutex
	visitors map[*visitor]struct{}
	working  int
	bound    int // of working, those who are bound to a tenant

	// Atomic.
	evicted *atomic.Uint64
}

// visitor is one connection to the API.
type visitor struct {
	net.Conn

	// Immutable after construction.
	door *door

	// Guarded by door.mu.
	spoke   bool // has sent a whole request
	trusted bool // has shown the token
	working int  // requests with the token that are being served
	bound   bool // who asked for the first of them is bound to a tenant
	heard   time.Time
}

func newDoor(ln net.Listener, limit int, evicted *atomic.Uint64) *door {
	mayWork := max(1, limit-max(1, limit/8))
	return &door{
		Listener: ln, limit: limit, mayWork: mayWork, mayBound: max(1, mayWork*3/4),
		visitors: make(map[*visitor]struct{}), evicted: evicted,
	}
}

// Accept implements net.Listener.
func (d *door) Accept() (net.Conn, error) {
	c, err := d.Listener.Accept()
	if err != nil {
		return nil, err
	}
	v := &visitor{Conn: c, door: d}
	if quiet := d.enter(v); quiet != nil {
		_ = quiet.Conn.Close() // it is out of the count already
		d.evicted.Add(1)
	}
	return v, nil
}

// enter counts v in, and gives back who has to go for it.
func (d *door) enter(v *visitor) (quiet *visitor) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.visitors) >= d.limit {
		for other := range d.visitors {
			if other.working == 0 && (quiet == nil || other.goesBeforeLocked(quiet)) {
				quiet = other
			}
		}
		delete(d.visitors, quiet)
	}
	v.heard = time.Now()
	d.visitors[v] = struct{}{}
	return quiet
}

func (v *visitor) goesBeforeLocked(other *visitor) bool {
	if v.trusted != other.trusted {
		return other.trusted
	}
	return v.heard.Before(other.heard)
}

// dismiss closes the connections that have not sent a request yet.
func (d *door) dismiss() {
	d.mu.Lock()
	var mute []*visitor
	for v := range d.visitors {
		if !v.spoke {
			mute = append(mute, v)
		}
	}
	d.mu.Unlock()
	for _, v := range mute {
		_ = v.Close() // nothing was promised to it
	}
}

// Close implements net.Conn; it may be called more than once.
func (v *visitor) Close() error {
	v.door.mu.Lock()
	delete(v.door.visitors, v)
	v.door.mu.Unlock()
	return v.Conn.Close()
}

// asks notes that v has sent a request.
func (v *visitor) asks() {
	if v == nil {
		return
	}
	v.door.mu.Lock()
	defer v.door.mu.Unlock()
	v.spoke, v.heard = true, time.Now()
}

// begin notes that a request with the token is being served, until end; false
// when as many are as may be. bound: the token is bound to a tenant.
func (v *visitor) begin(bound bool) bool {
	if v == nil {
		return true
	}
	d := v.door
	d.mu.Lock()
	defer d.mu.Unlock()
	v.trusted = true
	if v.working == 0 {
		if d.working >= d.mayWork || bound && d.bound >= d.mayBound {
			return false
		}
		d.working++
		if v.bound = bound; bound {
			d.bound++
		}
	}
	v.working++
	return true
}

func (v *visitor) end() {
	if v == nil {
		return
	}
	d := v.door
	d.mu.Lock()
	defer d.mu.Unlock()
	v.heard = time.Now()
	if v.working--; v.working > 0 {
		return
	}
	d.working--
	if v.bound {
		d.bound--
	}
}

// visitorKey finds the visitor in the context of a request.
type visitorKey struct{}

// withVisitor is for http.Server.ConnContext.
func withVisitor(ctx context.Context, c net.Conn) context.Context {
	if over, ok := c.(interface{ NetConn() net.Conn }); ok { // TLS
		c = over.NetConn()
	}
	return context.WithValue(ctx, visitorKey{}, c)
}

// visitorOf is nil where the connection is not from our door, as in tests; its
// methods allow that.
func visitorOf(ctx context.Context) *visitor {
	v, _ := ctx.Value(visitorKey{}).(*visitor)
	return v
}
