package conformance_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
)

// Opcodes. [RFC6455 5.2]
const (
	opContinuation = 0
	opText         = 1
	opBinary       = 2
	opClose        = 8
	opPing         = 9
	opPong         = 10
)

const (
	fin  = 0x80
	rsv1 = 0x40
	rsv2 = 0x20
	rsv3 = 0x10
)

// frame is a frame as a client sends it; head is FIN, RSV bits and opcode.
func frame(head byte, payload []byte) []byte {
	return mask(header(head, len(payload), minimal), payload)
}

// A lengthForm is how a payload length is written. [RFC6455 5.2]
type lengthForm int

const (
	minimal lengthForm = iota
	sixteenBits
	sixtyFourBits
)

// header is the first bytes of a client's frame, without the masking key.
func header(head byte, n int, form lengthForm) []byte {
	switch {
	case form == sixtyFourBits || n > 0xffff:
		return binary.BigEndian.AppendUint64([]byte{head, 0x80 | 127}, uint64(n))
	case form == sixteenBits || n > 125:
		return binary.BigEndian.AppendUint16([]byte{head, 0x80 | 126}, uint16(n))
	}
	return []byte{head, 0x80 | byte(n)}
}

// mask appends a masking key and the payload, masked. [RFC6455 5.3]
func mask(head, payload []byte) []byte {
	key := binary.NativeEndian.AppendUint32(nil, rand.Uint32())
	head = append(head, key...)
	for i, c := range payload {
		head = append(head, c^key[i%4])
	}
	return head
}

// begun is the front of a frame: its header says n bytes, payload is what of
// them is sent.
func begun(head byte, n int, payload []byte) []byte {
	return mask(header(head, n, minimal), payload)
}

func textFrame(s string) []byte { return frame(fin|opText, []byte(s)) }
func binFrame(b []byte) []byte  { return frame(fin|opBinary, b) }
func pingFrame(s string) []byte { return frame(fin|opPing, []byte(s)) }
func pongFrame(s string) []byte { return frame(fin|opPong, []byte(s)) }

// closeFrame has a code and a reason.
func closeFrame(code int, reason string) []byte {
	return frame(fin|opClose, closePayload(code, reason))
}

func closePayload(code int, reason string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(code)), reason...)
}

// fragments cuts a message into frames of at most size bytes.
func fragments(op byte, payload []byte, size int) []byte {
	var b []byte
	head := op
	for len(payload) > size {
		b = append(b, frame(head, payload[:size])...)
		payload, head = payload[size:], opContinuation
	}
	return append(b, frame(fin|head, payload)...)
}

// An event is a message, a ping, a pong or a close that the node sent.
type event struct {
	op      byte
	payload []byte
}

func (e event) String() string {
	name := map[byte]string{opText: "text", opBinary: "binary", opClose: "close", opPing: "ping", opPong: "pong"}[e.op]
	if len(e.payload) > 48 {
		return fmt.Sprintf("%s of %d bytes", name, len(e.payload))
	}
	return fmt.Sprintf("%s %q", name, e.payload)
}

func text(s string) event { return event{opText, []byte(s)} }
func bin(b []byte) event  { return event{opBinary, b} }
func pong(s string) event { return event{opPong, []byte(s)} }

// join puts frames after one another.
func join(frames ...[]byte) []byte {
	var b []byte
	for _, f := range frames {
		b = append(b, f...)
	}
	return b
}

// repeat is frame n times, each masked with a key of its own.
func repeat(n int, mk func() []byte) []byte {
	var b []byte
	for range n {
		b = append(b, mk()...)
	}
	return b
}
