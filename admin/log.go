package admin

import (
	"net/http"
	"time"

	"go.uber.org/zap"
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
