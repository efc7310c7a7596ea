package admin

import (
	"net/http"
	"time"

	"go.uber.org/zap"

	"edgeloop/admin/api"
)

// backup writes a backup as long as its reader takes it.
func (s *Server) backup(w http.ResponseWriter, r *http.Request) error {
	if _, err := readQuery(r); err != nil {
		return err
	}
	out := &slowWriter{w: w, control: http.NewResponseController(w), patience: 3 * s.cfg.TailStall}
	err := s.node.Log.Backup(r.Context(), out)
	if err == nil || !out.begun {
		return err
	}
	s.log.Warn("backup failed", zap.Error(err))
	note(r, zap.String("failed", clip(err.Error())))
	return nil // the answer is under way, and says so itself
}

// slowWriter is a long answer: each write of it has a deadline of its own.
type slowWriter struct {
	// Immutable after construction.
	w        http.ResponseWriter
	control  *http.ResponseController
	patience time.Duration

	// Owned by who writes.
	begun bool
}

// Write implements io.Writer. b is borrowed until return.
func (s *slowWriter) Write(b []byte) (int, error) {
	if !s.begun {
		s.begun = true
		s.w.Header().Set("Content-Type", "application/x-tar")
	}
	_ = s.control.SetWriteDeadline(time.Now().Add(s.patience))
	return s.w.Write(b)
}

// trim removes the oldest records of the log.
func (s *Server) trim(w http.ResponseWriter, r *http.Request) error {
	if _, err := readQuery(r); err != nil {
		return err
	}
	obj, err := s.readObject(w, r)
	if err != nil {
		return err
	}
	var t api.LogTrim
	to := ""
	if err := obj.into(map[string]any{"to": &to, "before": &t.Before, "past_sinks": &t.PastSinks, "forget_devices": &t.ForgetDevices}); err != nil {
		return err
	}
	switch {
	case (to == "") == t.Before.IsZero():
		return &api.FieldError{Field: "to", Reason: "or before is needed, and not both"}
	case to != "":
		if t.To, err = api.ParsePosition(to); err != nil || t.To.N == 0 {
			return &api.FieldError{Field: "to", Reason: "is not a position of the log"}
		}
	}
	note(r, zap.String("to", clip(to)), zap.Time("before", t.Before), zap.Bool("past_sinks", t.PastSinks), zap.Bool("forget_devices", t.ForgetDevices))
	out, err := s.node.Log.Trim(r.Context(), t)
	if err != nil {
		return err
	}
	note(r, zap.Uint64("records", out.Records))
	return writeJSON(w, http.StatusOK, out)
}
