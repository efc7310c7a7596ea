package eventloop

import "edgeloop/wsproto"

// CloseCode says why a connection was closed, in the numbers of RFC 6455. A framing
// that has its own numbers translates.
type CloseCode = wsproto.CloseCode

// The codes with which callers outside this package close a connection.
const (
	CloseGoingAway    = wsproto.CloseGoingAway
	ClosePolicy       = wsproto.ClosePolicy
	CloseInternal     = wsproto.CloseInternal
	CloseTokenExpired = wsproto.CloseTokenExpired
	CloseForbidden    = wsproto.CloseForbidden
	CloseSilent       = wsproto.CloseSilent
	CloseReplaced     = wsproto.CloseReplaced
)
