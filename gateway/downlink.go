package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"edgeloop/devicemgr"
	"edgeloop/envelope"
	"edgeloop/eventloop"
)

// The errors of the way down.
var (
	// ErrUnknownDevice: the device was never seen and the command has no time to live.
	ErrUnknownDevice = errors.New("gateway: the device is not known")
	// ErrNotConnected: the device is not connected.
	ErrNotConnected = errors.New("gateway: the device is not connected")
	// ErrSlowDevice: the device does not read what was sent before.
	ErrSlowDevice = errors.New("gateway: the device reads too slowly")
	// ErrDraining: the node is going away.
	ErrDraining = errors.New("gateway: the node is draining")
)

// A CommandError says what of a command is not allowed.
type CommandError struct {
	Field  string // "name" or "data"
	Reason string // completes the sentence "FIELD …"
}

func (e *CommandError) Error() string { return "gateway: command: " + e.Field + " " + e.Reason }

// A Command goes down to one device.
type Command struct {
	Name string          // 1 to envelope.MaxName bytes of UTF-8
	Data json.RawMessage // one JSON value, or nil; as sent at most Config.MaxCommand bytes
	// TTL is how long it may wait for a device that is not here; 0: not at all if
	// the device was never seen, DefaultTTL otherwise.
	TTL time.Duration
	// Now: it does not wait for a device that is not here, whatever TTL says.
	Now bool
	// Wait is how long to wait for the reply; 0: not at all.
	Wait time.Duration
}

// DefaultTTL is how long a command waits for a device that is known and away.
const DefaultTTL = time.Minute

// An Outcome says what became of a command.
type Outcome uint8

// The outcomes.
const (
	OutcomeSent    Outcome = iota // handed to the connection; no reply was waited for
	OutcomeReplied                // the device replied
	OutcomeNoReply                // no reply in time from a device that is here
	OutcomeLeft                   // kept for a device that is not here, or that has to confirm it
)

// A Reply is what a device answered. Its bytes are the receiver's to keep.
type Reply struct {
	OK   bool
	Data []byte // JSON or, from protobuf devices, any bytes; nil for none
	Code string
	Text string
	TTL  time.Duration // with OutcomeLeft, instead of all others: how long the command was to wait
}

// Command sends a command to a device, or leaves it for one that is not here, and waits for the
// reply if asked to. It is delivered at most once; to a device that confirms what it gets, at least
// once: it is kept until then, whether the device is here or not, unless c.Now is set. Errors:
// those above, *CommandError, or the store's.
func (g *Gateway) Command(ctx context.Context, key devicemgr.Key, c Command) (id string, out Outcome, reply Reply, err error) {
	if g.draining.Load() {
		return "", 0, Reply{}, ErrDraining
	}
	id = newID()
	if err := g.checkCommand(id, c.Name, c.Data); err != nil {
		return "", 0, Reply{}, err
	}
	s := g.devices.Lookup(key)
	if l := liveLink(s); l != nil {
		answer := g.replies.expect(id, key)
		defer g.replies.forget(id)
		began := time.Now()
		if l.flags.Load()&flagConfirms != 0 && !c.Now {
			out, reply, err = g.keepCommand(ctx, l, id, c, answer)
			return id, out, reply, err
		}
		if err := l.command(id, c.Name, c.Data); err == nil {
			g.counts.commandsSent.Add(1)
			if out, reply = await(ctx, answer, c.Wait); out == OutcomeReplied {
				g.latencies.reply.Observe(time.Since(began))
			}
			return id, out, reply, nil
		} else if refused := (*CommandError)(nil); errors.As(err, &refused) {
			return id, 0, Reply{}, refused
		} else if errors.Is(err, eventloop.ErrSlowConsumer) {
			g.drops[DropCommandSlow].Add(1)
			return id, 0, Reply{}, ErrSlowDevice
		}
	}
	if c.Now {
		g.drops[DropCommandOffline].Add(1)
		return id, 0, Reply{}, ErrNotConnected
	}
	ttl, err := g.ttl(ctx, s, key, c.TTL)
	if err != nil {
		return id, 0, Reply{}, err
	}
	return id, OutcomeLeft, Reply{TTL: ttl}, g.leaveCommand(ctx, key, id, c, ttl)
}

// checkCommand sees that a command can be encoded for every protocol, and that in
// none it is larger than what may wait for a device, or it would cut that device off.
func (g *Gateway) checkCommand(id, name string, data []byte) error {
	switch {
	case name == "" || len(name) > envelope.MaxName:
		return &CommandError{"name", fmt.Sprintf("has %d bytes, allowed are 1 to %d", len(name), envelope.MaxName)}
	case !utf8.ValidString(name):
		return &CommandError{"name", "is not UTF-8"}
	case strings.ContainsFunc(name, unicode.IsControl):
		return &CommandError{"name", "has a control character, which devices refuse"}
	case len(data) > g.cfg.MaxCommand:
		return &CommandError{"data", fmt.Sprintf("has %d bytes, allowed are %d", len(data), g.cfg.MaxCommand)}
	case len(data) > 0 && !envelope.ValidJSON(data):
		return &CommandError{"data", "is not one JSON value"}
	}
	for p := range numProtocols {
		if n := len(g.encodeCommand(p, id, name, data)); n > g.cfg.MaxCommand {
			return &CommandError{"data", fmt.Sprintf("has %d bytes, which are %d with its name and envelope, allowed are %d", len(data), n, g.cfg.MaxCommand)}
		}
	}
	return nil
}

