package eventloop

import (
	"errors"

	"edgeloop/mqttproto"
	"edgeloop/wsproto"
)

// mqttFraming is MQTT on the bare stream: a message is one whole control packet, with
// its fixed header, in both directions. The front of a packet that has not arrived in
// full is kept in Conn.hold, lent by the Parts; what waits for us, in Held.
type mqttFraming struct{}

func (mqttFraming) nextOnLoop(c *Conn, in []byte) (ev wsproto.Event, n int, ok bool, err error) {
	p, n, _, err := mqttproto.Next(in, c.versionOnLoop(), c.loop.s.cfg.MaxMessage)
	switch {
	case err != nil:
		return ev, 0, false, packetError(err)
	case n == 0:
		c.keepPartOnLoop(in)
		return ev, len(in), false, nil
	}
	ev.Op, ev.Payload = wsproto.OpBinary, in[:n:n]
	if p.Type == mqttproto.DISCONNECT {
		ev.Op, ev.Code = wsproto.OpClose, wsproto.CloseNormal
	}
	return ev, n, true, nil
}

func (mqttFraming) frameOnLoop(c *Conn, _ Kind, payload []byte) {
	b := c.loop.gatherOnLoop(c)
	switch {
	case c.state != stateOpen: // what was gathered before found the peer gone
	case len(payload) < scratchCap:
		b = append(b, payload...)
		c.loop.scratch = b
	default:
		c.loop.flushWithOnLoop(payload)
	}
}

// pingOnLoop: it is the client that asks.
func (mqttFraming) pingOnLoop(*Conn) bool { return false }

// sayOnLoop gathers a DISCONNECT. MQTT 3.1.1 has none, and a peer that has sent one gets none.
func (mqttFraming) sayOnLoop(c *Conn, code wsproto.CloseCode, reason string) {
	c.noteFarewellOnLoop(code, reason)
	if c.cause == CausePeerClosed { // [MQTT-3.14.4-1]
		return
	}
	b := c.loop.gatherOnLoop(c)
	if c.gc == nil {
		return
	}
	var props mqttproto.Properties
	if reason != "" && c.speech&speechTerse == 0 {
		props.AddString(mqttproto.PropReasonString, reason)
	}
	c.loop.scratch = mqttproto.AppendDisconnect(b, mqttproto.Peer{Version: c.versionOnLoop()}, disconnectReason(code), &props)
}

// versionOnLoop is what the peer's CONNECT said, 0 before it.
func (c *Conn) versionOnLoop() mqttproto.Version { return mqttproto.Version(c.speech.parameter()) }

// terseBelow is the smallest Maximum Packet Size with which a client is told reasons in words. The
// words are no longer than a Close frame takes.
const terseBelow = 256

// speechOf is what is spoken with a client.
func speechOf(m *mqttproto.Connect) speech {
	s := speechMQTT | speech(m.Version)
	if most := m.Properties.Uint(mqttproto.PropMaximumPacket, terseBelow); most < terseBelow {
		s |= speechTerse
	}
	return s
}

// keepPartOnLoop keeps the front of a packet, also of a connection that is ending: the rest of
// it may wait before the Greeting.
func (c *Conn) keepPartOnLoop(in []byte) {
	if len(in) == 0 {
		return
	}
	if c.loop.s.memory.Over(len(in), c.loop.replaying) {
		c.ShedOnLoop()
		return
	}
	c.hold = c.loop.s.memory.Parts.Get(len(in))
	c.hold.B = append(c.hold.B, in...)
}

// partOnLoop says whether what is held is the front of a packet, or of an opening.
func (c *Conn) partOnLoop() bool { return c.hold != nil && c.hold.LentBy(&c.loop.s.memory.Parts) }

// joinOnLoop puts in behind the front of the packet it belongs to, if one is held, and lends
// take all of it once the packet is whole. in is borrowed until return, and what take gets
// until it returns.
func (c *Conn) joinOnLoop(in []byte, take func(whole []byte)) {
	if !c.partOnLoop() {
		take(in)
		return
	}
	memory, whole, outer := c.loop.s.memory, c.hold, c.loop.replaying
	if memory.Over(len(in), 0) {
		c.ShedOnLoop()
		return
	}
	whole.Grow(&memory.Parts, len(in))
	whole.B = append(whole.B, in...)
	if _, n, _, err := mqttproto.Next(whole.B, c.versionOnLoop(), c.loop.s.cfg.MaxMessage); n == 0 && err == nil {
		return
	}
	c.hold, c.loop.replaying = nil, whole.Size()
	defer func() { // also when a Receiver panics
		c.loop.replaying = outer
		memory.Parts.Put(whole)
	}()
	take(whole.B)
}

// packetError is a fault in a packet as the end of a connection.
func packetError(err error) error {
	code, reason := PacketFault(err)
	return &wsproto.CloseError{Code: code, Reason: reason}
}

// reasonBase is added to an MQTT reason code for which WebSocket has no close code, so that it can
// be told unchanged.
const reasonBase = 4800

// PacketFault is the code to close with for an error of mqttproto, and the reason.
func PacketFault(err error) (CloseCode, string) {
	var fault *mqttproto.Error
	if !errors.As(err, &fault) {
		return wsproto.CloseProtocolError, err.Error()
	}
	switch fault.Reason {
	case mqttproto.ReasonProtocolError:
		return wsproto.CloseProtocolError, fault.What
	case mqttproto.ReasonMalformedPacket:
		return wsproto.CloseInvalidPayload, fault.What
	case mqttproto.ReasonPacketTooLarge:
		return wsproto.CloseTooBig, fault.What
	}
	return reasonBase + CloseCode(fault.Reason), fault.What
}

// disconnectReason is the reason code for the code of a Close frame.
func disconnectReason(code wsproto.CloseCode) mqttproto.ReasonCode {
	if own := mqttproto.ReasonCode(code - reasonBase); code >= reasonBase && own.AllowedIn(mqttproto.DISCONNECT) { //nolint:gosec // what is no code is not allowed
		return own
	}
	switch code {
	case wsproto.CloseNormal:
		return mqttproto.ReasonSuccess
	case wsproto.CloseGoingAway:
		return mqttproto.ReasonServerShuttingDown
	case wsproto.CloseProtocolError:
		return mqttproto.ReasonProtocolError
	case wsproto.CloseInvalidPayload, wsproto.CloseUnsupported:
		return mqttproto.ReasonMalformedPacket
	case wsproto.ClosePolicy:
		return mqttproto.ReasonImplementation
	case wsproto.CloseTooBig:
		return mqttproto.ReasonPacketTooLarge
	case wsproto.CloseTryAgain:
		return mqttproto.ReasonQuotaExceeded
	case CloseTokenExpired:
		return mqttproto.ReasonNotAuthorized
	case CloseForbidden:
		return mqttproto.ReasonAdministrative
	case CloseSilent:
		return mqttproto.ReasonKeepAliveTimeout
	case CloseReplaced:
		return mqttproto.ReasonSessionTakenOver
	}
	return mqttproto.ReasonUnspecified
}
