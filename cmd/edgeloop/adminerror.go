package main

import (
	"errors"
	"fmt"
	"strings"

	"edgeloop/admin/api"
	"edgeloop/backbone"
	"edgeloop/gateway"
)

// adminError translates the errors of the parts into the API's, with what the
// operator should know in words. What is left is answered 500, and what took too
// long 504.
func adminError(err error) error {
	var wrong *gateway.CommandError
	if errors.As(err, &wrong) {
		return &api.FieldError{Field: wrong.Field, Reason: wrong.Reason}
	}
	var away *backbone.UnavailableError
	if errors.As(err, &away) {
		return fmt.Errorf("%w: %s", api.ErrUnavailable, strings.TrimPrefix(away.Cause.Error(), "backbone: "))
	}
	var beyond *backbone.PositionError
	if errors.As(err, &beyond) && beyond.Log != beyond.Is {
		return &api.FieldError{
			Field: "after", Reason: fmt.Sprintf("%d is a position of log %s, this is log %s: read it from the beginning", beyond.After, beyond.Log, beyond.Is),
		}
	}
	if errors.As(err, &beyond) {
		return &api.FieldError{
			Field: "after", Reason: fmt.Sprintf("%d is not a position of this log, which ends at %d", beyond.After, beyond.End),
		}
	}
	for _, known := range []struct{ from, to error }{
		{gateway.ErrUnknownDevice, api.ErrUnknownDevice},
		{gateway.ErrNotConnected, api.ErrNotConnected},
		{gateway.ErrSlowDevice, fmt.Errorf("%w: it reads too slowly", api.ErrBusy)},
		{gateway.ErrResetting, fmt.Errorf("%w: its sequence is being reset", api.ErrBusy)},
		{backbone.ErrTenantCommandsFull, fmt.Errorf("%w: the limit of commands waiting for its devices is reached", api.ErrOverQuota)},
		{backbone.ErrCommandsFull, fmt.Errorf("%w: too many are waiting", api.ErrBusy)},
		{gateway.ErrDraining, api.ErrDraining},
		{backbone.ErrClosed, fmt.Errorf("%w: it is being stopped", api.ErrUnavailable)},
		{backbone.ErrShared, fmt.Errorf("%w: %s", api.ErrUnavailable, strings.TrimPrefix(backbone.ErrShared.Error(), "backbone: "))},
		{backbone.ErrNotTrimmed, fmt.Errorf("%w: %s", api.ErrUnavailable, strings.TrimPrefix(backbone.ErrNotTrimmed.Error(), "backbone: "))},
		{backbone.ErrBackingUp, fmt.Errorf("%w: a backup is being made", api.ErrUnavailable)},
		{backbone.ErrDisk, fmt.Errorf("%w: the disk failed", api.ErrUnavailable)},
	} {
		if errors.Is(err, known.from) {
			return known.to
		}
	}
	return err
}
