package gateway

import (
	"bytes"
	"errors"
	"net"
	"net/url"
	"time"

	"go.uber.org/zap"

	"edgeloop/auth"
	"edgeloop/devicemgr"
	"edgeloop/envelope"
	"edgeloop/eventloop"
)

// DevicePath is where devices connect; MQTTPath too, for MQTT over WebSocket alone.
const (
	DevicePath = "/v1/device"
	MQTTPath   = "/mqtt"
)

// A candidate is a connection whose handshake is being decided, on its way to
// the authentication workers.
type candidate struct {
	conn  *eventloop.Conn
	hello *eventloop.Hello
	voice *voice
	addr  *net.TCPAddr  // of the peer, shared and never written
	key   devicemgr.Key // once it is known
	link  *link         // once it is in the session table
	began time.Time     // when its request was whole
}

// Accept implements eventloop.Acceptor. The loop decides only what costs
// nothing; the pool decides which device it is.
func (g *Gateway) Accept(c *eventloop.Conn, h *eventloop.Hello) (eventloop.Receiver, *eventloop.Refusal) {
	if h.Connect == nil && string(h.Path) == MQTTPath {
		return nil, &eventloop.Refusal{Reason: eventloop.ReasonMalformed, Text: "this path is for MQTT: offer the subprotocol mqtt, or connect to " + DevicePath}
	}
	if h.Connect == nil && string(h.Path) != DevicePath {
		return nil, &eventloop.Refusal{Reason: eventloop.ReasonNotFound, Text: "devices connect to " + DevicePath}
	}
	if g.draining.Load() {
		g.drops[DropDraining].Add(1)
		return nil, g.later("this node is going away")
	}
	if refusal := g.tooFastFrom(h.Remote.Addr()); refusal != nil {
		return nil, refusal
	}
	v, refusal := g.voiceFor(&h.Credentials)
	if refusal != nil {
		return nil, refusal
	}
	who := g.candidate()
	*who = candidate{conn: c, hello: h, voice: v, addr: peerOnLoop(c, h), began: g.clock()}
	if !g.checks.Post(who) {
		g.forget(who)
		g.drops[DropAuthBusy].Add(1)
		return nil, g.later("too many devices are connecting")
	}
	return nil, nil
}

// candidate returns memory for a candidate. It is used again: it has the size of what is kept of a
// device, and each one dropped would leave a hole among those.
func (g *Gateway) candidate() *candidate {
	if c, ok := g.candidates.Get().(*candidate); ok {
		return c
	}
	return new(candidate)
}

// forget gives the memory of a candidate back.
func (g *Gateway) forget(c *candidate) {
	*c = candidate{}
	g.candidates.Put(c)
}

// voiceFor is the voice for the protocol that the peer speaks.
func (g *Gateway) voiceFor(h *eventloop.Credentials) (*voice, *eventloop.Refusal) {
	if h.Connect != nil {
		return g.newMQTT(h.Connect)
	}
	proto, ok := protocolOf(h.Protocol)
	if !ok || (h.Protocol == "" && h.Offered > 0) {
		return nil, &eventloop.Refusal{Reason: eventloop.ReasonMalformed, Text: "this node knows none of the offered subprotocols: offer " + envelope.ProtoJSON + ", " + envelope.ProtoFrameJSON + " or " + envelope.ProtoFrameProto + ", or none for raw messages"}
	}
	return g.voices[proto], nil
}

// peerOnLoop is the peer's address. It takes no memory of its own if there is no proxy in between. The zone of
// an address goes back to a pool of gnet's when the connection ends, so one with a zone is copied.
func peerOnLoop(c *eventloop.Conn, h *eventloop.Hello) *net.TCPAddr {
	peer := c.PeerOnLoop()
	if peer.Zone != "" {
		return net.TCPAddrFromAddrPort(h.Remote)
	}
	if there := peer.AddrPort(); there.Port() != h.Remote.Port() || there.Addr().Unmap() != h.Remote.Addr().Unmap() {
		return net.TCPAddrFromAddrPort(h.Remote)
	}
	return peer
}

// later is a 503 with a delay that is spread, so that those who were refused
// together do not come back together.
func (g *Gateway) later(reason string) *eventloop.Refusal {
	return &eventloop.Refusal{Reason: eventloop.ReasonUnavailable, Text: reason, RetryAfter: eventloop.Spread(g.cfg.RetryAfter)}
}

// check runs on the pool.
func (g *Gateway) check(c *candidate) {
	refusal := g.admit(c)
	g.tellProof(c, refusal)
	if refusal != nil {
		g.noticeRefused(c, refusal)
		g.refused(c, refusal)
		g.turnAway(c, refusal)
	}
	g.forget(c) // not where a worker panics, and turns it away then
}

// tellProof reports whether a candidate could prove who it is. A refusal for another reason says
// nothing about that.
func (g *Gateway) tellProof(c *candidate, refusal *eventloop.Refusal) {
	switch {
	case g.cfg.OnProof == nil || c.addr == nil:
	case refusal == nil:
		g.cfg.OnProof(c.addr.AddrPort().Addr(), true)
	case refusal.Reason == eventloop.ReasonUnauthorized:
		g.cfg.OnProof(c.addr.AddrPort().Addr(), false)
	}
}

