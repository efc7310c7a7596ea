package crew

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// The packets of MQTT that a publisher sends and gets, with their flags.
const (
	connectPacket   = 0x10
	connackPacket   = 0x20
	publishPacket   = 0x30
	pubackPacket    = 0x40
	pubrecPacket    = 0x50
	pubrelPacket    = 0x62
	pubcompPacket   = 0x70
	subscribePacket = 0x82
	subackPacket    = 0x90
	dupFlag         = 0x08
)

// link is a publisher's end of one connection. One goroutine reads, the same one writes.
type link struct {
	conn net.Conn
	in   *bufio.Reader
	out  []byte // packets that are being gathered
	v5   bool
}

// gather puts a packet behind those that wait to be written.
func (l *link) gather(first byte, parts ...[]byte) {
	body := bytes.Join(parts, nil)
	l.out = binary.AppendUvarint(append(l.out, first), uint64(len(body)))
	l.out = append(l.out, body...)
}

// props are no properties, where the version has a place for them.
func (l *link) props() []byte {
	if l.v5 {
		return []byte{0}
	}
	return nil
}

func number(n uint16) []byte { return binary.BigEndian.AppendUint16(nil, n) }

func text(s string) []byte { return append(number(uint16(len(s))), s...) } //nolint:gosec // short

// connect gathers a CONNECT for a session that is kept for an hour, and over restarts.
func (l *link) connect(name string) {
	version, props := byte(4), []byte(nil)
	if l.v5 {
		version, props = 5, []byte{5, 0x11, 0, 0, 0x0e, 0x10}
	}
	l.gather(connectPacket, text("MQTT"), []byte{version, 0, 0, 60}, props, text(name))
}

// publish gathers a PUBLISH to the topic t.
func (l *link) publish(qos byte, id uint16, again bool, payload []byte) {
	first := publishPacket | qos<<1
	if again {
		first |= dupFlag
	}
	l.gather(first, text("t"), number(id), l.props(), payload)
}

// flush writes what was gathered.
func (l *link) flush() error {
	if len(l.out) == 0 {
		return nil
	}
	_ = l.conn.SetWriteDeadline(time.Now().Add(WriteLimit))
	_, err := l.conn.Write(l.out)
	l.out = l.out[:0]
	return err
}

// next reads one packet; ErrQuiet if none begins to arrive within wait.
func (l *link) next(wait time.Duration) (first byte, body []byte, err error) {
	if l.in.Buffered() == 0 {
		_ = l.conn.SetReadDeadline(time.Now().Add(wait))
		if _, err := l.in.Peek(1); err != nil {
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				return 0, nil, ErrQuiet
			}
			return 0, nil, err
		}
	}
	_ = l.conn.SetReadDeadline(time.Now().Add(HandshakeLimit))
	first, err = l.in.ReadByte()
	if err != nil {
		return 0, nil, err
	}
	size, err := binary.ReadUvarint(l.in)
	if err != nil || size > 1<<20 {
		return 0, nil, fmt.Errorf("a packet of %d bytes: %w", size, err)
	}
	body = make([]byte, size)
	_, err = io.ReadFull(l.in, body)
	return first, body, err
}
