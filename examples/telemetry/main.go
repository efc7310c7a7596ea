// Command telemetry prints each message of a device on a line and acknowledges it: it shows the way up
// without a log. An acknowledgement here means only "printed". Printing on the loop is for examples:
// a slow reader of the output stops the loop.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os/signal"
	"syscall"
	"time"

	"edgeloop/envelope"
	"edgeloop/eventloop"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:9002", "host:port")
	flag.Parse()
	server, err := eventloop.New(eventloop.Config{
		Listeners: []eventloop.Listener{{Address: *listen}},
		Protocols: envelope.Protocols(),
	}, doorman{})
	if err != nil {
		log.Fatal(err)
	}
	stop, _ := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(stop, func() { _ = server.Stop(context.Background()) }) // Run says what failed
	if err := server.Run(); err != nil {
		log.Fatal(err)
	}
}

// doorman admits every device; the subprotocol decides the encoding.
type doorman struct{}

func (doorman) Accept(c *eventloop.Conn, h *eventloop.Hello) (eventloop.Receiver, *eventloop.Refusal) {
	codec, known := envelope.ForProtocol(h.Protocol)
	if !known {
		return nil, &eventloop.Refusal{Reason: eventloop.ReasonMalformed, Text: "unknown subprotocol"}
	}
	return &device{conn: c, codec: codec}, nil
}

// device is one connection. All its methods run on the connection's loop.
type device struct {
	conn  *eventloop.Conn
	codec envelope.Codec
	in    envelope.Message
	upto  uint64 // printed and not yet acknowledged; 0 for none
}

func (d *device) Receive(kind eventloop.Kind, payload []byte) {
	var fault *envelope.Fault
	if err := d.codec.Decode(kind == eventloop.Binary, payload, &d.in); errors.As(err, &fault) {
		d.say(&envelope.Message{Type: envelope.TypeError, Code: []byte(fault.Code), Text: []byte(fault.Message), Seq: fault.Seq})
	} else if d.in.Type.Sequenced() {
		fmt.Printf("%d %s %s %s\n", d.conn.ID(), d.in.Type, d.in.Topic, d.in.Data)
		d.upto = max(d.upto, d.in.Seq)
	}
}

// Flush acknowledges everything that one read brought.
func (d *device) Flush() {
	if d.upto > 0 {
		d.say(&envelope.Message{Type: envelope.TypeAck, Upto: d.upto})
		d.upto = 0
	}
}

// Woken is the first call after the handshake, so it sends the welcome.
func (d *device) Woken() {
	d.say(&envelope.Message{Type: envelope.TypeWelcome, Epoch: d.conn.ID(), HeartbeatS: 30, Window: 64})
}

func (d *device) say(m *envelope.Message) {
	kind := eventloop.Text
	if d.codec.Binary() {
		kind = eventloop.Binary
	}
	if payload := d.codec.Append(nil, m); len(payload) > 0 {
		d.conn.WriteOnLoop(kind, payload)
	}
}

func (d *device) Closed(*eventloop.Gone) {}

// Quiet pings a silent device.
func (d *device) Quiet(idle, _ time.Duration) time.Duration {
	if idle < heartbeat {
		return heartbeat - idle
	}
	d.conn.PingOnLoop()
	return heartbeat
}

const heartbeat = 30 * time.Second
