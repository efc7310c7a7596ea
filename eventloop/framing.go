package eventloop

import "edgeloop/wsproto"

// Framing is the layer that turns bytes into messages and messages into bytes. Nobody outside this
// package builds a frame. read.go cuts what comes in, one event at a time. There are two framings,
// RFC 6455 (framing_ws.go) and MQTT on the bare stream (framing_mqtt.go), each with the opening
// that goes with it.

// A framing has no state: what it keeps of a connection lies in the Conn.
type framing interface {
	// nextOnLoop takes the next event off the front of in, which it may write to. What
	// the event carries is borrowed, of in or of the Conn.
	nextOnLoop(c *Conn, in []byte) (ev wsproto.Event, n int, ok bool, err error)
	// frameOnLoop gathers one message, or writes it if it is not worth a copy. payload
	// is borrowed until return.
	frameOnLoop(c *Conn, kind Kind, payload []byte)
	// pingOnLoop gathers a question for a sign of life, and says whether there is one.
	pingOnLoop(c *Conn) (asked bool)
	// sayOnLoop gathers the last words.
	sayOnLoop(c *Conn, code wsproto.CloseCode, reason string)
}

// An opening is how a peer says who it is, and what it is answered (opening.go).
type opening interface {
	// helloOnLoop gathers what the peer says and, when it is whole, has it decided. in
	// is borrowed until return.
	helloOnLoop(c *Conn, in []byte)
	// yesOnLoop appends the answer to one that is let in, and begins with the framing.
	yesOnLoop(c *Conn, h *Hello, dst []byte) []byte
	// noOnLoop gathers a refusal.
	noOnLoop(c *Conn, r *Refusal)
}

// Speech is what is spoken on a connection: which framing, and what it has to remember.
type speech uint8

const (
	// Of WebSocket: the window bits of permessage-deflate in what we send; 0: not
	// negotiated. Of MQTT: the version; 0: no CONNECT was read.
	speechParameter speech = 0x0f
	speechMQTT      speech = 0x10
	speechTerse     speech = 0x20 // MQTT: no words for people, there is no room for them
)

// mqtt says whether this is MQTT on the bare stream.
func (s speech) mqtt() bool { return s&speechMQTT != 0 }

// parameter is the window or the version.
func (s speech) parameter() uint8 { return uint8(s & speechParameter) }

// framingOnLoop is the framing of c. WriteOnLoop and nextOnLoop, which run for each message, choose
// it themselves: a call through the interface is two calls, because its methods have value
// receivers.
func (c *Conn) framingOnLoop() framing {
	if c.speech.mqtt() {
		return mqttFraming{}
	}
	return wsFraming{}
}

func (c *Conn) openingOnLoop() opening {
	if c.speech.mqtt() {
		return mqttOpening{}
	}
	return httpOpening{}
}

// A Kind says what a message holds.
type Kind uint8

// The kinds. A message of MQTT is one whole control packet, and Binary.
const (
	Text   = Kind(wsproto.OpText)
	Binary = Kind(wsproto.OpBinary)
)

// maxFrameHeader is the longest header of a frame, in bytes.
const maxFrameHeader = 10

// WriteOnLoop writes one message with whatever else this event writes, compressed
// if that was agreed. payload is borrowed until return.
func (c *Conn) WriteOnLoop(kind Kind, payload []byte) {
	c.loop.assertOnLoop()
	if c.state != stateOpen {
		return
	}
	switch {
	case c.speech == 0:
		wsFraming{}.frameOnLoop(c, kind, payload)
	case c.speech.mqtt():
		mqttFraming{}.frameOnLoop(c, kind, payload)
	default:
		wsFraming{}.compressOnLoop(c, kind, payload)
	}
}

// PingOnLoop asks the peer for a sign of life, if its protocol has a question for it.
func (c *Conn) PingOnLoop() {
	c.loop.assertOnLoop()
	if c.state == stateOpen && c.framingOnLoop().pingOnLoop(c) && c.state == stateOpen {
		c.loop.wheel.Mark(c.node)
	}
}

// sendOnLoop writes a message that another goroutine posted. It is not compressed:
// a loop that has a message for thousands has no time for that.
func (c *Conn) sendOnLoop(kind Kind, payload []byte) {
	if c.state != stateOpen {
		return
	}
	c.loop.stats.framesOut.Add(1)
	c.framingOnLoop().frameOnLoop(c, kind, payload)
}

// sayOnLoop gathers the last words.
func (c *Conn) sayOnLoop(code wsproto.CloseCode, reason string) {
	c.framingOnLoop().sayOnLoop(c, code, reason)
}

// nextOnLoop takes the next event off the front of in. What it carries is borrowed, of
// in or of the decoder.
func (c *Conn) nextOnLoop(in []byte) (ev wsproto.Event, n int, ok bool, err error) {
	if c.speech.mqtt() {
		return mqttFraming{}.nextOnLoop(c, in)
	}
	return wsFraming{}.nextOnLoop(c, in)
}

// eventOnLoop deals with one event.
func (c *Conn) eventOnLoop(ev wsproto.Event) {
	switch ev.Op {
	case wsproto.OpText, wsproto.OpBinary:
		c.loop.stats.messagesIn.Add(1)
		c.recv.Receive(Kind(ev.Op), ev.Payload)
	case wsproto.OpPing:
		if c.state == stateOpen {
			wsFraming{}.controlOnLoop(c, wsproto.OpPong, ev.Payload) // [RFC6455 5.5.3]
		}
	case wsproto.OpPong, wsproto.OpContinuation: // a Pong has done its work by touching the wheel
	case wsproto.OpClose:
		c.farewellOnLoop(ev)
		c.recv.Flush()
		c.peerClosedOnLoop(ev.Code)
	}
}

// farewellOnLoop hands the peer's last message to the Receiver if it says more than that it is the
// last, as DISCONNECT does. The Receiver hears it even if the connection has ended meanwhile.
func (c *Conn) farewellOnLoop(ev wsproto.Event) {
	if c.speech.mqtt() {
		c.recv.Receive(Binary, ev.Payload)
	}
}
