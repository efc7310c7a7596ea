package api

import "errors"

// The errors by which a backend chooses the status of the response. Any other
// error is answered with 500 and logged.
var (
	// ErrUnknownDevice: the device was never seen here (404).
	ErrUnknownDevice = errors.New("api: the device is not known")
	// ErrUnknownSink: there is no sink of this name (404).
	ErrUnknownSink = errors.New("api: there is no such sink")
	// ErrNotConnected: the device is known and not connected (404).
	ErrNotConnected = errors.New("api: the device is not connected")
	// ErrBusy: the device's queue is full, on its connection or of the commands
	// that wait for it; trying later may help (503).
	ErrBusy = errors.New("api: the device accepts no more commands now")
	// ErrOverQuota: the tenant has used up what it may; wrap it with what that is (429).
	ErrOverQuota = errors.New("api: over the tenant's quota")
	// ErrUnavailable: the node cannot do it now, for instance because its log does
	// not answer; wrap it with the reason, which the caller is shown (503).
	ErrUnavailable = errors.New("api: the node cannot do this now")
	// ErrDraining: the node is on its way out (503).
	ErrDraining = errors.New("api: the node is draining")
)

// FieldError says that the value of one field is not allowed (422).
type FieldError struct {
	// Field is the name in the body, the query or the path.
	Field string
	// Reason completes the sentence "field X …": "is longer than 128 bytes".
	Reason string
	// Allowed values, where they can be listed.
	Allowed []string
	// Min and Max of what is allowed, where that is a range: numbers or duration
	// strings.
	Min, Max any
}

func (e *FieldError) Error() string { return "field " + e.Field + " " + e.Reason }
