package admin

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"edgeloop/admin/api"
	"edgeloop/overload"
)

func (s *Server) tail(w http.ResponseWriter, r *http.Request) error {
	query, err := s.tailQuery(r)
	if err != nil {
		return err
	}
	load := overload.Tail
	if !query.New() {
		load = overload.Past
	}
	if err := s.spare(w, load); err != nil {
		return err
	}
	places := []chan struct{}{s.tails}
	if c := callerOf(r); c != nil && c.principal.Tenant != "" {
		places = append(places, s.boundTails)
	}
	for _, place := range places {
		select {
		case place <- struct{}{}:
			defer func() { <-place }()
		default:
			return kindTooManyTails.problem(strconv.Itoa(cap(place)) + " tails are running, which is the limit")
		}
	}
	stream := newTailStream(w, r, 3*s.cfg.TailStall)
	stream.log = s.node.Log.Identity()
	if err := stream.open(); err != nil || r.Method == http.MethodHead {
		return nil // the reader is gone, or wanted no more than this
	}

	ctx, cancel := context.WithCancel(r.Context())
	buf := newTailBuffer(s.cfg.TailBuffer, s.cfg.TailStall)
	ended := make(chan error, 1)
	go func() {
		defer close(ended)
		ended <- s.node.Log.Tail(ctx, query, func(position uint64, line []byte) error {
			return buf.put(ctx, position, line)
		})
	}()
	err = s.pump(r.Context(), stream, buf, ended)
	cancel()
	for range ended { // until the reading of the log has ended too
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		s.log.Debug("tail ended", zap.Error(err))
	}
	return nil
}

// pump moves records from the buffer to the reader until one of them ends.
func (s *Server) pump(reader context.Context, stream *tailStream, buf *tailBuffer, ended <-chan error) error {
	heartbeat := time.NewTicker(s.cfg.TailHeartbeat)
	defer heartbeat.Stop()
	for {
		var err error
		select {
		case <-buf.ready:
			err = stream.records(reader, buf)
			heartbeat.Reset(s.cfg.TailHeartbeat)
		case <-heartbeat.C:
			err = stream.heartbeat()
		case <-reader.Done():
			return s.cutShort(reader, stream)
		case cause := <-ended:
			if errors.Is(cause, context.Canceled) && reader.Err() != nil {
				return s.cutShort(reader, stream)
			}
			return s.finish(reader, stream, buf, cause)
		}
		if err != nil {
			return s.broken(err)
		}
	}
}

// cutShort ends a stream whose reader is gone, or may not read any more, without a word,
// and one that ends with the node with its last event.
func (s *Server) cutShort(reader context.Context, stream *tailStream) error {
	if s.stopping.Err() == nil {
		return reader.Err()
	}
	return stream.end(api.TailStopping, "the node stops")
}

// broken counts the readers that stopped reading; the others have left.
func (s *Server) broken(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		s.counters.tailsDropped.Add(1)
	}
	return err
}

// finish sends what the buffer still holds and the last event.
func (s *Server) finish(reader context.Context, stream *tailStream, buf *tailBuffer, cause error) error {
	why, detail := api.TailDone, "the last record has been sent"
	switch {
	case errors.Is(cause, errSlowReader):
		why, detail = api.TailDropped, "the reader was slower than the log for "+s.cfg.TailStall.String()
		s.counters.tailsDropped.Add(1)
	case cause != nil:
		why, detail = api.TailFailed, problemOf(cause).Detail
	}
	if err := stream.records(reader, buf); err != nil {
		return err
	}
	if reader.Err() != nil {
		return s.cutShort(reader, stream)
	}
	return errors.Join(cause, stream.end(why, detail))
}

// tailQuery reads the query and, where a reader comes back, Last-Event-ID.
func (s *Server) tailQuery(r *http.Request) (api.TailQuery, error) {
	q, err := readQuery(r, "tenant", "device", "since", "after", "follow")
	if err != nil {
		return api.TailQuery{}, err
	}
	query := api.TailQuery{Tenant: q.Get("tenant"), Device: q.Get("device")}
	for kind, name := range map[string]string{"tenant": query.Tenant, "device": query.Device} {
		if name == "" {
			continue
		}
		if err := s.checkName(kind, name); err != nil {
			return api.TailQuery{}, err
		}
	}
	if query.Tenant, err = tenantOf(r, query.Tenant); err != nil {
		return api.TailQuery{}, err
	}
	follow, err := boolParam(q, "follow")
	if err != nil {
		return api.TailQuery{}, err
	}
	query.Follow = follow == nil || *follow
	if q.Has("since") {
		if err := query.SetSince(q.Get("since"), time.Now()); err != nil {
			return api.TailQuery{}, err
		}
	} else {
		// One who does not follow would see nothing of what is yet to come.
		query.All = !query.Follow
	}
	return query, setAfter(&query, q, r.Header.Get("Last-Event-ID"))
}

// setAfter reads where a reader goes on. The header is the later word: who comes
// back asks with the query that it began with.
func setAfter(query *api.TailQuery, q url.Values, lastEvent string) error {
	var given []struct{ name, value string }
	if q.Has("after") {
		given = append(given, struct{ name, value string }{"after", q.Get("after")})
	}
	if lastEvent != "" {
		given = append(given, struct{ name, value string }{"Last-Event-ID", lastEvent})
	}
	for _, g := range given {
		position, err := api.ParsePosition(g.value)
		if err != nil {
			return &api.FieldError{Field: g.name, Reason: "is not a position of the log"}
		}
		query.SetAfter(position)
	}
	return nil
}

// wantsLines says whether the reader asked for lines instead of events.
func wantsLines(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "application/x-ndjson")
}
