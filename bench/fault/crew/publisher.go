package crew

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"edgeloop/bench/fault/history"
	"edgeloop/internal/pause"
)

// publisher is a device that speaks MQTT: it numbers its messages, sends them all with QoS 1 or
// all with QoS 2 in a session that is kept, sends again what was not answered when it comes back,
// as the specification has it, and confirms most commands that it gets with QoS 1.
type publisher struct {
	// Immutable after construction.
	name string
	of   *Publishers
	rng  *rand.Rand
	qos  byte
	v5   bool

	// Owned by its goroutine.
	flight []flying
	lastID uint16
	kept   bool // the node has said that its session is

	// Atomic.
	online   atomic.Bool
	idle     atomic.Bool // nothing is on its way
	takeover atomic.Bool
	sent     atomic.Uint64 // highest number
	acked    atomic.Uint64 // PUBACK or PUBREC
	current  atomic.Pointer[link]
}

// flying is a message that is on its way.
type flying struct {
	n        uint64
	id       uint16
	released bool // PUBREC has come
}

// inFlight is how many messages a publisher has on their way.
const inFlight = 16

func (p *publisher) run(ctx context.Context) {
	for ctx.Err() == nil {
		err := p.session(ctx)
		p.online.Store(false)
		if !errors.Is(err, errTakeover) {
			_ = pause.For(ctx, time.Duration(p.rng.Int64N(int64(400*time.Millisecond))))
		}
	}
}

// session is one connection, from dialling to its end.
func (p *publisher) session(ctx context.Context) error {
	conn, err := (&net.Dialer{Timeout: HandshakeLimit}).DialContext(ctx, "tcp", p.of.at)
	if err != nil {
		return err
	}
	l := &link{conn: conn, in: bufio.NewReader(conn), v5: p.v5}
	p.current.Store(l)
	l.connect(p.name)
	err = l.flush()
	if err == nil {
		err = p.welcomed(l)
	}
	if err == nil {
		err = p.talk(ctx, l)
	}
	if errors.Is(err, errTakeover) {
		p.of.leave(ctx, p, l)
	} else {
		conn.Close()
	}
	return err
}

// welcomed reads CONNACK, and sends again what is on its way, in order.
func (p *publisher) welcomed(l *link) error {
	first, body, err := l.next(HandshakeLimit)
	switch {
	case err != nil:
		return err
	case first != connackPacket || len(body) < 2 || body[1] != 0:
		return fmt.Errorf("CONNECT was answered %x % x", first, body)
	case p.kept && body[0] != 1:
		p.broken(history.RolledBack, 0, "its session is gone")
	}
	if !p.kept {
		l.gather(subscribePacket, number(1), l.props(), text("$edgeloop/command/#"), []byte{1})
	}
	for _, f := range p.flight {
		if f.released {
			l.gather(pubrelPacket, number(f.id))
		} else {
			l.publish(p.qos, f.id, true, p.payload(f.n))
		}
	}
	p.online.Store(true)
	return l.flush()
}

// talk sends and listens until the connection ends.
func (p *publisher) talk(ctx context.Context, l *link) error {
	heard := time.Now()
	for ctx.Err() == nil {
		if p.takeover.Swap(false) {
			return errTakeover
		}
		for len(p.flight) < inFlight && p.of.producing.Load() {
			p.make(l)
		}
		p.idle.Store(len(p.flight) == 0)
		if err := l.flush(); err != nil {
			return err
		}
		first, body, err := l.next(100 * time.Millisecond)
		if errors.Is(err, ErrQuiet) && (len(p.flight) == 0 || time.Since(heard) < p.of.patience) {
			continue
		}
		for heard = time.Now(); err == nil; first, body, err = l.next(HandshakeLimit) {
			if err := p.hear(l, first, body); err != nil {
				return err
			}
			if l.in.Buffered() == 0 {
				break
			}
		}
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

// make gathers one message more, under an identifier that is free.
func (p *publisher) make(l *link) {
	for taken := true; taken; {
		if p.lastID++; p.lastID == 0 {
			p.lastID = 1
		}
		taken = slices.ContainsFunc(p.flight, func(f flying) bool { return f.id == p.lastID })
	}
	n := p.sent.Add(1)
	p.flight = append(p.flight, flying{n: n, id: p.lastID})
	l.publish(p.qos, p.lastID, false, p.payload(n))
}

func (p *publisher) payload(n uint64) []byte { return fmt.Appendf(nil, `{"d":%q,"n":%d}`, p.name, n) }

// hear takes one packet in.
func (p *publisher) hear(l *link, first byte, body []byte) error {
	if first&0xf0 == publishPacket {
		return p.command(l, first, body)
	}
	if len(body) < 2 {
		return fmt.Errorf("the node sent %x % x", first, body)
	}
	id := binary.BigEndian.Uint16(body)
	at := slices.IndexFunc(p.flight, func(f flying) bool { return f.id == id })
	switch {
	case first == subackPacket:
		if p.kept = body[len(body)-1] == 1; !p.kept {
			p.broken(history.Dropped, 0, "SUBACK says %#x", body[len(body)-1])
		}
	case at < 0: // the second answer to what was sent twice
	case len(body) > 2 && body[2] >= 0x80 && first != pubcompPacket: // there it says that PUBREL came before
		p.broken(history.Dropped, p.flight[at].n, "was refused with %#x", body[2])
	case first == pubackPacket && p.qos == 1, first == pubcompPacket && p.flight[at].released:
		p.settled(p.flight[at].n)
		p.flight = slices.Delete(p.flight, at, at+1)
	case first == pubrecPacket && p.qos == 2:
		p.settled(p.flight[at].n)
		p.flight[at].released = true
		l.gather(pubrelPacket, number(id))
	default:
		p.broken(history.Forged, p.flight[at].n, "was answered with %#x", first)
	}
	return nil
}

// settled notes that the node has confirmed a message, and so all before it.
func (p *publisher) settled(n uint64) {
	if n > p.acked.Load() {
		p.acked.Store(n)
	}
}

// command hears one, and confirms it, but for some, which it gets again when it comes back.
func (p *publisher) command(l *link, first byte, body []byte) error {
	size := 2 + int(binary.BigEndian.Uint16(body))
	if first&0x06 != 0x02 || len(body) < size+2 {
		return fmt.Errorf("the node sent %x % x", first, body)
	}
	topic := strings.Split(string(body[2:size]), "/")
	confirms := p.rng.IntN(8) != 0
	p.of.came(p, topic[len(topic)-1], first&dupFlag != 0, confirms)
	if confirms {
		l.gather(pubackPacket, bytes.Clone(body[size:size+2]))
	}
	return nil
}

func (p *publisher) broken(promise history.Promise, seq uint64, format string, args ...any) {
	p.of.journal.Break(history.Violation{Promise: promise, Device: p.name, Seq: seq, Detail: fmt.Sprintf(format, args...)})
}
