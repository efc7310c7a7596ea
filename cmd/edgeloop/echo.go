package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"os/signal"
	"syscall"
	"time"

	"edgeloop/admin"
	"edgeloop/eventloop"
)

// echoCmd is the event loop and the frames alone: for conformance tests and for
// comparison with other libraries' echo servers.
type echoCmd struct {
	Listen         string        `default:"127.0.0.1:9001" help:"Address to listen on, host:port; port 0 picks a free one."`
	EventLoops     int           `default:"0" help:"Event loops; 0 is one for each core."`
	MaxConnections int           `default:"100000" help:"Connections before newcomers are answered 503."`
	MaxMessage     int           `default:"16777216" help:"Largest message, in bytes."`
	OutBuffer      int           `default:"67108864" help:"Bytes that may wait for one connection that does not read."`
	Compression    bool          `default:"false" negatable:"" help:"Negotiate permessage-deflate."`
	Heartbeat      time.Duration `default:"30s" help:"Silence after which a connection is pinged."`
	TLSCert        string        `name:"tls-cert" default:"" type:"path" help:"Certificate with its chain, leaf first, a PEM file: connections then come by TLS."`
	TLSKey         string        `name:"tls-key" default:"" type:"path" help:"Its key, a PEM file that others cannot read."`
	TLSClientCA    string        `name:"tls-client-ca" default:"" type:"path" help:"Authorities that sign the certificate that each connection then has to have: a PEM file."`
	TLSRecords     string        `name:"tls-records" default:"own" enum:"std,own" help:"What serves TLS 1.3 after the handshake, as in serve."`
	ControlListen  string        `default:"" help:"Loopback address for /debug/pprof and /metrics, host:port; neither is served without it."`
}

// Run serves until SIGINT or SIGTERM.
func (e *echoCmd) Run(io *streams) error {
	if err := e.checkListeners(); err != nil {
		return usageError{err}
	}
	greet, stopTLS, err := e.secure()
	if err != nil {
		return usageError{err}
	}
	defer stopTLS()
	srv, err := eventloop.New(eventloop.Config{
		Listeners:      []eventloop.Listener{{Address: e.Listen, Greet: greet}},
		Loops:          e.EventLoops,
		MaxConnections: e.MaxConnections,
		MaxMessage:     e.MaxMessage,
		OutBuffer:      e.OutBuffer,
		Compression:    e.Compression,
	}, echoAcceptor{max(e.Heartbeat, time.Second)})
	if err != nil {
		return usageError{err}
	}
	if _, _, err := eventloop.RaiseFDLimit(0); err != nil {
		return err
	}
	stopControl, err := e.control(io, srv)
	if err != nil {
		return usageError{err}
	}
	defer stopControl()
	stopTidy := inBackground(func(ctx context.Context) { tidy(ctx, srv, func() int64 { return 0 }) })
	defer func() { _ = stopTidy(context.Background()) }() // it hears at once
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(signals)
	ended := make(chan error, 1)
	go func() { ended <- srv.Run() }()
	select {
	case err := <-ended:
		return err
	case <-srv.Booted():
		fmt.Fprintf(io.out, "echo listening on %s\n", srv.Addr())
	}
	select {
	case err := <-ended:
		return err
	case <-signals:
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := srv.Stop(ctx); err != nil {
		return err
	}
	return <-ended
}

// checkListeners checks the addresses. The control listener asks for no token, so
// it is for this machine alone.
func (e *echoCmd) checkListeners() error {
	if err := checkListen("--listen", e.Listen); err != nil || e.ControlListen == "" {
		return err
	}
	if err := checkListen("--control-listen", e.ControlListen); err != nil {
		return err
	}
	host, _, _ := net.SplitHostPort(e.ControlListen)
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("--control-listen=%s can be reached from outside and asks for no token: listen on 127.0.0.1 or [::1]", e.ControlListen)
	}
	return nil
}

// control serves pprof and the counters of the loops until stop is called.
// Without --control-listen it does nothing.
func (e *echoCmd) control(io *streams, srv *eventloop.Server) (stop func(), err error) {
	if e.ControlListen == "" {
		return func() {}, nil
	}
	ln, err := net.Listen("tcp", e.ControlListen)
	if err != nil {
		return nil, fmt.Errorf("--control-listen=%s: %w", e.ControlListen, err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		(&node{server: srv}).eventloopMetrics(func(s admin.Sample) {
			name := s.Name
			if len(s.Labels) > 0 { // the only label of these series
				name += fmt.Sprintf("{cause=%q}", s.Labels[0])
			}
			_, _ = fmt.Fprintf(w, "%s %v\n", name, s.Value) // whoever asked is gone
		})
	})
	control := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = control.Serve(ln) // ends by Close below
	}()
	fmt.Fprintf(io.out, "control listening on %s\n", ln.Addr())
	return func() {
		_ = control.Close()
		<-ended
	}, nil
}

// echoAcceptor admits everyone on path "/".
type echoAcceptor struct{ heartbeat time.Duration }

func (a echoAcceptor) Accept(c *eventloop.Conn, h *eventloop.Hello) (eventloop.Receiver, *eventloop.Refusal) {
	if string(h.Path) != "/" {
		return nil, &eventloop.Refusal{Reason: eventloop.ReasonNotFound, Text: "the echo is at /"}
	}
	return &echo{c, a.heartbeat}, nil
}

// echo sends back what it receives.
type echo struct {
	c         *eventloop.Conn
	heartbeat time.Duration
}

func (e *echo) Receive(kind eventloop.Kind, payload []byte) { e.c.WriteOnLoop(kind, payload) }
func (e *echo) Flush()                                      {}
func (e *echo) Woken()                                      {}
func (e *echo) Closed(*eventloop.Gone)                      {}

// Quiet pings whoever is silent, and evicts nobody.
func (e *echo) Quiet(idle, _ time.Duration) time.Duration {
	if idle < e.heartbeat {
		return e.heartbeat - idle
	}
	e.c.PingOnLoop()
	return e.heartbeat
}
