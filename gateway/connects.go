package gateway

import (
	"net/netip"
	"sync/atomic"
	"time"

	"edgeloop/devicemgr"
	"edgeloop/doorman"
	"edgeloop/eventloop"
)

// How often one address, one network, one device, one tenant, and all together may
// connect. A peer that comes too often hears when to come again. What is known of the peer before
// its token is looked at is held to its rate first, so that strangers cost no signature
// check; the rates of devices, tenants and the node count only those who have proved who
// they are, so that no stranger uses them up.

// Connects are connects a minute, of which a sixth may come at once; 0: without a bound.
type Connects struct {
	Address, Prefix, Device, Tenant, Node int64
}

// pacerRoom is how many addresses, networks, devices and tenants together have their connects
// counted, 16 bytes each.
const pacerRoom = 1 << 16

// A scope is whose connects are counted.
type scope uint8

const (
	ofAddress scope = iota
	ofPrefix
	ofDevice
	ofTenant
	ofNode
	numScopes
)

// connects holds peers to their rates of connects.
type connects struct {
	// Immutable after construction.
	pacer        *doorman.Pacer
	bits4, bits6 int

	// Atomic.
	perMinute [numScopes]atomic.Int64
}

func newConnects(c Config, now time.Time) *connects {
	n := &connects{pacer: doorman.NewPacer(pacerRoom, now), bits4: c.PrefixBits4, bits6: c.PrefixBits6}
	n.set(c.Connects)
	return n
}

func (n *connects) set(c Connects) {
	for of, value := range [numScopes]int64{ofAddress: c.Address, ofPrefix: c.Prefix, ofDevice: c.Device, ofTenant: c.Tenant, ofNode: c.Node} {
		n.perMinute[of].Store(max(value, 0))
	}
}

// Connects are the rates in force.
func (g *Gateway) Connects() Connects {
	n := &g.connects.perMinute
	return Connects{Address: n[ofAddress].Load(), Prefix: n[ofPrefix].Load(), Device: n[ofDevice].Load(), Tenant: n[ofTenant].Load(), Node: n[ofNode].Load()}
}

// SetConnects changes the rates while the node runs. What has come so far counts.
func (g *Gateway) SetConnects(c Connects) { g.connects.set(c) }

// take returns how long one more connect of this scope, of the peer who, has to wait.
func take[T comparable](n *connects, of scope, who T, now time.Time) time.Duration {
	rate := n.perMinute[of].Load()
	if rate == 0 {
		return 0
	}
	type key struct {
		of  scope
		who T
	}
	return n.pacer.Take(doorman.KeyOf(n.pacer, key{of, who}), doorman.PerMinute(rate), now)
}

// prefixOf is the network of an address.
func (n *connects) prefixOf(addr netip.Addr) netip.Prefix {
	bits := n.bits6
	if addr.Is4() {
		bits = n.bits4
	}
	p, _ := addr.Prefix(bits) // as many bits as it has
	return p
}

// tooFastFrom says that too many come from an address, or from its network.
func (g *Gateway) tooFastFrom(addr netip.Addr) *eventloop.Refusal {
	addr = addr.Unmap().WithZone("")
	n, now := g.connects, g.clock()
	if wait := take(n, ofAddress, addr, now); wait > 0 {
		return g.tooFast(DropAddressRate, "too many connects from this address", wait)
	}
	if wait := take(n, ofPrefix, n.prefixOf(addr), now); wait > 0 {
		return g.tooFast(DropPrefixRate, "too many connects from this network", wait)
	}
	return nil
}

// tooFastOf says that a device connects too often, or its tenant's devices, or all.
func (g *Gateway) tooFastOf(key devicemgr.Key) *eventloop.Refusal {
	n, now := g.connects, g.clock()
	if wait := take(n, ofDevice, key, now); wait > 0 {
		return g.tooFast(DropDeviceRate, "this device connects too often", wait)
	}
	if wait := take(n, ofTenant, key.Tenant, now); wait > 0 {
		return g.tooFast(DropTenantRate, "too many connects of this tenant", wait)
	}
	if wait := take(n, ofNode, struct{}{}, now); wait > 0 {
		return g.tooFast(DropNodeRate, "too many connects", wait)
	}
	return nil
}

// tooFast is a 503 that says when there is room, or later: many hear it at once.
func (g *Gateway) tooFast(d Drop, text string, wait time.Duration) *eventloop.Refusal {
	g.drops[d].Add(1)
	wait = (wait + time.Second - 1).Truncate(time.Second)
	return &eventloop.Refusal{Reason: eventloop.ReasonUnavailable, Text: text, RetryAfter: eventloop.Spread(max(wait, g.cfg.RetryAfter))}
}
