package wsproto

// OpCode says what a frame carries. [RFC6455 5.2]
type OpCode uint8

// The defined opcodes; all others are reserved.
const (
	OpContinuation OpCode = 0
	OpText         OpCode = 1
	OpBinary       OpCode = 2
	OpClose        OpCode = 8
	OpPing         OpCode = 9
	OpPong         OpCode = 10
)

// IsControl reports whether op is a control opcode, a reserved one included.
func (op OpCode) IsControl() bool { return op&8 != 0 } // [RFC6455 5.5]

// isReserved reports whether op has no defined meaning.
func (op OpCode) isReserved() bool { return op&7 > 2 }
