package servers

import (
	"context"
	"errors"
	"net/http"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Why nobody answers.
var (
	ErrDisconnected = errors.New("connection lost")
	ErrNoResponders = errors.New("no server takes records: no stream, or no leader")
)

// UnavailableError says that the log, or what is kept beside it, cannot be asked
// or written now: its server is away, or the disk is full or failed. The same
// call may be repeated when Cause is mended. What took too long without a reason
// that is known is context.DeadlineExceeded instead.
type UnavailableError struct{ Cause error }

func (e *UnavailableError) Error() string { return "backbone: unavailable: " + e.Cause.Error() }

// Unwrap gives the cause.
func (e *UnavailableError) Unwrap() error { return e.Cause }

// OrClosed is ErrClosed for what failed because the node closes, and an
// *UnavailableError where the reason is that nobody can answer.
func (s *Servers) OrClosed(err error) error {
	var known *UnavailableError
	var api *jetstream.APIError
	switch {
	case s.ctx.Err() != nil:
		return ErrClosed
	case err == nil, errors.As(err, &known), errors.Is(err, context.Canceled):
		return err
	case s.Asker.lost.Load() != nil, isConnectionError(err): // the error may be quicker than the notice
		return &UnavailableError{ErrDisconnected}
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, jetstream.ErrNoStreamResponse),
		errors.Is(err, jetstream.ErrJetStreamNotEnabled):
		return &UnavailableError{ErrNoResponders}
	case errors.As(err, &api) && api.Code == http.StatusServiceUnavailable:
		return &UnavailableError{err}
	}
	return err
}

// isConnectionError says that a question was not sent because there is no
// connection, or no longer.
func isConnectionError(err error) bool {
	for _, away := range []error{
		nats.ErrReconnectBufExceeded, nats.ErrConnectionReconnecting, nats.ErrConnectionClosed,
		nats.ErrDisconnected, nats.ErrStaleConnection, jetstream.ErrServerShutdown,
	} {
		if errors.Is(err, away) {
			return true
		}
	}
	return false
}
