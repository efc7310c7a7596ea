package conformance_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// A reader takes events from a node and holds the node to every rule for what
// a server sends.
type reader struct {
	r      *bufio.Reader
	window int // bytes that compressed data may refer back to; 0 = no compression
	closed bool

	op         byte // of the message in fragments; 0 = none
	compressed bool
	message    []byte
	sawRSV1    int // messages that came compressed
}

var errNothingAfterClose = errors.New("the node sends after its close frame [RFC6455 5.5.1]")

// next reads one event.
func (r *reader) next() (event, error) {
	for {
		head, payload, err := r.frame()
		if err != nil {
			return event{}, err
		}
		if r.closed {
			return event{}, errNothingAfterClose
		}
		op := head & 0x0f
		if op >= 8 {
			if op == opClose {
				r.closed = true
				return event{op, payload}, checkClose(payload)
			}
			return event{op, payload}, nil
		}
		if err := r.data(head, payload); err != nil {
			return event{}, err
		}
		if head&fin == 0 {
			continue
		}
		return r.finish()
	}
}

// data adds a data frame to the message. [RFC6455 5.4]
func (r *reader) data(head byte, payload []byte) error {
	switch op := head & 0x0f; {
	case op == opContinuation && r.op == 0:
		return errors.New("a continuation of nothing [RFC6455 5.4]")
	case op == opContinuation && head&rsv1 != 0:
		return errors.New("RSV1 on a continuation [RFC7692 6.1]")
	case op != opContinuation && r.op != 0:
		return errors.New("a new message inside a fragmented one [RFC6455 5.4]")
	case op != opContinuation:
		r.op, r.compressed, r.message = op, head&rsv1 != 0, nil
	}
	r.message = append(r.message, payload...)
	return nil
}

func (r *reader) finish() (event, error) {
	e := event{r.op, r.message}
	if r.compressed {
		r.sawRSV1++
		plain, err := inflate(append(r.message, 0, 0, 0xff, 0xff), r.window)
		if err != nil {
			return event{}, fmt.Errorf("compressed message: %w [RFC7692 7.2.1]", err)
		}
		e.payload = plain
	}
	r.op, r.message = 0, nil
	if e.op == opText && !utf8.Valid(e.payload) {
		return event{}, errors.New("text that is not UTF-8 [RFC6455 5.6]")
	}
	return e, nil
}

// frame reads one frame and checks its header. [RFC6455 5.2]
func (r *reader) frame() (head byte, payload []byte, err error) {
	var b [8]byte
	if _, err := io.ReadFull(r.r, b[:2]); err != nil {
		return 0, nil, err
	}
	head = b[0]
	n := uint64(b[1] & 0x7f)
	if b[1]&0x80 != 0 {
		return 0, nil, errors.New("the node masks [RFC6455 5.1]")
	}
	form := n
	switch form {
	case 126:
		_, err = io.ReadFull(r.r, b[:2])
		n = uint64(binary.BigEndian.Uint16(b[:2]))
	case 127:
		_, err = io.ReadFull(r.r, b[:])
		n = binary.BigEndian.Uint64(b[:])
	}
	if err != nil {
		return 0, nil, err
	}
	op := head & 0x0f
	switch {
	case form == 126 && n < 126, form == 127 && n <= 0xffff:
		err = errors.New("the length is not in its shortest form [RFC6455 5.2]")
	case op > 2 && op < 8 || op > 10:
		err = fmt.Errorf("reserved opcode %d [RFC6455 5.2]", op)
	case op >= 8 && (head&fin == 0 || n > 125):
		err = errors.New("a control frame in fragments or longer than 125 bytes [RFC6455 5.5]")
	case head&(rsv2|rsv3) != 0, head&rsv1 != 0 && (r.window == 0 || op >= 8):
		err = errors.New("reserved bits are set [RFC6455 5.2]")
	case n > 64<<20:
		err = fmt.Errorf("a frame of %d bytes", n)
	}
	if err != nil {
		return 0, nil, err
	}
	var buf bytes.Buffer
	_, err = io.CopyN(&buf, r.r, int64(n))
	return head, buf.Bytes(), err
}

// checkClose looks at the payload of a node's close frame. [RFC6455 5.5.1]
func checkClose(p []byte) error {
	switch {
	case len(p) == 0:
		return nil
	case len(p) == 1:
		return errors.New("a close frame of one byte [RFC6455 5.5.1]")
	case !utf8.Valid(p[2:]):
		return errors.New("a close reason that is not UTF-8 [RFC6455 5.5.1]")
	}
	code := int(binary.BigEndian.Uint16(p))
	if code < 1000 || code == 1004 || code == 1005 || code == 1006 || code == 1015 || code > 4999 {
		return fmt.Errorf("close code %d [RFC6455 7.4]", code)
	}
	return nil
}
