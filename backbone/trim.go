package backbone

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"edgeloop/backbone/uplog"
)

// Trim chooses what Backbone.Trim removes.
type Trim struct {
	To     uint64    // up to this position; 0: by Before
	Log    string    // the identity of the log that gave To; "": not known
	Before time.Time // what was stored before
	// PastReaders also takes what named readers, such as sinks, have not read.
	PastReaders bool
	// ForgetDevices also takes the last record of devices: the log then knows nothing of
	// them, and not their sequence.
	ForgetDevices bool
}

// Trimmed says what was removed.
type Trimmed = uplog.Trimmed

// ErrNotTrimmed says that the log belongs to servers elsewhere.
var ErrNotTrimmed = errors.New("backbone: the log is on external NATS servers: trim it there ('nats stream purge --seq')")

// BehindError names readers that have not come to the end of what would be removed.
type BehindError struct{ Readers []string }

func (e *BehindError) Error() string {
	return "backbone: not read yet by " + strings.Join(e.Readers, ", ")
}

// ForgetsError says of how many devices the last record would be removed.
type ForgetsError struct{ Devices int }

func (e *ForgetsError) Error() string {
	return fmt.Sprintf("backbone: it has the last record of %d devices", e.Devices)
}

var errFound = errors.New("found")

// Trim removes the oldest records of the embedded log, but never its newest. Without being told
// so it takes nothing that a named reader has not read (*BehindError), and no device's last
// record (*ForgetsError). *PositionError: To is not of this log. Nothing was removed with an
// error, but for one of the store.
func (b *Backbone) Trim(ctx context.Context, t Trim) (Trimmed, error) {
	end, ok := b.Durable()
	if !ok {
		return Trimmed{}, ErrNotTrimmed
	}
	to := t.To
	switch {
	case t.Log != "" && t.Log != b.Identity():
		return Trimmed{}, &PositionError{After: to, Log: t.Log, Is: b.Identity()}
	case to > end:
		return Trimmed{}, &PositionError{After: to, End: end}
	case to == 0:
		to = end
		err := b.Read(ctx, ReadOptions{Since: t.Before}, func(position uint64, _ []byte) error {
			to = position - 1
			return errFound
		})
		if err != nil && !errors.Is(err, errFound) {
			return Trimmed{}, err
		}
	}
	to = min(to, max(end, 1)-1)
	if first, err := b.Begin(ctx); err != nil || to < first {
		return Trimmed{First: first}, err
	}
	if err := b.mayTrim(ctx, to, &t); err != nil {
		return Trimmed{}, err
	}
	return b.Log.Trim(ctx, to)
}

func (b *Backbone) mayTrim(ctx context.Context, to uint64, t *Trim) error {
	if !t.PastReaders {
		places, err := b.openPlaces(ctx)
		if err != nil {
			return err
		}
		behind := &BehindError{}
		err = places.Each(ctx, func(name string, at Place) {
			if at.Log == b.Identity() && at.Position < to {
				behind.Readers = append(behind.Readers, fmt.Sprintf("%s (at %s-%d)", name, at.Log, at.Position))
			}
		})
		if err != nil {
			return err
		}
		if len(behind.Readers) > 0 {
			slices.Sort(behind.Readers)
			return behind
		}
	}
	if t.ForgetDevices {
		return nil
	}
	devices, known := b.EndsUpTo(to)
	if !known {
		return &UnavailableError{Cause: errors.New("the devices in the log are not listed yet")}
	}
	if devices > 0 {
		return &ForgetsError{devices}
	}
	return nil
}
