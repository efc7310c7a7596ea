package mqttapi

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"edgeloop/admin/access"
	"edgeloop/backbone/store"
	"edgeloop/eventloop"
	"edgeloop/mqttproto"
)

// client is one connection of an application. On its loop it hears packets and writes what
// the outbox has; what takes time is done by work, and the log is read by read.
type client struct {
	// Immutable after construction.
	s       *Server
	conn    *eventloop.Conn
	peer    mqttproto.Peer
	who     *access.Principal
	tenant  string
	id      string
	remote  string
	clean   bool
	silence time.Duration // ended after it; 0: never
	told    bool          // silence is ours, not what the client asked for
	made    bool          // the client identifier is ours
	asked   uint32        // Session Expiry Interval of CONNECT, seconds
	ctx     context.Context
	end     context.CancelCauseFunc
	done    chan struct{}   // closed when nothing of it runs any more
	before  <-chan struct{} // closed when the client is gone that had the session; nil: none had
	out     outbox
	window  *window
	giver   sync.WaitGroup // of who gives what is retained
	arrived chan struct{}  // a place of one: there are packets

	// Owned by the goroutine of serve, and immutable once the client is admitted, but for
	// session.
	reader  Reader // nil: no place is kept
	session session
	present bool
	shared  uint64     // what an earlier connection may have been sent by its groups
	live    uint64     // where the reading of the log begins, or began
	ended   chan error // of read; nil: it has not begun

	mu sync.Mutex
	// Guarded by mu.
	packets  [][]byte      // that wait for work
	size     int           // of packets, bytes
	farewell *uint32       // the Session Expiry Interval of DISCONNECT; nil: it said none
	subs     subscriptions // those of session, for read, but for the shared ones; replaced by the goroutine of serve
	judged   uint64        // read has judged the log up to here, by subs or those before, or it is gone
	holding  []held        // the filters whose retained messages it has still to get, the first at hand
	giving   chan struct{} // closed when it has all of them; nil: it has
	turns    uint64        // of filters, for holding
	given    []string      // filters that have got all, and whose session does not say so

	// Owned by the loop goroutine.
	welcomed bool

	// Atomic.
	groups atomic.Pointer[[]*group] // never written; changed by the goroutine of serve
}

// maxIn is how many bytes of packets wait for work; beyond, reading is paused.
const maxIn = 64 << 10

// What ends a client.
var (
	errGone     = errors.New("the connection is gone")
	errStopping = errors.New("the node stops")
)

// Receive implements eventloop.Receiver.
func (c *client) Receive(_ eventloop.Kind, packet []byte) {
	p, _, _, err := mqttproto.Next(packet, c.peer.Version, mqttproto.MaxPacket)
	if err != nil {
		c.faultOnLoop(err)
		return
	}
	switch p.Type {
	case mqttproto.PINGREQ:
		if err = mqttproto.DecodePingreq(p); err == nil {
			c.conn.WriteOnLoop(eventloop.Binary, mqttproto.AppendPingresp(nil)) // [MQTT-3.12.4-1]
		}
	case mqttproto.PUBACK:
		var m mqttproto.Ack
		if m, err = mqttproto.DecodeAck(p, c.peer.Version); err == nil {
			c.window.acknowledge(m.ID) // whatever it says of it: the client has it [MQTT-4.4.0-2] [MQTT-4.8.2-6]
			c.freed()
		}
	case mqttproto.DISCONNECT:
		err = c.farewellOnLoop(p)
	case mqttproto.AUTH:
		err = errAuth
	case mqttproto.PUBREC, mqttproto.PUBREL, mqttproto.PUBCOMP: // of what was never sent
		_, err = mqttproto.DecodeAck(p, c.peer.Version)
	default:
		c.keepOnLoop(packet)
	}
	if err != nil {
		c.faultOnLoop(err)
	}
}

var (
	errAuth   = &mqttproto.Error{Reason: mqttproto.ReasonBadAuthMethod, What: "no authentication was begun", Tag: "MQTT-4.12.0-1"}
	errExpiry = &mqttproto.Error{Reason: mqttproto.ReasonProtocolError, What: "a session without an expiry cannot get one now", Tag: "MQTT 3.14.2.2.2"}
)

// faultOnLoop ends the connection of who does not keep to the protocol. [MQTT-4.13.1-1]
func (c *client) faultOnLoop(err error) {
	code, reason := eventloop.PacketFault(err)
	c.conn.CloseOnLoop(code, reason)
}

