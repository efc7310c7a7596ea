package eventloop

import (
	"slices"

	"edgeloop/wsproto"
)

// MQTT over WebSocket: the stream of packets is the payload of binary frames, and where a frame
// begins or ends means nothing [MQTT-6.0.0-2]. So the frames are a layer around the stream, as TLS
// is, and lie inside TLS if there is any. A paused connection keeps frames; openings, framing and
// Receiver see MQTT as on the bare stream.
//
// The request is answered on the loop, before anybody has been asked: it is CONNECT that
// says who has come, and until then the connection is one of those without an opening,
// with their deadline and their places in the lobby.

// mqttSubprotocol is how a client asks for it, and what it is answered.
// [MQTT-6.0.0-3] [MQTT-6.0.0-4]
const mqttSubprotocol = "mqtt"

// handshakeOf is what WebSocket handshakes agree to.
func handshakeOf(cfg *Config) wsproto.HandshakeConfig {
	h := wsproto.HandshakeConfig{Protocols: cfg.Protocols, Compression: cfg.Compression}
	if len(cfg.MQTTPaths) > 0 {
		h.Protocols, h.Uncompressed = append(slices.Clone(h.Protocols), mqttSubprotocol), mqttSubprotocol
	}
	return h
}

// A tunnel is the layer of one connection. Its decoder is Conn.dec.
type tunnel struct {
	// Immutable after construction.
	c     *Conn
	below Greeting // TLS; nil without it

	// Owned by the loop goroutine.
	request *Hello // until CONNECT has come
	code    wsproto.CloseCode
	reason  string // of our Close frame, as code; 0: the Conn's
	closed  bool   // it went out
}

var _ Greeting = (*tunnel)(nil)

// tunnelOnLoop answers the request of h, from where on the stream is MQTT's. rest came
// behind it, and is borrowed until return.
func (c *Conn) tunnelOnLoop(h *Hello, rest []byte) {
	s := c.loop.s
	if !slices.Contains(s.cfg.MQTTPaths, string(h.Path)) {
		c.refuseOnLoop(&Refusal{Reason: ReasonNotFound, Text: "MQTT is spoken on other paths"})
		s.putHello(h)
		return
	}
	if b := c.loop.gatherOnLoop(c); c.gc != nil {
		c.loop.scratch = h.upgrade.AppendResponse(b) // [MQTT-6.0.0-4]
		c.loop.flushOnLoop()
	}
	if c.gc == nil {
		s.putHello(h)
		return
	}
	t := &tunnel{c: c, request: h}
	l, ok := c.gc.(*layered)
	switch {
	case !ok:
		l = &layered{Conn: c.gc, c: c}
		c.gc = l
	case l.over:
		l.greeting.Closed()
		l.over = false
	default:
		t.below = l.greeting
	}
	l.greeting = t
	c.dec, c.speech = wsproto.NewStreamDecoder(), speechMQTT
	step := Step{Plain: rest}
	t.unframeOnLoop(&step)
	if l.answerOnLoop(&step, nil); c.gc != nil {
		c.handOnOnLoop(&step, func(plain []byte) { c.takeOnLoop(plain) })
	}
}

// requestOnLoop is the Hello for a CONNECT that has come: that of the request, or a new one.
func (c *Conn) requestOnLoop() (h *Hello) {
	if t := c.inTunnelOnLoop(); t != nil && t.request != nil {
		h, t.request = t.request, nil
		return h
	}
	h = c.loop.s.getHello(c)
	h.block = h.block[:0]
	h.Credentials = Credentials{Listener: c.listener().row.Name, Remote: c.remoteOnLoop(), Certificate: c.CertificateOnLoop()}
	return h
}

// inTunnelOnLoop is the layer of a connection that has one, or nil.
func (c *Conn) inTunnelOnLoop() *tunnel {
	if l, ok := c.gc.(*layered); ok {
		t, _ := l.greeting.(*tunnel)
		return t
	}
	return nil
}

// noteFarewellOnLoop notes what a Close frame is to say, where there will be one. MQTT says
// less: 3.1.1 has no reasons.
func (c *Conn) noteFarewellOnLoop(code wsproto.CloseCode, reason string) {
	if t := c.inTunnelOnLoop(); t != nil && t.code == 0 {
		t.code, t.reason = code, reason
	}
}

// Step implements Greeting.
func (t *tunnel) Step(wire []byte) (s Step, err error) {
	if t.below == nil {
		s.Used, s.Plain = len(wire), wire
	} else if s, err = t.below.Step(wire); err != nil {
		return s, err //nolint:wrapcheck // it is a layer as this one
	}
	t.unframeOnLoop(&s)
	return s, nil
}

// unframeOnLoop puts in place of the frames in s.Plain what they carry, without a copy
// elsewhere. Of several pings the last is answered. [RFC6455 5.5.3]
func (t *tunnel) unframeOnLoop(s *Step) {
	var pong [125]byte
	pinged := -1
	in := s.Plain
	for s.Plain = in[:0]; len(in) > 0; {
		ev, n, ok, err := t.c.dec.Next(t.c.loop.s.decode, in)
		in = in[n:]
		if err != nil {
			s.Fault = err
			break
		}
		switch {
		case !ok, ev.Op == wsproto.OpPong:
		case ev.Op == wsproto.OpPing:
			pinged = copy(pong[:], ev.Payload)
		case ev.Op == wsproto.OpClose: // [RFC6455 5.5.1]
			t.closed, s.End = true, true
			t.replyOnLoop(s, wsproto.AppendClose(nil, ev.Code, ""))
			in = nil
		default:
			s.Plain = append(s.Plain, ev.Payload...)
		}
	}
	if pinged >= 0 && !t.closed {
		t.replyOnLoop(s, wsproto.AppendFrame(nil, wsproto.OpPong, pong[:pinged]))
	}
	t.c.reclaimOnLoop()
}

// replyOnLoop adds a frame to what a step answers.
func (t *tunnel) replyOnLoop(s *Step, frame []byte) {
	if t.below != nil {
		frame = t.below.Seal(nil, frame)
	}
	s.Reply = append(s.Reply, frame...)
}

// Seal implements Greeting: one frame for all that is written together. [MQTT-6.0.0-1]
func (t *tunnel) Seal(dst, plain []byte) []byte {
	switch {
	case t.closed || len(plain) == 0: // nothing follows a Close frame
		return dst
	case t.below == nil:
		return wsproto.AppendFrame(dst, wsproto.OpBinary, plain)
	}
	l := t.c.loop
	framed := wsproto.AppendFrame(l.framed[:0], wsproto.OpBinary, plain)
	if l.framed = framed; cap(framed) > 4*scratchCap { // one large frame must not stay for good
		l.framed = nil
	}
	return t.below.Seal(dst, framed)
}

// Goodbye implements Greeting: the Close frame tells people why, whatever the version of MQTT.
func (t *tunnel) Goodbye(dst []byte) []byte {
	if !t.closed {
		t.closed = true
		code := t.code
		if code == 0 {
			code = t.c.code
		}
		if !code.ValidOnWire() {
			code = wsproto.CloseNormal
		}
		frame := wsproto.AppendClose(nil, code, t.reason)
		if t.below != nil {
			frame = t.below.Seal(nil, frame)
		}
		dst = append(dst, frame...)
	}
	if t.below != nil {
		dst = t.below.Goodbye(dst)
	}
	return dst
}

// Closed implements Greeting.
func (t *tunnel) Closed() {
	t.c.loop.s.putHello(t.request)
	t.request = nil
	if t.below != nil {
		t.below.Closed()
	}
}
