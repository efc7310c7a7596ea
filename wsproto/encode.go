package wsproto

import (
	"encoding/binary"
	"unicode/utf8"
)

const maxReason = maxControl - 2 // what a close code leaves for its reason, bytes

// AppendFrameHeader appends the header of an unmasked frame with n bytes of
// payload, the length in its shortest form, and returns the longer slice.
// Ownership of dst passes to the callee until it returns.
// [RFC6455 5.2] [RFC6455 5.1]
func AppendFrameHeader(dst []byte, op OpCode, fin, rsv1 bool, n int) []byte {
	b0 := byte(op)
	if fin {
		b0 |= bitFin
	}
	if rsv1 {
		b0 |= bitRsv1
	}
	switch {
	case n < len16:
		return append(dst, b0, byte(n))
	case n <= 0xffff:
		return binary.BigEndian.AppendUint16(append(dst, b0, len16), uint16(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, b0, len64), uint64(n))
}

// AppendFrame appends payload as one whole frame and returns the longer slice.
// payload is borrowed until return; for a control opcode it must not be longer
// than 125 bytes. The caller ensures that text is valid UTF-8.
func AppendFrame(dst []byte, op OpCode, payload []byte) []byte {
	return append(AppendFrameHeader(dst, op, true, false, len(payload)), payload...)
}

// AppendClose appends a close frame. With CloseNoStatus the frame has neither code nor
// reason. A reason longer than 123 bytes is cut at the end of a character.
// [RFC6455 5.5.1]
func AppendClose(dst []byte, code CloseCode, reason string) []byte {
	if code == CloseNoStatus {
		return AppendFrameHeader(dst, OpClose, true, false, 0)
	}
	if len(reason) > maxReason {
		cut := maxReason
		for cut > 0 && !utf8.RuneStart(reason[cut]) {
			cut--
		}
		reason = reason[:cut]
	}
	dst = AppendFrameHeader(dst, OpClose, true, false, 2+len(reason))
	return append(binary.BigEndian.AppendUint16(dst, uint16(code)), reason...)
}
