package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"edgeloop/eventloop"
	"edgeloop/wsproto"
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
}

// Run serves until SIGINT or SIGTERM.
func (e *echoCmd) Run(io *streams) error {
	if err := checkListen("--listen", e.Listen); err != nil {
		return usageError{err}
	}
	srv, err := eventloop.New(eventloop.Config{
		Listen:         e.Listen,
		Loops:          e.EventLoops,
		MaxConnections: e.MaxConnections,
		MaxMessage:     e.MaxMessage,
		OutBuffer:      e.OutBuffer,
		Heartbeat:      e.Heartbeat,
		Handshake:      wsproto.HandshakeConfig{Compression: e.Compression},
	}, echoAcceptor{})
	if err != nil {
		return usageError{err}
	}
	if _, _, err := eventloop.RaiseFDLimit(0); err != nil {
		return err
	}
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

// echoAcceptor admits everyone on path "/".
type echoAcceptor struct{}

func (echoAcceptor) Accept(c *eventloop.Conn, h *eventloop.Hello) (eventloop.Receiver, *wsproto.Refusal) {
	if string(h.Path) != "/" {
		return nil, &wsproto.Refusal{Status: 404, Reason: "the echo is at /"}
	}
	return &echo{c}, nil
}

// echo sends back what it receives.
type echo struct{ c *eventloop.Conn }

func (e *echo) Receive(op wsproto.OpCode, payload []byte) { e.c.WriteOnLoop(op, payload) }
func (e *echo) Flush()                                    {}
func (e *echo) Woken()                                    {}
func (e *echo) Closed(*eventloop.Gone)                    {}

// Quiet pings whoever is silent, and evicts nobody.
func (e *echo) Quiet(time.Duration) time.Duration {
	e.c.PingOnLoop()
	return 30 * time.Second
}
