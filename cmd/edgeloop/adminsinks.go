package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"edgeloop/admin"
	"edgeloop/admin/api"
	"edgeloop/backbone"
	"edgeloop/sink"
)

var _ admin.Sinks = adminSinks{}

// adminSinks are the ways out of the log.
type adminSinks struct{ *node }

// Sinks implements admin.Sinks.
func (a adminSinks) Sinks() (out []api.Sink) {
	use, _ := a.backbone.Usage()
	for _, s := range a.sinks.Status() {
		one := api.Sink{
			Name: s.Name, Type: s.Type, State: s.State.String(), Since: s.Since, Breaker: s.Breaker.String(), Next: s.Next,
			Oldest: timeOrNil(s.Oldest), LastError: s.LastErr, LastErrorAt: timeOrNil(s.LastAt), RetryAt: timeOrNil(s.RetryAt),
			Records: s.Counts.Records, Bytes: s.Counts.Bytes, Attempts: s.Counts.Attempts, Failures: s.Counts.Failed,
			Refused: s.Counts.Refused, Unkept: s.Counts.Unkept, Filtered: s.Counts.Filtered, Missed: s.Counts.Missed,
		}
		one.RecordsPerSecond = math.Round(s.PerSecond*10) / 10
		one.PacedPerSecond = math.Round(a.pacer.Rate(sink.ReaderName(s.Name)))
		if s.Log != "" {
			one.Place = s.Log + "-" + strconv.FormatUint(s.Place, 10)
		}
		if one.LagRecords = lagBehind(a.backbone, s.Log, s.Place); one.LagRecords != nil && use.Records > 0 {
			bytes := uint64(float64(*one.LagRecords) * float64(use.Bytes) / float64(use.Records))
			one.LagBytes = &bytes
		}
		out = append(out, one)
	}
	return out
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// ChangeSink implements admin.Sinks.
func (a adminSinks) ChangeSink(ctx context.Context, c api.SinkChange) error {
	var err error
	switch c.Action {
	case api.SinkPause:
		err = a.sinks.Pause(ctx, c.Name)
	case api.SinkResume:
		err = a.sinks.Resume(ctx, c.Name)
	case api.SinkSkip:
		err = a.sinks.Skip(ctx, c.Name, c.Position)
	case api.SinkResend:
		err = a.sinks.SendLetters(c.Name, backbone.LetterFilter(c.Letters))
	case api.SinkRewind:
		var log string
		var position uint64
		if log, position, err = a.placeOf(ctx, c.To); err == nil {
			err = a.sinks.Rewind(ctx, c.Name, log, position)
		}
	}
	return sinkError(err)
}

// sinkError is adminError for what is asked of sinks.
func sinkError(err error) error {
	var beyond *backbone.PositionError
	switch {
	case errors.Is(err, sink.ErrUnknown):
		return api.ErrUnknownSink
	case errors.Is(err, sink.ErrPaused):
		return &api.FieldError{Field: "sink", Reason: "is of one that is paused or has stopped: resume it first"}
	case errors.Is(err, sink.ErrNotNext):
		return &api.FieldError{Field: "position", Reason: "is not of the record that the sink sends next: look at its next"}
	case errors.As(err, &beyond):
		return &api.FieldError{Field: "to", Reason: "is not in this log: " + strings.TrimPrefix(beyond.Error(), "backbone: ")}
	}
	return adminError(err)
}

var errFound = errors.New("found")

// placeOf is the position behind which a sink goes on.
func (a adminSinks) placeOf(ctx context.Context, to string) (log string, position uint64, err error) {
	log = a.backbone.Identity()
	if name, number, is := strings.Cut(to, "-"); is && name == log {
		if position, err = strconv.ParseUint(number, 10, 64); err == nil {
			return log, position, nil
		}
	}
	from := backbone.ReadOptions{}
	switch at, err := time.Parse(time.RFC3339, to); {
	case to == "newest":
		from.New, from.Follow = true, true
	case err == nil:
		from.Since = at
	case to != "oldest":
		return "", 0, &api.FieldError{Field: "to", Reason: fmt.Sprintf("%q is neither oldest, newest, a time as in 2026-11-28T06:00:00Z, nor a position of this log, as in %s-42", to, log)}
	}
	err = a.backbone.Read(ctx, from, func(at uint64, line []byte) error {
		if position = at; line != nil {
			position-- // behind the one before it
		}
		return errFound
	})
	if err == nil { // there is no record since
		return a.placeOf(ctx, "newest")
	}
	if errors.Is(err, errFound) {
		err = nil
	}
	return log, position, err
}

// lettersMost is how many bytes of records a page of dead letters may have before it ends,
// whatever its limit: a thousand of the largest messages are 4 GiB.
const lettersMost = 4 << 20

// DeadLetters implements admin.Sinks.
func (a adminSinks) DeadLetters(ctx context.Context, name string, after uint64, limit int) (page api.DeadLetterPage, err error) {
	if !a.hasSink(name) {
		return page, api.ErrUnknownSink
	}
	bytes := 0
	err = a.backbone.Letters().Each(ctx, name, after, func(number uint64, l backbone.Letter) bool {
		if n := len(page.DeadLetters); n == limit || bytes > lettersMost {
			page.Next = strconv.FormatUint(page.DeadLetters[n-1].Number, 10)
			return false
		}
		bytes += len(l.Record) + len(l.Reason)
		page.DeadLetters = append(page.DeadLetters, api.DeadLetter{
			Number: number, Position: l.Log + "-" + strconv.FormatUint(l.Position, 10),
			Reason: l.Reason, At: time.UnixMilli(l.At), Record: l.Record,
		})
		return true
	})
	return page, adminError(err)
}

// RemoveDeadLetter implements admin.Sinks.
func (a adminSinks) RemoveDeadLetter(ctx context.Context, name string, number uint64) (bool, error) {
	if !a.hasSink(name) {
		return false, api.ErrUnknownSink
	}
	removed, err := a.backbone.Letters().Remove(ctx, name, number)
	return removed, adminError(err)
}

// RemoveDeadLetters implements admin.Sinks.
func (a adminSinks) RemoveDeadLetters(ctx context.Context, name string, which api.LetterFilter) (int, error) {
	if !a.hasSink(name) {
		return 0, api.ErrUnknownSink
	}
	n, err := a.backbone.Letters().RemoveAll(ctx, name, backbone.LetterFilter(which))
	return n, adminError(err)
}

func (a adminSinks) hasSink(name string) bool {
	for _, s := range a.sinks.Status() {
		if s.Name == name {
			return true
		}
	}
	return false
}

func (n *node) sinkMetrics(to func(admin.Sample)) {
	emit := emitTo(to)
	for _, s := range (adminSinks{n}).Sinks() {
		for state := range sink.NumStates {
			emit("edgeloop_sink_state", boolean(state.String() == s.State), s.Name, state.String())
		}
		for b := sink.Closed; b <= sink.Open; b++ {
			if b.String() == s.Breaker {
				emit("edgeloop_sink_breaker", float64(b), s.Name)
			}
		}
		if s.LagRecords != nil {
			emit("edgeloop_sink_lag_records", float64(*s.LagRecords), s.Name)
		}
		if s.LagBytes != nil {
			emit("edgeloop_sink_lag_bytes", float64(*s.LagBytes), s.Name)
		}
		emit("edgeloop_sink_paced_records_per_second", s.PacedPerSecond, s.Name)
		age := 0.0
		if s.Oldest != nil {
			age = max(0, time.Since(*s.Oldest).Seconds())
		}
		emit("edgeloop_sink_oldest_unconfirmed_seconds", age, s.Name)
		emit("edgeloop_sink_sent_records_total", float64(s.Records), s.Name)
		emit("edgeloop_sink_sent_bytes_total", float64(s.Bytes), s.Name)
		emit("edgeloop_sink_attempts_total", float64(s.Attempts), s.Name)
		emit("edgeloop_sink_failures_total", float64(s.Failures), s.Name)
		emit("edgeloop_sink_refused_records_total", float64(s.Refused), s.Name)
		emit("edgeloop_sink_unkept_records_total", float64(s.Unkept), s.Name)
		emit("edgeloop_sink_filtered_records_total", float64(s.Filtered), s.Name)
		emit("edgeloop_sink_missed_records", float64(s.Missed), s.Name)
	}
}