// turnAway ends a candidate, in whatever stage it is.
func (g *Gateway) turnAway(c *candidate, refusal *eventloop.Refusal) {
	l := c.link
	if l != nil && l.flags.Load()&flagAdmitted != 0 { // it was answered, and then its worker panicked
		l.Close(uint16(eventloop.CloseInternal), refusal.Text)
		return
	}
	if l != nil {
		g.devices.Unregister(l.session, l.epoch)
		l.leaveTenant()
	}
	c.hello.Refuse(refusal)
}

// admit decides one candidate: identity, bans, then the session. The order
// matters. Others see the link from register on and may close it, but use nothing
// else of it before it is marked as admitted, here or on the loop; and Admit is
// posted before that mark, so a command that sees it is written after the 101.
// Whether the device is welcome is asked again after register: a drain or a ban
// that begins meanwhile either finds the link and closes it, or is seen here.
func (g *Gateway) admit(c *candidate) *eventloop.Refusal {
	key, id, refusal := g.identify(&c.hello.Credentials)
	if refusal == nil {
		c.key = key
		refusal = g.unwelcome(key, id)
	}
	if refusal == nil {
		refusal = g.tooBusyFor(key)
	}
	if refusal == nil {
		refusal = g.tooFastOf(key)
	}
	if refusal != nil {
		return refusal
	}
	l := &link{voice: c.voice, conn: c.conn, remote: c.addr, laneKey: uint32(g.devices.Hash(key))} //nolint:gosec // any 32 bits of the hash will do
	l.grant(id)
	l.flags.Store(l.dialect.protocol().firstFlags())
	if refusal := g.register(c, l, key); refusal != nil {
		l.leaveTenant()
		return refusal
	}
	if refusal := g.unwelcome(key, id); refusal != nil {
		return refusal
	}
	if refusal := g.takeUp(l, key); refusal != nil {
		return refusal
	}
	if id != nil {
		l.expires.Store(expiryOf(id.Expires))
	}
	g.connected(c)
	c.hello.Admit(l)
	g.latencies.handshake.Observe(time.Since(c.began))
	l.admitted()
	if l.hears() {
		g.deliverStored(l)
	}
	return nil
}

// reasonReplaced goes with closeReplaced.
const reasonReplaced = "a newer connection of this device took over"

// reasonOvertaken goes with CloseInternal.
const reasonOvertaken = "another node has newer messages of this device, connect again and resume"

// reasonOf is the reason of a close that had to wait for the handshake's answer.
func (g *Gateway) reasonOf(code uint16) string {
	switch eventloop.CloseCode(code) {
	case eventloop.CloseReplaced:
		return reasonReplaced
	case eventloop.CloseGoingAway:
		return g.comeBack()
	}
	return "closed while connecting"
}

// unwelcome says why a device may not connect now, or nil.
func (g *Gateway) unwelcome(key devicemgr.Key, id *auth.Identity) *eventloop.Refusal {
	if g.draining.Load() {
		g.drops[DropDraining].Add(1)
		return g.later("this node is going away")
	}
	if g.isResetting(key) {
		g.drops[DropResetting].Add(1)
		return g.later("the sequence of this device is being reset")
	}
	if reason, banned := g.store.Banned(key.Tenant, key.Device); banned {
		g.drops[DropForbidden].Add(1)
		return &eventloop.Refusal{Reason: eventloop.ReasonForbidden, Text: "this device is banned: " + reason}
	}
	if g.revoked(id) {
		g.drops[DropRevoked].Add(1)
		return &eventloop.Refusal{Reason: eventloop.ReasonUnauthorized, Text: reasonRevoked}
	}
	return nil
}

// errReset: what the session knows is of before a reset.
var errReset = errors.New("its sequence was reset at another node, the next connection begins anew")

// takeUp has l go on where the log stands with the device, and with what is kept of it.
func (g *Gateway) takeUp(l *link, key devicemgr.Key) *eventloop.Refusal {
	what, err := "the last durable sequence", g.load(l, key)
	if err == nil {
		what, err = "what is kept of a client's session", l.resume(key)
	}
	if err == nil {
		return nil
	}
	if !errors.Is(err, errReset) && !errors.Is(err, errMoved) && !errors.Is(err, ErrDraining) {
		g.drops[DropLogAway].Add(1)
	}
	if !errors.Is(err, errLogAway) {
		g.logger.Warn("cannot take up "+what, zap.String("device_id", key.Device), zap.Error(err))
	}
	return g.later("the log does not answer")
}

