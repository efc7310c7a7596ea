package wsproto

import (
	"errors"
	"strconv"
)

// CloseCode says why a connection was closed.
type CloseCode uint16

// The codes of RFC 6455 and its IANA registry, and from 4400 on edgeloop's own.
const (
	CloseNormal         CloseCode = 1000 // the purpose is fulfilled
	CloseGoingAway      CloseCode = 1001 // this end stops; the reason may carry retry=SECONDS
	CloseProtocolError  CloseCode = 1002 // a MUST of RFC 6455 was broken
	CloseUnsupported    CloseCode = 1003 // a data type that this end does not accept
	CloseNoStatus       CloseCode = 1005 // never on the wire: a close frame without a code
	CloseAbnormal       CloseCode = 1006 // never on the wire: no close frame was seen
	CloseInvalidPayload CloseCode = 1007 // text that is not UTF-8, or data that does not inflate
	ClosePolicy         CloseCode = 1008 // a rule of the node was broken
	CloseTooBig         CloseCode = 1009 // frame or message over its limit
	CloseMissingExt     CloseCode = 1010 // a client missed an extension
	CloseInternal       CloseCode = 1011 // this end failed
	CloseServiceRestart CloseCode = 1012 // come back after a moment
	CloseTryAgain       CloseCode = 1013 // overload, come back later
	CloseBadGateway     CloseCode = 1014 // an upstream of this end failed

	CloseTokenExpired CloseCode = 4401 // the token expired or was revoked
	CloseForbidden    CloseCode = 4403 // the identity may not do this
	CloseSilent       CloseCode = 4408 // nothing was heard for too long
	CloseReplaced     CloseCode = 4409 // a newer connection of the same device took over
)

// ValidOnWire reports whether a peer may put c in a close frame.
// [RFC6455 7.4.1] [RFC6455 7.4.2]
func (c CloseCode) ValidOnWire() bool {
	switch {
	case c >= 3000 && c <= 4999: // registered, and private use
		return true
	case c >= 1000 && c <= 1003, c >= 1007 && c <= 1014: // 1012 to 1014 are in the IANA registry
		return true
	}
	return false
}

// CloseError is a fault of the peer that ends its connection: close with Code.
type CloseError struct {
	Code   CloseCode
	Reason string // for the close frame; at most 123 bytes
}

// Error implements error.
func (e *CloseError) Error() string {
	return "wsproto: " + strconv.Itoa(int(e.Code)) + " " + e.Reason
}

// ErrClosed answers every call of Next after a close frame or an error.
var ErrClosed = errors.New("wsproto: nothing may follow a close frame or an error")

// The faults that a Decoder finds, each with its close code.
var (
	ErrNotMasked              = &CloseError{CloseProtocolError, "frames from a client must be masked"}
	ErrReservedBits           = &CloseError{CloseProtocolError, "reserved bit set without an extension"}
	ErrReservedOpCode         = &CloseError{CloseProtocolError, "reserved opcode"}
	ErrControlTooLong         = &CloseError{CloseProtocolError, "control frame longer than 125 bytes"}
	ErrControlFragmented      = &CloseError{CloseProtocolError, "control frame in fragments"}
	ErrLengthNotMinimal       = &CloseError{CloseProtocolError, "payload length not in its shortest form"}
	ErrLengthTopBit           = &CloseError{CloseProtocolError, "payload length above 63 bits"}
	ErrContinuationUnexpected = &CloseError{CloseProtocolError, "continuation without a message"}
	ErrContinuationExpected   = &CloseError{CloseProtocolError, "new message inside a fragmented one"}
	ErrClosePayload           = &CloseError{CloseProtocolError, "close frame with a payload of one byte"}
	ErrCloseCode              = &CloseError{CloseProtocolError, "close code not allowed on the wire"}
	ErrCloseReason            = &CloseError{CloseInvalidPayload, "close reason is not UTF-8"}
	ErrInvalidUTF8            = &CloseError{CloseInvalidPayload, "text is not UTF-8"}
	ErrTextInStream           = &CloseError{CloseUnsupported, "text where only binary messages carry the protocol"}
	ErrInflate                = &CloseError{CloseInvalidPayload, "compressed data is corrupt"}
	ErrFrameTooBig            = &CloseError{CloseTooBig, "frame over the limit"}
	ErrMessageTooBig          = &CloseError{CloseTooBig, "message over the limit"}
)
