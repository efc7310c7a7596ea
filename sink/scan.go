package sink

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// scan reads a line as the node writes them, with texts of plain ASCII: what json.Unmarshal
// makes of it, for less than half the price, and Data is a part of the line. It returns false
// where it is not sure; then r may have anything. before is any record: a text that is the same in
// it is taken from there.
func scan(line []byte, before, r *Record) bool {
	if !json.Valid(line) {
		return false
	}
	c := cursor{left: line}
	for more := c.is('{'); more; more = c.is(',') {
		key, value := c.value(), []byte(nil)
		if key != nil && c.is(':') {
			value = c.value()
		}
		if value == nil || !r.set(key, value, before) {
			return false
		}
	}
	return c.is('}') && len(c.left) == 0
}

// set takes one member.
func (r *Record) set(key, value []byte, before *Record) bool {
	switch string(key) {
	case `"tenant"`:
		return plainText(&r.Tenant, before.Tenant, value)
	case `"device"`:
		return plainText(&r.Device, before.Device, value)
	case `"type"`:
		return plainText(&r.Type, before.Type, value)
	case `"topic"`:
		return plainText(&r.Topic, before.Topic, value)
	case `"level"`:
		return plainText(&r.Level, before.Level, value)
	case `"encoding"`:
		return plainText(&r.Encoding, before.Encoding, value)
	case `"epoch"`:
		return whole(&r.Epoch, value)
	case `"seq"`:
		return whole(&r.Seq, value)
	case `"ts"`:
		return wholeSigned(&r.TS, value)
	case `"received"`:
		return wholeSigned(&r.Received, value)
	case `"data"`:
		r.Data = value
		return true
	case `"qos"`, `"retain"`: // no destination is told
		return true
	case `"properties"`:
		p, err := readProperties(value)
		r.Properties = p
		return err == nil
	}
	return false
}

// readProperties is in a function of its own, so that the records of those who have none are no
// garbage.
func readProperties(value []byte) (p *Properties, err error) {
	err = json.Unmarshal(value, &p)
	return p, err
}

func plainText(to *string, before string, value []byte) bool {
	if value[0] != '"' {
		return false
	}
	text := value[1 : len(value)-1]
	for _, b := range text {
		if b == '\\' || b >= 0x80 {
			return false
		}
	}
	if *to = before; before != string(text) {
		*to = string(text)
	}
	return true
}

func whole(to *uint64, value []byte) bool {
	n, err := strconv.ParseUint(string(value), 10, 64)
	*to = n
	return err == nil
}

func wholeSigned(to *int64, value []byte) bool {
	n, err := strconv.ParseInt(string(value), 10, 64)
	*to = n
	return err == nil
}

// cursor goes through JSON that is valid and has no space between members.
type cursor struct{ left []byte }

// is passes over a byte, if it is the next one.
func (c *cursor) is(b byte) bool {
	if len(c.left) == 0 || c.left[0] != b {
		return false
	}
	c.left = c.left[1:]
	return true
}

// value passes over a value, and gives it; nil if it is not at one.
func (c *cursor) value() []byte {
	n := 0
	if len(c.left) == 0 {
		return nil
	}
	switch c.left[0] {
	case '"':
		n = textEnd(c.left)
	case '{', '[':
		n = nestedEnd(c.left)
	default:
		n = bytes.IndexAny(c.left, ",}] \t\r\n")
	}
	if n <= 0 {
		return nil
	}
	v := c.left[:n:n]
	c.left = c.left[n:]
	return v
}

// textEnd is how long the text is that b begins with.
func textEnd(b []byte) int {
	for n := 1; n < len(b); n++ {
		switch b[n] {
		case '\\':
			n++
		case '"':
			return n + 1
		}
	}
	return 0
}

// nestedEnd is how long the object or array is that b begins with.
func nestedEnd(b []byte) int {
	depth := 0
	for n := 0; n < len(b); n++ {
		switch b[n] {
		case '"':
			n += textEnd(b[n:]) - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return n + 1
			}
		}
	}
	return 0
}
