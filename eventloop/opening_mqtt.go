package eventloop

import (
	"errors"
	"fmt"
	"time"

	"edgeloop/mqttproto"
	"edgeloop/wsproto"
)

// mqttOpening is the opening in MQTT: CONNECT, and CONNACK to one that is not let in.
// The other CONNACK says more than yes, so it is the Receiver's, with its first Woken.
type mqttOpening struct{}

// connectLeast is how long a CONNECT may be whatever Config.MaxMessage says: a token,
// and names.
const connectLeast = 16 << 10

func (o mqttOpening) helloOnLoop(c *Conn, in []byte) {
	s := c.loop.s
	block := in
	if c.hold != nil { // it came in pieces
		c.holdOnLoop(in)
		block = c.hold.B
	}
	p, n, _, err := mqttproto.Next(block, 0, max(s.cfg.MaxMessage, connectLeast))
	if n == 0 && err == nil {
		if c.hold == nil {
			c.holdOnLoop(in)
		}
		return
	}
	var m mqttproto.Connect
	if err == nil {
		m, err = mqttproto.DecodeConnect(p)
	}
	c.speech = speechOf(&m)
	if err != nil {
		o.faultOnLoop(c, err)
		return
	}
	h := c.requestOnLoop()
	at := len(h.block)
	h.block = append(h.block, block[:n]...) // the one copy: the packet outlives this read
	h.Connect = h.block[at:]
	if held := c.hold; held != nil {
		c.hold = nil
		defer s.memory.Parts.Put(held)
	}
	c.decideOnLoop(h, block[n:])
}

// faultOnLoop refuses what is no CONNECT. [MQTT-3.1.4-1] [MQTT-3.1.4-2]
func (o mqttOpening) faultOnLoop(c *Conn, err error) {
	if !c.noteRefusedOnLoop(CauseRefused) {
		return
	}
	reason := mqttproto.ReasonMalformedPacket
	var fault *mqttproto.Error
	if errors.As(err, &fault) {
		reason = fault.Reason
	}
	code, text := PacketFault(err)
	c.noteFarewellOnLoop(code, text)
	if c.versionOnLoop() != 0 {
		o.connackOnLoop(c, reason, err.Error())
	}
	c.lingerOnLoop()
}

func (mqttOpening) yesOnLoop(_ *Conn, _ *Hello, dst []byte) []byte { return dst }

func (o mqttOpening) noOnLoop(c *Conn, r *Refusal) {
	text, code := r.Text, wsproto.ClosePolicy
	if r.RetryAfter > 0 {
		text, code = fmt.Sprintf("%s; retry=%d", text, r.RetryAfter/time.Second), wsproto.CloseTryAgain
	}
	c.noteFarewellOnLoop(code, text)
	if c.versionOnLoop() == 0 { // it has not said how to speak to it
		return
	}
	o.connackOnLoop(c, inMQTT(r.Reason), text)
}

// connackOnLoop gathers a refusal. [MQTT-3.2.2-6] [MQTT-3.2.2-7]
func (mqttOpening) connackOnLoop(c *Conn, reason mqttproto.ReasonCode, text string) {
	b := c.loop.gatherOnLoop(c)
	if c.gc == nil {
		return
	}
	var props mqttproto.Properties
	if c.speech&speechTerse == 0 {
		props.AddString(mqttproto.PropReasonString, text)
	}
	c.loop.scratch = mqttproto.AppendConnack(b, mqttproto.Peer{Version: c.versionOnLoop()}, false, reason, &props)
}

// inMQTT is a reason as MQTT puts it.
func inMQTT(r Reason) mqttproto.ReasonCode {
	return [numReasons]mqttproto.ReasonCode{
		ReasonMalformed:    mqttproto.ReasonUnspecified,
		ReasonName:         mqttproto.ReasonClientIDInvalid,
		ReasonRetain:       mqttproto.ReasonRetainNotSupported,
		ReasonUnauthorized: mqttproto.ReasonBadCredentials,
		ReasonForbidden:    mqttproto.ReasonNotAuthorized,
		ReasonNotFound:     mqttproto.ReasonUnspecified,
		ReasonUnavailable:  mqttproto.ReasonServerBusy,
		ReasonQuota:        mqttproto.ReasonQuotaExceeded,
		ReasonInternal:     mqttproto.ReasonServerUnavailable,
	}[r]
}
