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

// UnavailableError says that the log, or a stream beside it, cannot be read or written now:
// its server is away, or the disk is full or failed. The call may be repeated once Cause is
// mended. A call that takes too long for no known reason returns context.DeadlineExceeded
// instead.
type UnavailableError struct{ Cause error }

func (e *UnavailableError) Error() string { return "backbone: unavailable: " + e.Cause.Error() }

// Unwrap returns the cause.
func (e *UnavailableError) Unwrap() error { return e.Cause }

// OrClosed returns ErrClosed if err comes from the closing of the node, an *UnavailableError
// if nobody could answer, and else err.
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

// isConnectionError says whether a question was not sent because there is no connection.
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