// farewellOnLoop hears a DISCONNECT.
func (c *client) farewellOnLoop(p mqttproto.Packet) error {
	m, err := mqttproto.DecodeDisconnect(p, c.peer.Version)
	if err != nil || !m.Properties.Has(mqttproto.PropSessionExpiry) {
		return err //nolint:wrapcheck // it is the fault that is told
	}
	expiry := m.Properties.Uint(mqttproto.PropSessionExpiry, 0)
	if c.asked == 0 && expiry != 0 {
		return errExpiry
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.farewell = &expiry
	return nil
}

// keepOnLoop keeps a packet for work, and pauses reading where too many wait.
func (c *client) keepOnLoop(packet []byte) {
	c.mu.Lock()
	c.packets = append(c.packets, bytes.Clone(packet))
	c.size += len(packet)
	full := c.size > maxIn
	c.mu.Unlock()
	if full {
		c.conn.PauseOnLoop()
	}
	signal(c.arrived)
}

// take returns the packets that wait.
func (c *client) take() [][]byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	packets := c.packets
	if c.packets = nil; c.size > maxIn {
		c.conn.Wake() // it was paused
	}
	c.size = 0
	return packets
}

// Flush implements eventloop.Receiver.
func (c *client) Flush() {}

// Woken implements eventloop.Receiver: CONNACK first, then what waits.
func (c *client) Woken() {
	if !c.welcomed {
		c.welcomed = true
		c.conn.WriteOnLoop(eventloop.Binary, c.connack()) // [MQTT-3.2.0-1]
	}
	c.out.flushOnLoop()
	c.freed()
	c.mu.Lock()
	full := c.size > maxIn
	c.mu.Unlock()
	if !full && c.conn.PausedOnLoop() {
		c.conn.ResumeOnLoop()
	}
}

// connack is the CONNACK to one that is let in. [MQTT-3.2.2-2] [MQTT-3.2.2-3]
func (c *client) connack() []byte {
	var props mqttproto.Properties
	if c.peer.Version == mqttproto.V5 {
		props.AddUint(mqttproto.PropReceiveMaximum, 1)
		if c.s.cfg.Retained == nil {
			props.AddUint(mqttproto.PropRetainAvailable, 0)
		}
		if c.s.cfg.SharedLog {
			props.AddUint(mqttproto.PropSharedAvailable, 0)
		}
		props.AddUint(mqttproto.PropMaximumPacket, uint32(c.s.cfg.MaxPacket)) //nolint:gosec // at most a GiB
		if c.made {                                                           // [MQTT-3.2.2-16]
			props.AddString(mqttproto.PropAssignedClientID, c.id)
		}
		if c.told { // [MQTT-3.2.2-21]
			props.AddUint(mqttproto.PropServerKeepAlive, uint32(c.silence*2/3/time.Second)) //nolint:gosec // seconds of two days
		}
	}
	return mqttproto.AppendConnack(nil, c.peer, c.present, mqttproto.ReasonSuccess, &props)
}

// Quiet implements eventloop.Receiver. [MQTT-3.1.2-22]
func (c *client) Quiet(idle, _ time.Duration) time.Duration {
	switch {
	case c.silence == 0:
		return time.Hour
	case idle < c.silence:
		return c.silence - idle
	}
	c.conn.CloseOnLoop(eventloop.CloseSilent, "silent for "+idle.String())
	return 0
}

// Closed implements eventloop.Receiver.
func (c *client) Closed(*eventloop.Gone) { c.end(errGone) }

// close tells the client why it is ended. Any goroutine.
func (c *client) close(why error) {
	switch {
	case errors.Is(why, errGone):
	case errors.Is(why, store.ErrTaken): // [MQTT-3.1.4-3]
		c.conn.Close(eventloop.CloseReplaced, "a newer connection has this session")
	case errors.Is(why, access.ErrNoLonger):
		c.conn.Close(eventloop.CloseTokenExpired, "the token is no longer valid")
	case errors.Is(why, errStopping):
		c.conn.Close(eventloop.CloseGoingAway, c.s.comeBack())
	case errors.Is(why, errRefused), errors.Is(why, errHolds):
		c.conn.Close(eventloop.ClosePolicy, why.Error())
	default:
		c.s.log.Warn("the connection of an application cannot go on", zap.String("client", c.id), zap.Error(why))
		c.conn.Close(eventloop.CloseInternal, "the log cannot be read")
	}
}

var _ eventloop.Receiver = (*client)(nil)
