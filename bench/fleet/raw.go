package fleet

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/gobwas/ws"
)

// An echo message is binary and proves its own integrity:
//
//	offset 0   "EBM1"
//	       4   device number   uint32
//	       8   sequence        uint64
//	      16   when it was due int64, Unix nanoseconds
//	      24   when written    int64, Unix nanoseconds
//	      32   filler          depends on device and sequence
//	    n - 4  CRC-32C of all before
const (
	echoMagic   = "EBM1"
	minEchoSize = 36
)

// appendEcho appends an echo message of max(size, 36) bytes.
func appendEcho(dst []byte, table *crc32.Table, device uint32, seq uint64, due, now int64, size int) []byte {
	start := len(dst)
	dst = append(dst, echoMagic...)
	dst = binary.LittleEndian.AppendUint32(dst, device)
	dst = binary.LittleEndian.AppendUint64(dst, seq)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(due))
	dst = binary.LittleEndian.AppendUint64(dst, uint64(now))
	x := mix(uint64(device)<<32 ^ seq)
	for len(dst)-start+8 <= size-4 {
		dst = binary.LittleEndian.AppendUint64(dst, x)
		x += 0x9e3779b97f4a7c15
	}
	for len(dst)-start < size-4 {
		dst = append(dst, byte(x))
	}
	return binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[start:], table))
}

// readEcho reads an echo message; false when a byte of it is wrong.
func readEcho(b []byte, table *crc32.Table, e *event) bool {
	if len(b) < minEchoSize || string(b[:4]) != echoMagic {
		return false
	}
	body := len(b) - 4
	if crc32.Checksum(b[:body], table) != binary.LittleEndian.Uint32(b[body:]) {
		return false
	}
	e.device = binary.LittleEndian.Uint32(b[4:])
	e.seq = binary.LittleEndian.Uint64(b[8:])
	e.due = int64(binary.LittleEndian.Uint64(b[16:]))
	e.sent = int64(binary.LittleEndian.Uint64(b[24:]))
	return true
}

// castagnoli is the table of CRC-32C; the standard library keeps one of it.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// raw is the dialect without a subprotocol: bytes up, bytes down.
type raw struct{}

func (raw) protocol() string         { return "" }
func (raw) op() ws.OpCode            { return ws.OpBinary }
func (raw) welcomes() bool           { return false }
func (raw) heartbeat([]byte) []byte  { return nil }
func (raw) reply(_, _ []byte) []byte { return nil }

func (raw) telemetry(dst []byte, seq uint64, due int64, size int) []byte {
	return appendEcho(dst, castagnoli(), 0, seq, due, due, size)
}

func (raw) read(payload []byte, e *event) {
	switch {
	case readEcho(payload, castagnoli(), e):
		e.kind = isEcho
		if e.seq == 0 { // PushLoad: nobody waits for it
			e.kind = isOther
		}
	case len(payload) > 0 && payload[0] == '{':
		e.kind = isCommand
		stamped(payload, e)
	default:
		e.kind = isBroken
	}
}
