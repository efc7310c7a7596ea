package admin

import (
	"net/http"

	"go.uber.org/zap"

	"edgeloop/admin/access"
)

// caller is who has sent a request, and what the audit says of it beside that.
// Owned by the goroutine of the request.
type caller struct {
	principal *access.Principal
	notes     []zap.Field
}

// callerOf is nil for a request that showed no token.
func callerOf(r *http.Request) *caller {
	c, _ := r.Context().Value(callerKey{}).(*caller)
	return c
}

// note adds to the audit's line what the path does not say.
func note(r *http.Request, fields ...zap.Field) {
	if c := callerOf(r); c != nil {
		c.notes = append(c.notes, fields...)
	}
}

// clip cuts short what is no name, so that nobody fills the log with one request.
func clip(text string) string { return text[:min(len(text), 512)] }

// audit writes the one line of a change, or of one that was refused.
func (s *Server) audit(rt route, r *http.Request, status int) {
	fields := []zap.Field{
		zap.String("change", rt.change), zap.String("path", clip(r.URL.Path)),
		zap.Int("status", status), zap.String("remote", r.RemoteAddr),
	}
	if c := callerOf(r); c != nil {
		fields = append([]zap.Field{zap.String("principal", c.principal.Name)}, append(fields, c.notes...)...)
	}
	s.auditLog.Info("changed through the API", fields...)
}
