package mqttproto

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"
)

// cursor reads fields from the front of a packet's body. The first fault stays; reads
// after it return zeros.
type cursor struct {
	rest  []byte
	fault *Error
}

func (c *cursor) fail(e *Error) {
	if c.fault == nil {
		c.fault = e
	}
	c.rest = nil
}

// take returns the next n bytes.
func (c *cursor) take(n int) []byte {
	if n > len(c.rest) {
		c.fail(ErrTruncated)
		return nil
	}
	b := c.rest[:n:n]
	c.rest = c.rest[n:]
	return b
}

func (c *cursor) byte() byte {
	if b := c.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) u16() uint16 {
	if b := c.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (c *cursor) u32() uint32 {
	if b := c.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// uvarint reads a variable byte integer in its shortest form.
func (c *cursor) uvarint() int {
	v, size, ok := uvarint(c.rest)
	switch {
	case !ok:
		c.fail(ErrLength)
	case size == 0:
		c.fail(ErrTruncated)
	case size != uvarintSize(v):
		c.fail(ErrLength) // [MQTT-1.5.5-1]
	default:
		c.take(size)
		return v
	}
	return 0
}

// binary reads bytes behind a length of two.
func (c *cursor) binary() []byte { return c.take(int(c.u16())) }

// text reads a UTF-8 encoded string; bad is the fault if it is none.
func (c *cursor) text(bad *Error) []byte {
	b := c.binary()
	if !ValidText(b) {
		c.fail(bad)
	}
	return b
}

// id reads a packet identifier.
func (c *cursor) id() uint16 {
	id := c.u16()
	if id == 0 {
		c.fail(ErrPacketID) // [MQTT-2.2.1-3]
	}
	return id
}

// end checks that nothing is left, and returns the first fault.
func (c *cursor) end() error {
	if len(c.rest) != 0 {
		c.fail(ErrTrailing)
	}
	if c.fault != nil {
		return c.fault
	}
	return nil
}

// ValidText says whether b may be an MQTT string: well-formed UTF-8 without U+0000. A byte
// order mark is a character like others [MQTT-1.5.4-3]. The length is not looked at.
func ValidText(b []byte) bool {
	for len(b) >= 8 && plain(binary.LittleEndian.Uint64(b)) {
		b = b[8:]
	}
	for len(b) > 0 && b[0]-1 < utf8.RuneSelf-1 {
		b = b[1:]
	}
	return len(b) == 0 ||
		utf8.Valid(b) && // [MQTT-1.5.4-1]
			bytes.IndexByte(b, 0) < 0 // [MQTT-1.5.4-2]
}

// plain says whether none of eight bytes is 0 or above 127.
func plain(x uint64) bool {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	return (x|(x-ones))&tops == 0
}

func appendText[T Text](dst []byte, s T) []byte {
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(s))), s...)
}

// cutText shortens s to what a string of MQTT holds, at the end of a character.
func cutText[T Text](s T) T {
	if len(s) <= maxString {
		return s
	}
	cut := maxString
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut]
}
