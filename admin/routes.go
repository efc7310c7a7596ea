package admin

import (
	"context"
	"errors"
	"net/http"
	"net/http/pprof"
	"strconv"
	"time"

	"go.uber.org/zap"
)

// route is one pattern of the mux. A handler returns an error instead of
// writing one; see problemOf.
type route struct {
	pattern string
	open    bool // needs no token
	serve   func(w http.ResponseWriter, r *http.Request) error
}

// routes is the whole API; openapi.json describes the same, and a test compares.
func (s *Server) routes() []route {
	return []route{
		{"GET /healthz", true, s.healthz},
		{"GET /readyz", true, s.readyz},
		{"GET /metrics", false, plain(s.metricsHandler())},
		{"GET /openapi.json", false, s.openapi},

		{"GET /debug/pprof/", false, s.profile(pprof.Index)},
		{"GET /debug/pprof/cmdline", false, plain(http.HandlerFunc(pprof.Cmdline))},
		{"GET /debug/pprof/profile", false, s.profile(pprof.Profile)},
		{"GET /debug/pprof/symbol", false, plain(http.HandlerFunc(pprof.Symbol))},
		{"GET /debug/pprof/trace", false, s.profile(pprof.Trace)},

		{"GET /v1/node", false, s.getNode},
		{"POST /v1/drain", false, s.drain},
		{"GET /v1/limits", false, s.getLimits},
		{"PATCH /v1/limits", false, s.patchLimits},

		{"GET /v1/devices", false, s.listDevices},
		{"GET /v1/devices/{tenant}/{device}", false, s.getDevice},
		{"DELETE /v1/devices/{tenant}/{device}/connection", false, s.kick},
		{"POST /v1/devices/{tenant}/{device}/commands", false, s.command},
		{"POST /v1/broadcast", false, s.broadcast},

		{"GET /v1/bans", false, s.listBans},
		{"GET /v1/bans/{tenant}/{device}", false, s.getBan},
		{"PUT /v1/bans/{tenant}/{device}", false, s.putBan},
		{"DELETE /v1/bans/{tenant}/{device}", false, s.deleteBan},

		{"GET /v1/tail", false, s.tail},

		{"GET /{$}", true, dashboardPage},
		{"GET /dashboard/{file}", true, dashboardFile},
	}
}

func plain(h http.Handler) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		h.ServeHTTP(w, r)
		return nil
	}
}

// profile gives a handler that runs for ?seconds= the time to answer after them.
func (s *Server) profile(h http.HandlerFunc) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		seconds, err := strconv.Atoi(r.FormValue("seconds"))
		if err != nil || seconds <= 0 {
			seconds = 30 // pprof's own default
		}
		s.extendWrite(w, time.Duration(seconds)*time.Second)
		h(w, r)
		return nil
	}
}

// ServeHTTP answers one request. The token is checked before anything is said
// about which paths there are.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	sw := &statusWriter{ResponseWriter: w}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	s.extendWrite(w, 0)
	if r.ContentLength != 0 {
		// Lifted by readObject; a body that nobody reads stays under it.
		_ = http.NewResponseController(w).SetReadDeadline(start.Add(s.cfg.ReadTimeout))
	}

	v := visitorOf(r.Context())
	v.asks()
	fallback, pattern := s.mux.Handler(r)
	open := s.byRoute[pattern].open
	switch {
	case !open && !s.tokens.Load().allows(r):
		h.Set("WWW-Authenticate", `Bearer realm="edgeloop admin"`)
		writeProblem(sw, kindUnauthorized.problem("send the admin token as Authorization: Bearer TOKEN"))
	case !open && !v.begin():
		writeProblem(sw, kindTooManyRequests.problem("as many requests are being served as are allowed"))
	case !open:
		defer v.end()
		s.answer(sw, r, pattern, fallback)
	default:
		s.answer(sw, r, pattern, fallback)
	}
	s.counters.request(sw.status)
	s.log.Debug("request", zap.String("method", r.Method), zap.String("route", pattern),
		zap.Int("status", sw.status), zap.String("remote", r.RemoteAddr), zap.Duration("dur", time.Since(start)))
}

// answer serves a request that may be served.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, pattern string, fallback http.Handler) {
	if pattern == "" {
		writeNoRoute(w, r, fallback)
		return
	}
	s.mux.ServeHTTP(w, r)
}

// adapt turns a route into a handler that renders the route's error.
func (s *Server) adapt(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := rt.serve(w, r)
		if err == nil {
			return
		}
		p := problemOf(err)
		if s.stopping.Err() != nil && errors.Is(err, context.Canceled) {
			p = kindUnavailable.problem("the node stops")
		}
		if p.Status == http.StatusInternalServerError {
			s.log.Error("request failed", zap.String("route", rt.pattern), zap.Error(err))
		}
		writeProblem(w, p)
	})
}

// extendWrite sets the time until which the response must be written. A writer
// without deadlines, as tests use, is left alone.
func (s *Server) extendWrite(w http.ResponseWriter, more time.Duration) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.cfg.WriteTimeout + more))
}

// statusWriter remembers the status for the log and the counters.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach deadlines and Flush.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
