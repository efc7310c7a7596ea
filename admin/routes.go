package admin

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/pprof"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"edgeloop/admin/access"
	"edgeloop/admin/api"
	"edgeloop/internal/redact"
	"edgeloop/overload"
)

// route is one row of the API. A handler returns an error instead of writing one;
// see problemOf.
type route struct {
	pattern string
	who     who
	change  string // what it changes, for the audit; "" for a route that changes nothing
	serve   func(w http.ResponseWriter, r *http.Request) error
}

// who may take a route.
type who struct {
	open  bool         // needs no token
	probe bool         // is open by whatever name the node is called
	scope access.Scope // that the token must have
	// node: it concerns the whole node, and who is bound to a tenant may not take
	// it. The others see to their tenant with tenantOf.
	node bool
}

// Those who may, by the reach of the route: of one tenant, or of the whole node.
var (
	everybody   = who{open: true}
	probes      = who{open: true, probe: true}
	reads       = who{scope: access.Read}
	commands    = who{scope: access.Command}
	administers = who{scope: access.Admin}
)

func ofNode(w who) who {
	w.node = true
	return w
}

// routes is the whole API; openapi.json describes the same, and a test compares.
func (s *Server) routes() []route { return slices.Concat(s.nodeRoutes(), s.fleetRoutes()) }

// nodeRoutes are about the node and its log.
func (s *Server) nodeRoutes() []route {
	profiles := ofNode(administers)
	return append(s.health(), []route{
		{"GET /metrics", ofNode(who{scope: access.Metrics}), "", plain(s.metricsHandler())},
		{"GET /openapi.json", reads, "", s.openapi},

		{"GET /debug/pprof/", profiles, "", s.profile(pprof.Index)},
		{"GET /debug/pprof/cmdline", profiles, "", cmdline},
		{"GET /debug/pprof/profile", profiles, "", s.profile(pprof.Profile)},
		{"GET /debug/pprof/symbol", profiles, "", plain(http.HandlerFunc(pprof.Symbol))},
		{"GET /debug/pprof/trace", profiles, "", s.profile(pprof.Trace)},

		{"GET /v1/token", reads, "", getToken},
		{"GET /v1/node", ofNode(reads), "", s.getNode},
		{"POST /v1/drain", ofNode(administers), "drain", s.drain},
		{"POST /v1/reload", ofNode(administers), "reload", s.reload},
		{"GET /v1/limits", ofNode(reads), "", s.getLimits},
		{"PATCH /v1/limits", ofNode(administers), "limits", s.patchLimits},
		{"GET /v1/tenants/{tenant}", reads, "", s.getTenant},
		{"PATCH /v1/tenants/{tenant}/limits", ofNode(administers), "limits of a tenant", s.patchTenant},

		{"GET /v1/sinks", ofNode(reads), "", s.listSinks},
		{"GET /v1/sinks/{sink}", ofNode(reads), "", s.getSink},
		{"POST /v1/sinks/{sink}/pause", ofNode(administers), "pause sink", s.changeSink(api.SinkPause)},
		{"POST /v1/sinks/{sink}/resume", ofNode(administers), "resume sink", s.changeSink(api.SinkResume)},
		{"POST /v1/sinks/{sink}/rewind", ofNode(administers), "rewind sink", s.changeSink(api.SinkRewind)},
		{"POST /v1/sinks/{sink}/skip", ofNode(administers), "skip record of sink", s.changeSink(api.SinkSkip)},
		{"POST /v1/sinks/{sink}/resend", ofNode(administers), "resend dead letters", s.changeSink(api.SinkResend)},
		{"GET /v1/sinks/{sink}/dead-letters", ofNode(reads), "", s.unless(overload.List, s.listDeadLetters)},
		{"DELETE /v1/sinks/{sink}/dead-letters", ofNode(administers), "remove dead letters", s.deleteDeadLetters},
		{"DELETE /v1/sinks/{sink}/dead-letters/{number}", ofNode(administers), "remove dead letter", s.deleteDeadLetter},

		{"GET /v1/tail", reads, "", s.tail},
		{"POST /v1/log/trim", ofNode(administers), "trim log", s.trim},
		{"POST /v1/log/backup", ofNode(administers), "backup", s.unless(overload.Backup, s.backup)},

		{"GET /{$}", everybody, "", dashboardPage},
		{"GET /dashboard/{file}", everybody, "", dashboardFile},
	}...)
}

