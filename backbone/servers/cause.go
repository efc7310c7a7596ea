package servers

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/url"
	"strings"

	"github.com/nats-io/nats.go"
)

// A NoServerError says why there is no connection to the servers yet, and what to look at.
// It holds no secret.
type NoServerError struct {
	URL   string // without name and password
	Cause error
	Check string
}

func (e *NoServerError) Error() string {
	return "connect to " + e.URL + ": " + e.Cause.Error() + " (" + e.Check + ")"
}

// Unwrap returns the cause.
func (e *NoServerError) Unwrap() error { return e.Cause }

// toCheck is what to look at after such a failure to connect.
func toCheck(err error) string {
	var (
		authority x509.UnknownAuthorityError
		name      x509.HostnameError
		invalid   x509.CertificateInvalidError
		noTLS     tls.RecordHeaderError
		dialed    *net.OpError
	)
	text := err.Error()
	switch {
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked),
		errors.Is(err, nats.ErrAccountAuthExpired), strings.Contains(text, "Authorization"), strings.Contains(text, "authentication"):
		return "the server refused this node: check the credentials, and that the server knows them"
	case errors.As(err, &authority):
		return "the server's certificate is of no authority that this node trusts: check the file of authorities, and that this is the server"
	case errors.As(err, &name):
		return "the server's certificate is for another name: give the address that it is for"
	case errors.As(err, &invalid):
		return "the server's certificate is not valid now: renew it, and check the clocks"
	case errors.Is(err, nats.ErrSecureConnWanted), errors.As(err, &noTLS):
		return "the server speaks no TLS there: set it up, or leave tls://, authorities and certificate out"
	case strings.Contains(text, "remote error: tls"):
		return "the server refused the certificate of this node, or wants one: check certificate and key"
	case errors.As(err, &dialed) && dialed.Op == "dial":
		return "check that the server runs, and that this address is the one it listens on"
	}
	return "check the server's own log: it ends connections without a word where it wants TLS, or a certificate"
}

// unread is an error of a URL without the URL, which net/url quotes whole.
func unread(err error) error {
	if quoting := new(url.Error); errors.As(err, &quoting) {
		return errors.New("the URL cannot be read, escape what is special in a password")
	}
	return withoutSecrets(err)
}
