package admin

import (
	"net/http"
	"net/url"
	"strconv"

	"go.uber.org/zap"

	"edgeloop/admin/api"
)

func (s *Server) listSinks(w http.ResponseWriter, r *http.Request) error {
	if _, err := readQuery(r); err != nil {
		return err
	}
	out := api.Sinks{Sinks: s.node.Sinks.Sinks()}
	if out.Sinks == nil {
		out.Sinks = []api.Sink{}
	}
	return writeJSON(w, http.StatusOK, out)
}

func (s *Server) getSink(w http.ResponseWriter, r *http.Request) error {
	if _, err := readQuery(r); err != nil {
		return err
	}
	return s.writeSink(w, r.PathValue("sink"))
}

func (s *Server) writeSink(w http.ResponseWriter, name string) error {
	for _, one := range s.node.Sinks.Sinks() {
		if one.Name == name {
			return writeJSON(w, http.StatusOK, one)
		}
	}
	return errNoSink
}

var errNoSink error = kindNotFound.problem("there is no such sink")

// changeSink is the handler of an action, and of a body with the member that it needs.
func (s *Server) changeSink(action api.SinkAction) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		known := []string{}
		if action == api.SinkResend {
			known = []string{"tenant", "device", "reason"}
		}
		q, err := readQuery(r, known...)
		if err != nil {
			return err
		}
		c := api.SinkChange{Name: r.PathValue("sink"), Action: action, Letters: lettersOf(r, q)}
		needed, value := "", (*string)(nil)
		switch action {
		case api.SinkRewind:
			needed, value = "to", &c.To
		case api.SinkSkip:
			needed, value = "position", &c.Position
		}
		if needed != "" {
			obj, err := s.readObject(w, r)
			if err != nil {
				return err
			}
			if err := obj.into(map[string]any{needed: value}); err != nil {
				return err
			}
			if *value == "" {
				return &api.FieldError{Field: needed, Reason: "is missing"}
			}
			note(r, zap.String(needed, clip(*value)))
		}
		if err := s.node.Sinks.ChangeSink(r.Context(), c); err != nil {
			return err
		}
		return s.writeSink(w, c.Name)
	}
}

func (s *Server) listDeadLetters(w http.ResponseWriter, r *http.Request) error {
	q, err := readQuery(r, "limit", "after")
	if err != nil {
		return err
	}
	limit, err := intParam(q, "limit", api.DefaultPage, 1, api.MaxPage)
	if err != nil {
		return err
	}
	after := uint64(0)
	if text := q.Get("after"); text != "" {
		if after, err = strconv.ParseUint(text, 10, 64); err != nil {
			return &api.FieldError{Field: "after", Reason: "is not the next of a page"}
		}
	}
	page, err := s.node.Sinks.DeadLetters(r.Context(), r.PathValue("sink"), after, limit)
	if err != nil {
		return err
	}
	if page.DeadLetters == nil {
		page.DeadLetters = []api.DeadLetter{}
	}
	return writeJSON(w, http.StatusOK, page)
}

// lettersOf is which dead letters a query means.
func lettersOf(r *http.Request, q url.Values) api.LetterFilter {
	f := api.LetterFilter{Tenant: q.Get("tenant"), Device: q.Get("device"), Reason: q.Get("reason")}
	for _, part := range []struct{ name, value string }{{"tenant", f.Tenant}, {"device_id", f.Device}, {"reason", f.Reason}} {
		if part.value != "" {
			note(r, zap.String(part.name, clip(part.value)))
		}
	}
	return f
}

// deleteDeadLetters removes many. That all are meant has to be said.
func (s *Server) deleteDeadLetters(w http.ResponseWriter, r *http.Request) error {
	q, err := readQuery(r, "all", "tenant", "device", "reason")
	if err != nil {
		return err
	}
	all, err := boolParam(q, "all")
	if err != nil {
		return err
	}
	which := lettersOf(r, q)
	if every := all != nil && *all; every == (which != api.LetterFilter{}) {
		return &api.FieldError{Field: "all", Reason: "is for all of the sink: give all=true, or else some of tenant, device and reason"}
	}
	n, err := s.node.Sinks.RemoveDeadLetters(r.Context(), r.PathValue("sink"), which)
	note(r, zap.Int("removed", n))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, api.DeadLettersRemoved{Removed: n})
}

func (s *Server) deleteDeadLetter(w http.ResponseWriter, r *http.Request) error {
	if _, err := readQuery(r); err != nil {
		return err
	}
	number, err := strconv.ParseUint(r.PathValue("number"), 10, 64)
	if err != nil {
		return &api.FieldError{Field: "number", Reason: "is not a number of a dead letter"}
	}
	removed, err := s.node.Sinks.RemoveDeadLetter(r.Context(), r.PathValue("sink"), number)
	if err != nil {
		return err
	}
	if !removed {
		return kindNotFound.problem("there is no such dead letter of this sink")
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
