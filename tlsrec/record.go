package tlsrec

import (
	"bytes"
	"errors"
)

const (
	// headerLen is the length of a record's header. [RFC8446 5.1]
	headerLen = 5
	// maxRecord is the longest payload of a record that is waited for: what TLS 1.2
	// allows, more than TLS 1.3 does, which crypto/tls checks. [RFC5246 6.2.3]
	maxRecord = 1<<14 + 2048
)

// typeHandshake is what a peer's first record is. [RFC8446 B.1]
const typeHandshake = 22

// ErrNotTLS says that the peer does not speak TLS.
var ErrNotTLS = errors.New("tlsrec: the peer does not speak TLS")

// Cut is how long the record at the front of wire is, 0 while it is not whole. Nothing is
// waited for that cannot be a record: of one too long it is the header alone, which is
// what the error is about.
func Cut(wire []byte) (n int) {
	if len(wire) < headerLen {
		return 0
	}
	n = int(wire[3])<<8 | int(wire[4])
	switch {
	case n > maxRecord:
		return headerLen
	case len(wire) < headerLen+n:
		return 0
	}
	return headerLen + n
}

// LooksLikeTLS says whether what a peer sent first may be the beginning of a ClientHello.
func LooksLikeTLS(wire []byte) bool {
	return (len(wire) < 1 || wire[0] == typeHandshake) && (len(wire) < 2 || wire[1] == 3)
}

// startsHTTP says whether wire begins as a request of HTTP/1.1 does.
func startsHTTP(wire []byte) bool {
	method, _, ok := bytes.Cut(wire[:min(len(wire), 8)], []byte(" "))
	return ok && len(method) >= 3 && !bytes.ContainsFunc(method, func(r rune) bool { return r < 'A' || r > 'Z' })
}
