package tlsrec

import (
	"crypto/tls"
	"errors"
	"net"
	"strings"
)

// ErrIdentity is wrapped by what Config.Identify returns for a certificate that stands for
// nobody here.
var ErrIdentity = errors.New("the certificate stands for no device here")

// An Outcome is how a handshake ended. The list is closed.
type Outcome uint8

// The outcomes.
const (
	OutcomeFull    Outcome = iota // the peer is in, by a full handshake
	OutcomeResumed                // the peer is in, by a ticket
	OutcomeNotTLS                 // what came first is no TLS
	OutcomeAlerted                // the peer gave up and said so: it does not trust our certificate, as a rule
	OutcomeRevoked                // its certificate is revoked
	OutcomeCert                   // it has no certificate, or none that is good here
	OutcomeRefused                // no version or suite that both speak, or what the peer said breaks the rules
	OutcomeTooLong                // more than 64 records, 64 KiB or 5 certificates
	OutcomeGone                   // the connection ended before: the peer left, or took too long
	OutcomeFault                  // a panic, which is our fault
	OutcomeALPN                   // it names other protocols than what is spoken here, by ALPN
	NumOutcomes    = int(OutcomeALPN) + 1
)

var outcomeNames = [NumOutcomes]string{
	"full", "resumed", "not_tls", "alerted", "revoked", "certificate", "refused", "too_long", "gone", "fault", "alpn",
}

func (o Outcome) String() string { return outcomeNames[o] }

// plainAlert says whether a record is an alert that is not encrypted. OpenSSL gives up so in
// TLS 1.3, before it has keys; to crypto/tls, which has, it is a record that was altered.
func plainAlert(record []byte) bool {
	const length = 2
	return len(record) == headerLen+length && record[0] == typeAlert
}

// Blames says whether the handshake has failed by what the peer sent or showed. That it
// left, or does not trust our certificate, may be our doing; that it wants another protocol is a mistake,
// as of a browser that some page has sent here, and nothing is tried by it.
func (n *Session) Blames() bool {
	if n.m == nil || n.m.err == nil {
		return false
	}
	st := n.m.conn.ConnectionState()
	switch outcomeOf(n, &st) {
	case OutcomeNotTLS, OutcomeRevoked, OutcomeCert, OutcomeRefused, OutcomeTooLong:
		return true
	}
	return false
}

func outcomeOf(n *Session, st *tls.ConnectionState) Outcome {
	var remote *net.OpError
	var cert *tls.CertificateVerificationError
	switch err := n.m.err; {
	case err == nil && st.DidResume:
		return OutcomeResumed
	case err == nil:
		return OutcomeFull
	case errors.Is(err, errPanic):
		return OutcomeFault
	case errors.Is(err, errTooLong), errors.Is(err, errLongChain):
		return OutcomeTooLong
	case errors.Is(err, ErrNotTLS):
		return OutcomeNotTLS
	case errors.Is(err, errRevoked):
		return OutcomeRevoked
	case errors.As(err, &cert), errors.Is(err, ErrIdentity), strings.Contains(err.Error(), "didn't provide a certificate"):
		return OutcomeCert
	case strings.Contains(err.Error(), "unsupported application protocols"): // crypto/tls has no type for it
		return OutcomeALPN
	case n.m.alerted, errors.As(err, &remote) && remote.Op == "remote error":
		return OutcomeAlerted
	}
	return OutcomeRefused
}
