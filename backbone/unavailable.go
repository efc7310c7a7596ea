package backbone

import (
	"context"
	"errors"
	"net/http"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// UnavailableError says that the log, or what is kept beside it, cannot be asked
// or written now: its server is away, or the disk is full or failed. The same
// call may be repeated when Cause is mended. What took too long without a reason
// that is known is context.DeadlineExceeded instead.
type UnavailableError struct{ Cause error }

func (e *UnavailableError) Error() string { return "backbone: unavailable: " + e.Cause.Error() }

// Unwrap gives the cause.
func (e *UnavailableError) Unwrap() error { return e.Cause }

// orClosed is ErrClosed for what failed because the node closes, and an
// *UnavailableError where the reason is that nobody can answer.
func (b *Backbone) orClosed(err error) error {
	var known *UnavailableError
	var api *jetstream.APIError
	switch {
	case b.ctx.Err() != nil:
		return ErrClosed
	case err == nil, errors.As(err, &known), errors.Is(err, context.Canceled):
		return err
	case b.asker.lost.Load() != nil:
		return &UnavailableError{errDisconnected}
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, jetstream.ErrNoStreamResponse),
		errors.Is(err, jetstream.ErrJetStreamNotEnabled):
		return &UnavailableError{errNoResponders}
	case isConnectionError(err), errors.As(err, &api) && api.Code == http.StatusServiceUnavailable:
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
