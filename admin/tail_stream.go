package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"edgeloop/admin/api"
)

// tailStream writes records to one reader: as server-sent events, or as lines
// of JSON. Only the handler's goroutine uses it.
type tailStream struct {
	// Immutable after construction.
	w        http.ResponseWriter
	control  *http.ResponseController
	lines    bool
	log      string        // the identity of the log, part of each position
	patience time.Duration // how long one write may take

	// Owned by the handler's goroutine.
	scratch []byte
}

func newTailStream(w http.ResponseWriter, r *http.Request, patience time.Duration) *tailStream {
	return &tailStream{w: w, control: http.NewResponseController(w), lines: wantsLines(r), patience: patience}
}

// open sends the header, so that the reader knows that it is being served.
func (t *tailStream) open() error {
	mediaType := "text/event-stream"
	if t.lines {
		mediaType = "application/x-ndjson"
	}
	t.w.Header().Set("Content-Type", mediaType)
	t.w.Header().Set("X-Accel-Buffering", "no") // nginx would hold lines back until it has many
	t.w.WriteHeader(http.StatusOK)
	return t.control.Flush()
}

// records writes all that waits in the buffer and flushes once. It stops when the reader
// may not read any more.
func (t *tailStream) records(reader context.Context, buf *tailBuffer) error {
	for _, l := range buf.take() {
		if reader.Err() != nil {
			return nil
		}
		out := t.scratch[:0]
		switch {
		case !t.lines && l.json == nil:
			out = appendPosition(out, t.at(l.position))
		case !t.lines:
			out = appendEvent(out, "record", t.at(l.position), l.json)
		case l.json != nil:
			out = append(append(out, l.json...), '\n')
		}
		t.scratch = out
		if err := t.write(out); err != nil {
			return err
		}
		buf.written(len(l.json))
	}
	return t.control.Flush()
}

func (t *tailStream) at(position uint64) api.Position { return api.Position{Log: t.log, N: position} }

// heartbeat writes what every reader ignores, to find out whether it is there.
func (t *tailStream) heartbeat() error {
	beat := ": heartbeat\n\n"
	if t.lines {
		beat = "\n"
	}
	if err := t.write([]byte(beat)); err != nil {
		return err
	}
	return t.control.Flush()
}

// end writes the last event. A stream of lines that ended as it should has
// none, so that it holds records only.
func (t *tailStream) end(cause api.TailCause, detail string) error {
	if t.lines && cause == api.TailDone {
		return nil
	}
	last, err := json.Marshal(api.TailEnd{End: cause, Detail: detail})
	if err != nil {
		return err
	}
	if t.lines {
		last = append(last, '\n')
	} else {
		last = appendEvent(nil, "end", api.Position{}, last)
	}
	if err := t.write(last); err != nil {
		return err
	}
	return t.control.Flush()
}

// write gives each write its own deadline: a stream has none as a whole.
func (t *tailStream) write(b []byte) error {
	_ = t.control.SetWriteDeadline(time.Now().Add(t.patience))
	_, err := t.w.Write(b)
	return err
}

// appendPosition appends what a reader takes for the position of the last event
// without being told of an event.
func appendPosition(dst []byte, id api.Position) []byte {
	return append(id.Append(append(dst, "id: "...)), "\n\n"...)
}

// appendEvent appends one server-sent event; data has no line break.
func appendEvent(dst []byte, event string, id api.Position, data []byte) []byte {
	dst = append(append(dst, "event: "...), event...)
	if id.N > 0 {
		dst = id.Append(append(dst, "\nid: "...))
	}
	return append(append(append(dst, "\ndata: "...), data...), "\n\n"...)
}
