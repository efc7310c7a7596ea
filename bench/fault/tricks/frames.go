package tricks

import (
	"bufio"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// device is one that was let in.
type device struct {
	t    *try
	conn net.Conn
	r    *bufio.Reader
	upto int64 // of the last acknowledgement
}

// device connects with a good token, and has its welcome.
func (t *try) device(fields ...string) (*device, error) {
	c, err := t.dial(t.doors.WS)
	if err != nil {
		return nil, err
	}
	return t.deviceOn(c, fields...)
}

func (t *try) deviceOn(c net.Conn, fields ...string) (*device, error) {
	status, r := t.say(c, t.asking(strings.Join(fields, "")))
	if status != "101" {
		c.Close()
		return nil, errors.New(status)
	}
	d := &device{t: t, conn: c, r: r}
	if _, text, err := d.frame(); err != nil || !strings.Contains(string(text), `"welcome"`) {
		c.Close()
		return nil, fmt.Errorf("no welcome: %.80q %w", text, err)
	}
	return d, nil
}

// Opcodes.
const (
	fin          = 0x80
	rsv1         = 0x40
	continuation = 0
	text         = 1
	binaryFrame  = 2
	closing      = 8
	ping         = 9
	pong         = 10
)

// frame reads one frame of the node's.
func (d *device) frame() (op byte, payload []byte, err error) {
	var head [2]byte
	if _, err := io.ReadFull(d.r, head[:]); err != nil {
		return 0, nil, err
	}
	length := uint64(head[1] & 0x7f)
	if more := map[uint64]int{126: 2, 127: 8}[length]; more > 0 {
		var wide [8]byte
		if _, err := io.ReadFull(d.r, wide[8-more:]); err != nil {
			return 0, nil, err
		}
		length = binary.BigEndian.Uint64(wide[:])
	}
	if length > 1<<20 {
		return 0, nil, fmt.Errorf("a frame of %d bytes", length)
	}
	payload = make([]byte, length)
	_, err = io.ReadFull(d.r, payload)
	return head[0] & 0x0f, payload, err
}

// end says something, and then hears how the node ends the connection.
func (d *device) end(wire string) string {
	defer d.conn.Close()
	_, _ = io.WriteString(d.conn, wire) // seen below
	return d.heard()
}

// heard is how the node ends the connection.
func (d *device) heard() string {
	for {
		op, payload, err := d.frame()
		switch {
		case err != nil:
			return d.t.ended(err)
		case op == closing && len(payload) >= 2:
			return fmt.Sprintf("close %d", binary.BigEndian.Uint16(payload))
		case op == closing:
			return "close without a code"
		}
	}
}

// frame is a masked frame, its mask zero.
func frame(first byte, payload string) string {
	out := []byte{first}
	switch n := len(payload); {
	case n < 126:
		out = append(out, 0x80|byte(n))
	case n < 1<<16:
		out = binary.BigEndian.AppendUint16(append(out, 0x80|126), uint16(n)) //nolint:gosec // just compared
	default:
		out = binary.BigEndian.AppendUint64(append(out, 0x80|127), uint64(n))
	}
	return string(append(out, 0, 0, 0, 0)) + payload
}

// frameTricks are of a device that was let in and breaks RFC 6455.
func frameTricks() []Trick {
	say := func(name, about, wire string, want ...string) Trick {
		return Trick{Name: name, About: about, Want: want, try: func(t *try) string { return t.asDevice(wire) }}
	}
	bye := frame(fin|closing, "\x03\xe8")
	all := []Trick{
		say("unmasked", "a frame without a mask", "\x81\x02{}", "close 1002"),
		say("rsv", "reserved bits", frame(fin|0x30|text, "{}"), "close 1002"),
		say("rsv1", "deflated, which was not agreed", frame(fin|rsv1|text, "{}"), "close 1002"),
		say("opcode-3", "a reserved opcode", frame(fin|3, "{}"), "close 1002"),
		say("opcode-11", "a reserved opcode of control frames", frame(fin|11, ""), "close 1002"),
		say("length-2-63", "a frame of 2^63 bytes", "\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00", "close 1002", "close 1009"),
		say("length-1g", "a frame of a gigabyte, announced", "\x82\xff\x00\x00\x00\x00\x40\x00\x00\x00\x00\x00\x00\x00", "close 1009"),
		say("length-long", "a length with more bytes than it needs", "\x82\xfe\x00\x05\x00\x00\x00\x00hello", "close 1002"),
		say("large", "a message of 100 KiB", frame(fin|text, strings.Repeat(" ", 100<<10)), "close 1009", cut),
		say("fragments", "a message of fragments without an end", frame(text, "")+strings.Repeat(frame(continuation, strings.Repeat(" ", 100)), 2000), "close 1009", "close 1008", cut),
		say("fragments-empty", "empty fragments without an end", frame(text, "")+strings.Repeat(frame(continuation, ""), 200_000)+bye, "close 1008", "close 1009", "close 1000", cut),
		say("continuation", "a continuation of nothing", frame(fin|continuation, "{}"), "close 1002"),
		say("inside", "a message within another", frame(text, "{")+frame(fin|text, "{}"), "close 1002"),
		say("control-large", "a ping of 126 bytes", frame(fin|ping, strings.Repeat("p", 126)), "close 1002"),
		say("control-cut", "a fragmented ping", frame(ping, "p"), "close 1002"),
		say("pings", "20,000 pings", strings.Repeat(frame(fin|ping, "p"), 20_000)+bye, "close 1000", cut),
		say("pongs", "100,000 pongs that nobody asked for", strings.Repeat(frame(fin|pong, "p"), 100_000)+bye, "close 1000", cut),
		say("close-1", "a close with one byte", frame(fin|closing, "\x03"), "close 1002"),
		say("close-1005", "a close with a code that is never sent", frame(fin|closing, "\x03\xed"), "close 1002"),
		say("close-utf8", "a close whose reason is no UTF-8", frame(fin|closing, "\x03\xe8\xff"), "close 1007", "close 1002"),
		say("after-close", "messages behind the close", bye+strings.Repeat(frame(fin|text, "{}"), 1000), "close 1000"),
		{Name: "bomb", About: "8 KiB that inflate to 8 MiB", Want: []string{"close 1009"}, try: (*try).bomb},
		{Name: "bombs", About: "small bombs, one in each fragment", Want: []string{"close 1009"}, try: (*try).fragmentedBomb},
		{Name: "deaf", About: "asks for answers and never reads them: it is cut off, or held back", Want: []string{cut, open}, try: (*try).deaf},
	}
	for cutAt := range 4 { // a letter of four bytes that would be U+110000
		bad := "\"\xf4\x90\x80\x80\""
		all = append(all, say(fmt.Sprintf("utf8-%d", cutAt), "no UTF-8, in two fragments", frame(text, bad[:1+cutAt])+frame(fin|continuation, bad[1+cutAt:]), "close 1007"))
	}
	return all
}

func (t *try) asDevice(wire string) string {
	d, err := t.device()
	if err != nil {
		return t.ended(err)
	}
	return d.end(wire)
}

// deflated is text as RFC 7692 sends it.
func deflated(text string) string {
	var small bytes.Buffer
	w, err := flate.NewWriter(&small, flate.BestCompression)
	if err != nil {
		panic(err) // the level is one that exists
	}
	_, _ = io.WriteString(w, text) // a buffer takes all
	_ = w.Flush()
	return strings.TrimSuffix(small.String(), "\x00\x00\xff\xff")
}

const agreeDeflate = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n"

// bomb sends what inflates to a thousand times as much.
func (t *try) bomb() string {
	d, err := t.device(agreeDeflate)
	if err != nil {
		return t.ended(err)
	}
	return d.end(frame(fin|rsv1|text, deflated(strings.Repeat(" ", 8<<20))))
}

// fragmentedBomb sends one that is cut into fragments of a hundred bytes.
func (t *try) fragmentedBomb() string {
	d, err := t.device(agreeDeflate)
	if err != nil {
		return t.ended(err)
	}
	small := deflated(strings.Repeat(" ", 8<<20))
	wire := frame(rsv1|text, "")
	for len(small) > 100 {
		wire += frame(continuation, small[:100])
		small = small[100:]
	}
	return d.end(wire + frame(fin|continuation, small))
}

// deaf asks for answers until the node has enough of it.
func (t *try) deaf() string {
	d, err := t.device()
	if err != nil {
		return t.ended(err)
	}
	defer d.conn.Close()
	_ = d.conn.(*net.TCPConn).SetReadBuffer(4096) // a hint
	piece := []byte(strings.Repeat(frame(fin|text, `{"type":"heartbeat"}`), 500))
	_ = d.conn.SetWriteDeadline(time.Now().Add(patience / 6))
	for range 20_000 {
		if _, err := d.conn.Write(piece); err != nil {
			return t.ended(err)
		}
	}
	return open
}