// fleetRoutes are about devices, and who reads what they send.
func (s *Server) fleetRoutes() []route {
	return []route{
		{"GET /v1/devices", reads, "", s.unless(overload.List, s.listDevices)},
		{"GET /v1/devices/{tenant}/{device}", reads, "", s.getDevice},
		{"DELETE /v1/devices/{tenant}/{device}/connection", commands, "kick", s.kick},
		{"POST /v1/devices/{tenant}/{device}/reset", administers, "reset sequence", s.reset},
		{"POST /v1/devices/{tenant}/{device}/commands", commands, "command", s.command},
		{"GET /v1/devices/{tenant}/{device}/commands", reads, "", s.waitingCommands},
		{"DELETE /v1/devices/{tenant}/{device}/commands", commands, "cancel", s.cancelCommands},
		{"POST /v1/broadcast", commands, "broadcast", s.broadcast},

		{"GET /v1/bans", reads, "", s.unless(overload.List, s.listBans)},
		{"GET /v1/bans/{tenant}/{device}", reads, "", s.getBan},
		{"PUT /v1/bans/{tenant}/{device}", administers, "ban", s.putBan},
		{"DELETE /v1/bans/{tenant}/{device}", administers, "unban", s.deleteBan},
		{"GET /v1/address-bans", ofNode(reads), "", s.unless(overload.List, s.listAddressBans)},
		{"DELETE /v1/address-bans/{address}", ofNode(administers), "unban address", s.deleteAddressBan},

		{"GET /v1/readers", reads, "", s.unless(overload.List, s.listReaders)},
		{"DELETE /v1/readers/{reader}", administers, "forget reader", s.forgetReader},
		{"GET /v1/revocations", reads, "", s.unless(overload.List, s.listRevocations)},
		{"POST /v1/revocations", administers, "revoke", s.revoke},
		{"DELETE /v1/revocations/{id}", administers, "lift revocation", s.deleteRevocation},
	}
}

func plain(h http.Handler) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		h.ServeHTTP(w, r)
		return nil
	}
}

// cmdline is pprof's, without the passwords in URLs: who may look at the process may not
// therefore write to the log's servers.
func cmdline(w http.ResponseWriter, _ *http.Request) error {
	args := make([]string, len(os.Args))
	for i, arg := range os.Args {
		args[i] = redact.URL(arg)
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, strings.Join(args, "\x00"))
	return nil
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
	rt := s.byRoute[pattern]
	switch {
	case !s.meant(r, rt):
		writeProblem(sw, misdirected(r))
	case rt.who.open:
		s.answer(sw, r, pattern, fallback)
	default:
		s.admit(sw, r, v, func(r *http.Request) { s.answer(sw, r, pattern, fallback) })
	}
	s.counters.request(sw.status)
	s.log.Debug("request", zap.String("method", r.Method), zap.String("route", pattern),
		zap.Int("status", sw.status), zap.String("remote", r.RemoteAddr), zap.Duration("dur", time.Since(start)))
}

// admit has a request served that shows a token, if there is room.
func (s *Server) admit(w *statusWriter, r *http.Request, v *visitor, serve func(*http.Request)) {
	h, refused := s.identify(r)
	switch {
	case refused != nil:
		w.Header().Set("WWW-Authenticate", `Bearer realm="edgeloop admin"`)
		writeProblem(w, refused)
	case !v.begin(h.Tenant != ""):
		writeProblem(w, kindTooManyRequests.problem("too many requests at a time"))
	default:
		defer v.end()
		ctx, cancel := h.Within(context.WithValue(r.Context(), callerKey{}, &caller{principal: &h.Principal}))
		defer cancel()
		serve(r.WithContext(ctx))
	}
}

// answer serves a request that may be served.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, pattern string, fallback http.Handler) {
	if pattern == "" {
		writeNoRoute(w, r, fallback)
		return
	}
	s.mux.ServeHTTP(w, r)
}

// adapt turns a route into a handler that lets those in who may, renders the
// route's error, and has what it changes in the audit.
func (s *Server) adapt(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if rt.change != "" {
			sw := &statusWriter{ResponseWriter: w}
			w = sw
			defer func() { s.audit(rt, r, sw.status) }()
		}
		err := rt.who.allows(r)
		if err == nil {
			err = rt.serve(w, r)
		}
		if err == nil {
			return
		}
		p := problemOf(err)
		switch cause := context.Cause(r.Context()); {
		case !errors.Is(err, context.Canceled):
		case s.stopping.Err() != nil:
			p = kindUnavailable.problem("the node stops")
		case errors.Is(cause, access.ErrNoLonger):
			p = kindUnauthorized.problem(cause.Error())
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
