package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"edgeloop/admin/api"
	"edgeloop/internal/pause"
)

const (
	// maxLine is more than any record of a log, in bytes.
	maxLine = 32 << 20
	// tailPatience is how long a stream that broke is tried to be taken up again.
	tailPatience = time.Minute
	retryFirst   = 50 * time.Millisecond
	retryMost    = 2 * time.Second
	// spared is when a node is asked again that had too much to do.
	spared = 5 * time.Second
	// tailSilence is how long a stream may say nothing: four heartbeats of a node.
	tailSilence = time.Minute
)

// errSilent ends a stream whose node has gone without a word.
var errSilent = errors.New("the node has gone silent")

// EndError says that a node ended a tail before its time.
type EndError struct{ api.TailEnd }

func (e *EndError) Error() string {
	return "the node ended the stream: " + string(e.End) + ": " + e.Detail
}

// Tail calls fn for each record, one JSON object without its line break,
// borrowed until fn returns. Without q.Follow it returns nil after the last
// record; with it, only when ctx ends, fn returns an error, which is returned,
// or the node ends the stream for good, which is an *EndError.
//
// A stream that is followed and has once begun is taken up again behind its last
// record when the connection breaks, the node stops, or it dropped fn for being
// too slow: fn gets nothing twice, and misses nothing but what the log has
// forgotten meanwhile. If that fails for a minute the last error is returned. A node that has
// too much to do is asked again for as long.
func (c *Client) Tail(ctx context.Context, q api.TailQuery, fn func(line []byte) error) error {
	return c.TailAt(ctx, q, func(_ api.Position, line []byte) error { return fn(line) })
}

// TailAt is Tail with the position of each record.
func (c *Client) TailAt(ctx context.Context, q api.TailQuery, fn func(at api.Position, line []byte) error) error {
	t := tail{client: c, query: q, fn: fn}
	again, err := t.first(ctx)
	for lost, delay := time.Now(), retryFirst; again && q.Follow && t.begun && ctx.Err() == nil; {
		if t.alive {
			lost, delay, t.alive = time.Now(), retryFirst, false
			if c.OnRetry != nil {
				c.OnRetry(err)
			}
		}
		if time.Since(lost) > tailPatience || pause.For(ctx, delay) != nil {
			break
		}
		delay = min(2*delay, retryMost)
		again, err = t.read(ctx)
	}
	if again && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// tail is one reading of the log, over as many streams as it takes.
type tail struct {
	// Immutable after construction.
	client *Client
	fn     func(at api.Position, line []byte) error

	// Owned by the caller's goroutine.
	query api.TailQuery // where to go on
	begun bool          // a node has answered
	alive bool          // the present stream has said something
}

// first is read, made again for as long as the node has too much to do for it, within
// tailPatience.
func (t *tail) first(ctx context.Context) (again bool, err error) {
	for began := time.Now(); ; {
		again, err = t.read(ctx)
		var refused *api.Problem
		if t.begun || !errors.As(err, &refused) || refused.Type != api.Overloaded {
			return again, err
		}
		if t.client.OnRetry != nil {
			t.client.OnRetry(err)
		}
		if time.Since(began) > tailPatience || pause.For(ctx, spared) != nil {
			return again, err
		}
	}
}

// read reads one stream to its end. again says that another one may go on.
func (t *tail) read(ctx context.Context) (again bool, err error) {
	within, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(tailSilence, func() { cancel(errSilent) })
	defer silence.Stop()
	res, err := t.client.send(within, http.MethodGet, "/v1/tail", tailQuery(t.query), nil, "text/event-stream")
	if err != nil {
		var refused *api.Problem
		return !errors.As(err, &refused) || refused.Status == http.StatusServiceUnavailable, t.broken(ctx, within, err)
	}
	defer res.Body.Close()
	t.begun = true
	var e event
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		t.alive = true
		if len(lines.Bytes()) > 0 {
			silence.Reset(tailSilence)
			e.add(lines.Bytes())
			continue
		}
		silence.Stop() // fn may take as long as it likes
		if ended, again, err := t.take(&e); ended {
			return again, err
		}
		silence.Reset(tailSilence)
	}
	if err = lines.Err(); err == nil {
		err = io.ErrUnexpectedEOF // the last event was missing
	}
	return !errors.Is(err, bufio.ErrTooLong), fmt.Errorf("read the log: %w", t.broken(ctx, within, err))
}

// broken is why a stream broke; within ends with ctx, or when the node is silent.
func (t *tail) broken(ctx, within context.Context, err error) error {
	if ctx.Err() == nil && within.Err() != nil {
		return context.Cause(within)
	}
	return err
}

// take does what an event says and empties it.
func (t *tail) take(e *event) (ended, again bool, err error) {
	switch {
	case e.name == "end":
		end := new(EndError)
		if err := json.Unmarshal(e.data, &end.TailEnd); err != nil {
			return true, false, fmt.Errorf("read the log: %w", err)
		}
		if end.End == api.TailDone {
			return true, false, nil
		}
		return true, end.End == api.TailStopping || end.End == api.TailDropped, end
	case len(e.data) > 0:
		if err := t.fn(e.id, e.data); err != nil {
			return true, false, err
		}
	}
	if e.hasID {
		t.query.SetAfter(e.id)
	}
	*e = event{data: e.data[:0]}
	return false, false, nil
}

// event is a server-sent event, as far as it has come.
type event struct {
	name  string
	data  []byte
	id    api.Position
	hasID bool
}

// add takes one line of an event. Heartbeats are comments: lines without a name.
func (e *event) add(line []byte) {
	name, value, _ := bytes.Cut(line, []byte(": "))
	switch string(name) {
	case "event":
		e.name = string(value)
	case "data":
		e.data = append(e.data, value...)
	case "id":
		id, err := api.ParsePosition(string(value))
		e.id, e.hasID = id, err == nil
	}
}

func tailQuery(q api.TailQuery) url.Values {
	query := make(url.Values)
	setString(query, "tenant", q.Tenant)
	setString(query, "device", q.Device)
	switch {
	case q.After > 0 || q.Log != "":
		query.Set("after", api.Position{Log: q.Log, N: q.After}.String())
	case q.All:
		query.Set("since", "all")
	case !q.Since.IsZero():
		query.Set("since", q.Since.Format(time.RFC3339Nano))
	}
	query.Set("follow", strconv.FormatBool(q.Follow))
	return query
}