// load reads from the log where it stands with the device, unless the session
// remembers it.
func (g *Gateway) load(l *link, key devicemgr.Key) error {
	s := l.session
	if s.Loaded() && !g.cfg.SharedLog {
		return nil
	}
	known := s.Durable()
	last, err := g.lastOf(key)
	if err != nil {
		return err
	}
	if last.Position != 0 && last.Seq < known { // another node has reset its sequence
		if now := g.devices.Discard(s); now != nil { // it may be a newer one
			now.Close(uint16(eventloop.CloseGoingAway), g.comeBack())
		}
		return errReset
	}
	l.after = last.Position
	s.SetDurable(last.Seq) // another node may have written since it was loaded
	newest := false
	if l.epoch, newest = g.devices.Lift(s, l.epoch, last.Epoch); newest {
		s.SetLoaded(last.Seq) // else the newer connection has to ask, for its epoch
	}
	return nil
}

// queryOf reads the query.
func queryOf(h *eventloop.Credentials) (url.Values, error) {
	if len(h.Query) == 0 {
		return nil, nil // which reads as empty
	}
	return url.ParseQuery(string(h.Query)) //nolint:wrapcheck // nobody is told more than that
}

// identify says who is connecting.
func (g *Gateway) identify(h *eventloop.Credentials) (devicemgr.Key, *auth.Identity, *eventloop.Refusal) {
	if h.Connect != nil {
		return g.identifyMQTT(h)
	}
	query, err := queryOf(h)
	if err != nil {
		return devicemgr.Key{}, nil, &eventloop.Refusal{Reason: eventloop.ReasonMalformed, Text: "the query is malformed"}
	}
	if g.verifier == nil {
		if refusal := g.fromElsewhere(h); refusal != nil {
			return devicemgr.Key{}, nil, refusal
		}
		return anonymous(query)
	}
	token, ok := tokenOf(h, query)
	if !ok && g.enough(h.Certificate) {
		if refusal := g.fromElsewhere(h); refusal != nil {
			return devicemgr.Key{}, nil, refusal
		}
	}
	if !ok && !g.enough(h.Certificate) {
		g.drops[DropUnauthorized].Add(1)
		return devicemgr.Key{}, nil, &eventloop.Refusal{Reason: eventloop.ReasonUnauthorized, Text: "no token: send Authorization: Bearer TOKEN, ?token=TOKEN, or offer the subprotocol bearer.TOKEN"}
	}
	return g.prove(token, h.Certificate)
}

// identifyToken says whose a token is.
func (g *Gateway) identifyToken(token []byte) (devicemgr.Key, *auth.Identity, *eventloop.Refusal) {
	id, err := g.verifier.Verify(token)
	if errors.Is(err, auth.ErrKeys) {
		g.drops[DropKeysMissing].Add(1)
		return devicemgr.Key{}, nil, g.later(err.Error())
	}
	if err != nil {
		g.drops[DropUnauthorized].Add(1)
		return devicemgr.Key{}, nil, &eventloop.Refusal{Reason: eventloop.ReasonUnauthorized, Text: err.Error()}
	}
	return devicemgr.Key{Tenant: id.Tenant, Device: id.Device}, id, nil
}

// anonymous takes the identity that the device gives itself (--auth=none).
func anonymous(query url.Values) (devicemgr.Key, *auth.Identity, *eventloop.Refusal) {
	return nameItself(query.Get("tenant"), query.Get("device"))
}

// nameItself checks the names that a device gives itself.
func nameItself(tenant, device string) (devicemgr.Key, *auth.Identity, *eventloop.Refusal) {
	key := devicemgr.Key{Tenant: tenant, Device: device}
	if key.Tenant == "" {
		key.Tenant = auth.DefaultTenant
	}
	for kind, name := range map[string]string{"tenant": key.Tenant, "device": key.Device} {
		if err := auth.CheckName(kind, name); err != nil {
			return key, nil, &eventloop.Refusal{Reason: eventloop.ReasonName, Text: err.Error()}
		}
	}
	return key, nil, nil
}

// tokenOf finds the token in the three places where it may be.
func tokenOf(h *eventloop.Credentials, query url.Values) ([]byte, bool) {
	const scheme = "bearer "
	var sent []byte
	if len(h.Authorization) > len(scheme) && equalFold(h.Authorization[:len(scheme)], scheme) {
		sent = bytes.TrimLeft(h.Authorization[len(scheme):], " ") // [RFC9110 11.4]: one space or more
	}
	switch {
	case len(sent) > 0:
		return sent, true
	case query.Get("token") != "":
		return []byte(query.Get("token")), true
	case len(h.Bearer) > 0:
		return h.Bearer, true
	}
	return nil, false
}

func equalFold(b []byte, lower string) bool {
	for i := range lower {
		c := b[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// leave is told by a link that its connection is gone.
func (g *Gateway) leave(l *link, gone *eventloop.Gone) {
	l.leaveTenant()
	if l.session != nil {
		l.noticeGone(gone)
		l.disconnected(gone)
	}
	end := devicemgr.End{Code: uint16(gone.Code), Cause: uint8(gone.Cause)}
	if l.session != nil && g.devices.UnregisterAs(l.session, l.epoch, end) {
		if line := g.logger.Check(zap.DebugLevel, "device left"); line != nil { // fields cost, also unwritten
			line.Write(zap.String("device_id", l.session.Key().Device),
				zap.Stringer("cause", gone.Cause), zap.Uint16("close_code", uint16(gone.Code)))
		}
	}
}
