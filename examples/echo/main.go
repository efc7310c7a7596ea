// Command echo sends back what it receives: the event loop and nothing above it.
package main

import (
	"context"
	"flag"
	"log"
	"os/signal"
	"syscall"
	"time"

	"edgeloop/eventloop"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:9001", "host:port")
	flag.Parse()
	server, err := eventloop.New(eventloop.Config{Listeners: []eventloop.Listener{{Address: *listen}}}, doorman{})
	if err != nil {
		log.Fatal(err)
	}
	stop, _ := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(stop, func() { _ = server.Stop(context.Background()) }) // Run says what failed
	if err := server.Run(); err != nil {
		log.Fatal(err)
	}
}

// doorman admits everyone.
type doorman struct{}

func (doorman) Accept(c *eventloop.Conn, _ *eventloop.Hello) (eventloop.Receiver, *eventloop.Refusal) {
	return &mirror{c}, nil
}

// mirror is one connection. All its methods run on the connection's loop.
type mirror struct{ conn *eventloop.Conn }

// Receive borrows payload, and so does WriteOnLoop: nothing is copied here.
func (m *mirror) Receive(kind eventloop.Kind, payload []byte) { m.conn.WriteOnLoop(kind, payload) }
func (m *mirror) Flush()                                      {}
func (m *mirror) Woken()                                      {}
func (m *mirror) Closed(*eventloop.Gone)                      {}

const heartbeat = 30 * time.Second

// Quiet pings a silent peer, and hangs up if it does not answer.
func (m *mirror) Quiet(idle, asked time.Duration) time.Duration {
	switch {
	case idle < heartbeat:
		return heartbeat - idle
	case asked >= heartbeat:
		m.conn.CloseOnLoop(eventloop.CloseSilent, "no sign of life")
	default:
		m.conn.PingOnLoop()
	}
	return heartbeat
}
