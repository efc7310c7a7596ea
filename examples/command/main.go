// Command command sends each line of its standard input, "DEVICE WORDS", to one device: it shows the
// way down. Devices connect to /NAME and speak raw.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	"edgeloop/devicemgr"
	"edgeloop/eventloop"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:9003", "host:port")
	flag.Parse()
	devices, err := devicemgr.New[link](devicemgr.Config{OnPresence: func(p devicemgr.Presence) {
		fmt.Printf("%s %s\n", p.Key.Device, p.Cause)
	}})
	if err != nil {
		log.Fatal(err)
	}
	server, err := eventloop.New(eventloop.Config{Listeners: []eventloop.Listener{{Address: *listen}}}, &doorman{devices})
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			name, words, _ := strings.Cut(lines.Text(), " ")
			if err := send(devices, name, words); err != nil {
				fmt.Println(err)
			}
		}
		_ = server.Stop(context.Background()) // Run says what failed
	}()
	if err := server.Run(); err != nil {
		log.Fatal(err)
	}
}

// send may be called from any goroutine: it looks the device up and posts the
// message to the loop of its connection.
func send(devices *devicemgr.Manager[link], name, words string) error {
	session := devices.Lookup(devicemgr.Key{Tenant: "default", Device: name})
	if session == nil {
		return fmt.Errorf("%s was never here", name)
	}
	l := session.Link()
	if l == nil {
		return fmt.Errorf("%s is away", name)
	}
	return l.Send(eventloop.Text, []byte(words))
}

// doorman takes the device's name from the path.
type doorman struct{ devices *devicemgr.Manager[link] }

func (d *doorman) Accept(c *eventloop.Conn, h *eventloop.Hello) (eventloop.Receiver, *eventloop.Refusal) {
	l := &link{Conn: c, devices: d.devices}
	var old *link
	l.session, l.epoch, old = d.devices.Connect(devicemgr.Key{Tenant: "default", Device: strings.Trim(string(h.Path), "/")}, l)
	if old != nil {
		old.Close(uint16(eventloop.CloseReplaced), "a newer connection took over")
	}
	return l, nil
}

// link is one connection, as seen by its session and by its loop.
type link struct {
	*eventloop.Conn
	devices *devicemgr.Manager[link]
	session *devicemgr.Session[link]
	epoch   uint64
}

// Close ends the connection.
func (l *link) Close(code uint16, reason string) { l.Conn.Close(eventloop.CloseCode(code), reason) }

func (l *link) Receive(eventloop.Kind, []byte) {}
func (l *link) Flush()                         {}
func (l *link) Woken()                         {}
func (l *link) Closed(*eventloop.Gone)         { l.devices.Unregister(l.session, l.epoch) }

// Quiet applies the policy of silence.
func (l *link) Quiet(idle, asked time.Duration) time.Duration {
	verdict, next := devicemgr.Silence{Heartbeat: 30 * time.Second, Limit: time.Minute}.Verdict(idle, asked)
	switch verdict {
	case devicemgr.Ping:
		l.PingOnLoop()
	case devicemgr.Evict:
		l.CloseOnLoop(eventloop.CloseSilent, "no sign of life")
	case devicemgr.Wait:
	}
	return next
}
