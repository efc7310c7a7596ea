package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"edgeloop/admin/api"
	"edgeloop/backbone"
)

// logTrimCmd removes the oldest records.
type logTrimCmd struct {
	Remote remote `embed:""`

	To            string `default:"" placeholder:"LOG-N" help:"Remove the records up to this position."`
	Before        string `default:"" help:"Remove the records that were stored before: a time (RFC 3339), or how long ago (720h)."`
	PastSinks     bool   `default:"false" help:"Also remove what sinks have not read."`
	ForgetDevices bool   `default:"false" help:"Also remove the last record of a device, which holds its sequence: the device is then told 0."`
}

// Run prints what has left.
func (l *logTrimCmd) Run(io *streams) error {
	t, err := l.trim(time.Now())
	if err != nil {
		return usageError{err}
	}
	c, err := l.Remote.client()
	if err != nil {
		return err
	}
	out, err := c.TrimLog(context.Background(), t)
	if err != nil {
		return err
	}
	fmt.Fprintf(io.out, "%d records, %d bytes; the log begins at %s\n", out.Records, out.Bytes, out.First)
	return nil
}

func (l *logTrimCmd) trim(now time.Time) (t api.LogTrim, err error) {
	t.PastSinks, t.ForgetDevices = l.PastSinks, l.ForgetDevices
	if (l.To == "") == (l.Before == "") {
		return t, errors.New("give --to or --before")
	}
	if l.To != "" {
		if t.To, err = api.ParsePosition(l.To); err != nil || t.To.N == 0 {
			return t, fmt.Errorf("--to=%s: give a position of the log, as LOG-N", l.To)
		}
		return t, nil
	}
	var q api.TailQuery
	if err := q.SetSince(l.Before, now); err != nil || q.All {
		return t, fmt.Errorf("--before=%s: give a time (RFC 3339), or how long ago (720h)", l.Before)
	}
	t.Before = q.Since
	return t, nil
}

// Trim implements admin.Log.
func (a adminLog) Trim(ctx context.Context, t api.LogTrim) (out api.LogTrimmed, err error) {
	is, err := a.backbone.Trim(ctx, backbone.Trim{
		To: t.To.N, Log: t.To.Log, Before: t.Before, PastReaders: t.PastSinks, ForgetDevices: t.ForgetDevices,
	})
	var behind *backbone.BehindError
	var forgets *backbone.ForgetsError
	var beyond *backbone.PositionError
	switch {
	case errors.As(err, &behind):
		return out, &api.FieldError{Field: "past_sinks", Reason: "is needed: these have not read all of it: " + fmt.Sprint(behind.Readers)}
	case errors.As(err, &forgets):
		return out, &api.FieldError{Field: "forget_devices", Reason: fmt.Sprintf("is needed: the last records of %d devices, which have their sequences, lie there", forgets.Devices)}
	case errors.As(err, &beyond):
		return out, &api.FieldError{Field: "to", Reason: "is not in this log: " + beyond.Error()}
	case err != nil:
		return out, adminError(err)
	}
	return api.LogTrimmed{Records: is.Records, Bytes: is.Bytes, First: api.Position{Log: a.Identity(), N: is.First}.String()}, nil
}
