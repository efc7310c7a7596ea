package admin

import (
	"net/http"
	"strconv"
	"time"

	"edgeloop/admin/api"
)

// Bounds of a health listener: those who probe ask little and are quick.
const (
	healthConnections = 128
	healthTimeout     = 5 * time.Second
)

// NewHealth builds a server on cfg.Listen that says /healthz and /readyz to everybody, and
// nothing else: it looks at no token, so the reasons are their codes alone. It may be where
// others reach it. ready and warnings may be called from any goroutine, from Start until Stop
// has returned. Of cfg only Listen and Logger count.
func NewHealth(cfg Config, ready, warnings func() []api.Reason) (*Server, error) {
	cfg, err := Config{
		Listen: cfg.Listen, AllowRemote: true, Logger: cfg.Logger,
		MaxConnections: healthConnections, ReadTimeout: healthTimeout, WriteTimeout: healthTimeout,
	}.withDefaults()
	if err != nil {
		return nil, err
	}
	s, err := build(cfg, Backends{Node: askedNode{ready: ready, warnings: warnings}}, (*Server).healthRoutes)
	if err != nil {
		return nil, err
	}
	s.http.SetKeepAlivesEnabled(false) // a place is free again when its question is answered
	return s, nil
}

// askedNode is a Node of which nobody asks more than whether it is ready.
type askedNode struct {
	Node
	ready, warnings func() []api.Reason
}

func (n askedNode) Ready() []api.Reason    { return n.ready() }
func (n askedNode) Warnings() []api.Reason { return n.warnings() }

// health are the routes of probes, wherever they are served.
func (s *Server) health() []route {
	return []route{
		{"GET /healthz", probes, "", s.healthz},
		{"GET /readyz", probes, "", s.readyz},
	}
}

func (s *Server) healthRoutes() []route {
	return append(s.health(), route{"/", probes, "", func(http.ResponseWriter, *http.Request) error {
		return kindNotFound.problem("here are /healthz and /readyz, and nothing else")
	}})
}

// HealthSamples are the counters of a server of NewHealth, for the Config.Sources of the API's.
func (s *Server) HealthSamples(emit func(Sample)) {
	s.requestSamples("edgeloop_admin_health_requests_total", emit)
	emit(Sample{Name: "edgeloop_admin_health_evicted_connections_total", Value: float64(s.counters.evicted.Load())})
}

// requestSamples are the requests by class of status.
func (s *Server) requestSamples(name string, emit func(Sample)) {
	for class := range s.counters.requests {
		if class > 0 {
			emit(Sample{Name: name, Labels: []string{strconv.Itoa(class) + "xx"}, Value: float64(s.counters.requests[class].Load())})
		}
	}
}
