package wsproto

import "encoding/binary"

const (
	bitFin  = 0x80
	bitRsv1 = 0x40
	bitRsv  = 0x70
	bitMask = 0x80

	len16 = 126 // 2 bytes of length follow
	len64 = 127 // 8 bytes of length follow

	maskSize       = 4
	maxFrameHeader = 2 + 8 + maskSize // of a client's frame, bytes
	maxControl     = 125              // payload of a control frame, bytes [RFC6455 5.5]
)

// frameHeader is the header of one frame from a client. [RFC6455 5.2]
//
//	 0               1               2               3
//	+-+-+-+-+-------+-+-------------+-------------------------------+
//	|F|R|R|R|opcode |M| length      | length, 2 bytes if it is 126, |
//	|I|S|S|S|       |A| (7)         | 8 bytes if it is 127          |
//	|N|V|V|V| (4)   |S|             | then the 4 bytes of the mask  |
//	| |1|2|3|       |K|             |                               |
//	+-+-+-+-+-------+-+-------------+-------------------------------+
type frameHeader struct {
	op   OpCode
	fin  bool
	rsv1 bool // the message is compressed
	mask [maskSize]byte
	size int // of the header itself, bytes; 0 = incomplete
	n    int // payload, bytes
}

// readHeader reads the frame header at the front of b into h. It judges the first two
// bytes, by what came before, as soon as they are there. While the header is incomplete
// h.size stays 0.
func (d *Decoder) readHeader(h *frameHeader, b []byte, l *Limits) *CloseError {
	if len(b) < 2 {
		return nil
	}
	if fault := d.judge(b[0], b[1]); fault != nil {
		return fault
	}
	size, n := 2, uint64(b[1]&^bitMask)
	switch n {
	case len16:
		if size = 4; len(b) < size+maskSize {
			return nil
		}
		if n = uint64(binary.BigEndian.Uint16(b[2:])); n < len16 { // [RFC6455 5.2] minimal length
			return ErrLengthNotMinimal
		}
	case len64:
		if size = 10; len(b) < size+maskSize {
			return nil
		}
		if n = binary.BigEndian.Uint64(b[2:]); n <= 0xffff { // [RFC6455 5.2] minimal length
			return ErrLengthNotMinimal
		}
		if n>>63 != 0 { // [RFC6455 5.2] most significant bit
			return ErrLengthTopBit
		}
	default:
		if len(b) < size+maskSize {
			return nil
		}
	}
	h.op, h.fin, h.rsv1 = OpCode(b[0]&0x0f), b[0]&bitFin != 0, b[0]&bitRsv1 != 0
	if !h.op.IsControl() {
		if fault := d.fits(l, n, h.rsv1); fault != nil {
			return fault
		}
	}
	h.mask = [maskSize]byte(b[size:])
	h.size, h.n = size+maskSize, int(n)
	return nil
}

// fits checks that n more bytes of data keep the limits. Incompressible data grows a
// little when a client compresses it, so the wire limit has an eighth of room; the
// inflated size has a check of its own. [RFC6455 10.4]
func (d *Decoder) fits(l *Limits, n uint64, rsv1 bool) *CloseError {
	if d.stream {
		if n > MaxLimit {
			return ErrFrameTooBig
		}
		return nil
	}
	most, extra := l.MaxMessage, 0
	if d.p != nil {
		most -= d.p.length()
		rsv1 = rsv1 || d.p.compressed
	}
	if rsv1 {
		extra = l.MaxMessage/8 + 64
	}
	if n > uint64(l.MaxFrame+extra) {
		return ErrFrameTooBig
	}
	if n > uint64(max(0, most+extra)) {
		return ErrMessageTooBig
	}
	return nil
}

// judge checks the first two bytes of a frame for every fault they can have.
func (d *Decoder) judge(b0, b1 byte) *CloseError {
	op := OpCode(b0 & 0x0f)
	switch {
	case op.isReserved(): // [RFC6455 5.2] opcode
		return ErrReservedOpCode
	case d.stream && op == OpText: // [MQTT-6.0.0-1]
		return ErrTextInStream
	case op.IsControl() && b1&^bitMask > maxControl: // [RFC6455 5.5] 125 bytes or less
		return ErrControlTooLong
	case op.IsControl() && b0&bitFin == 0: // [RFC6455 5.5] not fragmented [RFC6455 5.4]
		return ErrControlFragmented
	case b0&bitRsv != 0 && (b0&bitRsv != bitRsv1 || !d.compression): // [RFC6455 5.2] RSV
		return ErrReservedBits
	case b0&bitRsv1 != 0 && (op.IsControl() || op == OpContinuation): // [RFC7692 6.1]
		return ErrReservedBits
	case b1&bitMask == 0: // [RFC6455 5.1]
		return ErrNotMasked
	case op == OpContinuation && !d.inMessage(): // [RFC6455 5.4]
		return ErrContinuationUnexpected
	case op != OpContinuation && !op.IsControl() && d.inMessage(): // [RFC6455 5.4]
		return ErrContinuationExpected
	}
	return nil
}