// encodeCommand is a command as a device of protocol p gets it.
func (g *Gateway) encodeCommand(p protocol, id, name string, data []byte) []byte {
	return g.forms[p].appendCommand(nil, id, name, data)
}

// ttl is how long a command may wait for a device that is not here.
func (g *Gateway) ttl(ctx context.Context, s *Session, key devicemgr.Key, asked time.Duration) (time.Duration, error) {
	switch {
	case asked > 0:
		return asked, nil
	case s != nil:
		return DefaultTTL, nil
	}
	// Never seen by this process: the log knows whether it was seen before.
	last, err := g.log.Last(ctx, key.Tenant, key.Device)
	if err != nil {
		return 0, fmt.Errorf("gateway: look up the device: %w", err)
	}
	if last.Position == 0 {
		g.drops[DropCommandOffline].Add(1)
		return 0, ErrUnknownDevice
	}
	return DefaultTTL, nil
}

// command sends one command down this link; any goroutine.
func (l *link) command(id, name string, data []byte) error {
	return l.sendCommand(name, l.g.encodeCommand(l.dialect.protocol(), id, name, data))
}

// mayGet says why no command of that name may be sent down this link, or nil; any goroutine.
func (l *link) mayGet(name string) error {
	if l.rights.Load().MayGet([]byte(name)) {
		return nil
	}
	l.g.drops[DropCommandNotAllowed].Add(1)
	return &CommandError{"name", "is none that the token of the device allows"}
}

// sendCommand sends a command of that name that is encoded for this link; any goroutine. The
// bytes are shared, never written.
func (l *link) sendCommand(name string, encoded []byte) error {
	if err := l.mayGet(name); err != nil {
		return err
	}
	if err := l.tooLarge(len(encoded)); err != nil {
		return err
	}
	return l.conn.Send(l.g.forms[l.dialect.protocol()].kind(), encoded)
}

// tooLarge says of a command that makes n bytes that the device does not take it.
func (l *link) tooLarge(n int) error {
	most := l.dialect.mostDown()
	if most == 0 || n <= most {
		return nil
	}
	l.g.drops[DropCommandLarge].Add(1)
	return &CommandError{"data", fmt.Sprintf("makes a message of %d bytes, and the device takes %d", n, most)}
}

// Broadcast sends one command to every connected device of a group, a tenant
// (group "") or all tenants (both ""), and returns to how many. It is encoded
// once for each encoding; the bytes are shared.
func (g *Gateway) Broadcast(tenant, group, name string, data []byte) (id string, devices int, err error) {
	if g.draining.Load() {
		return "", 0, ErrDraining
	}
	id = newID()
	if err := g.checkCommand(id, name, data); err != nil {
		return "", 0, err
	}
	encoded := make(map[protocol][]byte)
	send := func(s *Session) bool {
		l := liveLink(s)
		if l == nil {
			return true
		}
		p := l.dialect.protocol()
		payload, ok := encoded[p]
		if !ok {
			payload = g.encodeCommand(p, id, name, data)
			encoded[p] = payload
		}
		switch err := l.sendCommand(name, payload); {
		case err == nil:
			devices++
		case errors.Is(err, eventloop.ErrSlowConsumer):
			g.drops[DropCommandSlow].Add(1)
		}
		return true
	}
	if group != "" {
		g.devices.Members(tenant, group, send)
	} else {
		g.devices.Range(tenant, send)
	}
	g.counts.broadcasts.Add(1)
	return id, devices, nil
}

// Kick closes a device's connection.
func (g *Gateway) Kick(key devicemgr.Key, code uint16, reason string) error {
	s := g.devices.Lookup(key)
	if s == nil {
		return ErrUnknownDevice
	}
	l := linkOf(s)
	if l == nil {
		return ErrNotConnected
	}
	l.Close(code, reason)
	return nil
}

type (
	// Devices is the session table of a gateway. Its connections are the gateway's own:
	// DescribeLink says what they are.
	Devices = devicemgr.Manager[link]
	// Session is what the table has of a device.
	Session = devicemgr.Session[link]
	// DeviceInfo is a snapshot of a Session.
	DeviceInfo = devicemgr.Info[link]
)

// Devices is the session table, for lists.
func (g *Gateway) Devices() *Devices { return g.devices }

// liveLink is the link of a device that commands reach, or nil.
func liveLink(s *Session) *link {
	if s == nil {
		return nil
	}
	l := linkOf(s)
	if l == nil || !l.hears() {
		return nil
	}
	return l
}
