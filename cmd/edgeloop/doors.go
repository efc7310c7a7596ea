package main

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"edgeloop/eventloop"
	"edgeloop/gateway"
)

// A door is an address where devices connect, and what is spoken there.
type door struct {
	flag, addr string
	scheme     string // of its URL
	tls, mqtt  bool
}

// doors are those of a node, in the order of its listeners.
func (s *serveCmd) doors() (all []door) {
	for _, addr := range s.plainListen() {
		all = append(all, door{"--listen", addr, "ws", false, false})
	}
	for _, addr := range s.TLSListen {
		all = append(all, door{"--tls-listen", addr, "wss", true, false})
	}
	for _, addr := range s.MQTTListen {
		all = append(all, door{"--mqtt-listen", addr, "mqtt", false, true})
	}
	for _, addr := range s.MQTTTLSListen {
		all = append(all, door{"--mqtt-tls-listen", addr, "mqtts", true, true})
	}
	return all
}

// wantsTLS says whether there is a door with TLS.
func (s *serveCmd) wantsTLS() bool { return len(s.TLSListen)+len(s.MQTTTLSListen) > 0 }

// planDoors checks the addresses.
func (s *serveCmd) planDoors() error {
	var all []string
	doors := s.doors()
	if n := len(doors); n == 0 || n > eventloop.MaxListeners {
		return fmt.Errorf("--listen=%s: give host:port 1 to %d times, not %d, those of --tls-listen, --mqtt-listen and --mqtt-tls-listen included", strings.Join(s.Listen, ","), eventloop.MaxListeners, n)
	}
	for _, d := range doors {
		if err := checkListen(d.flag, d.addr); err != nil {
			return err
		}
		if _, port, _ := net.SplitHostPort(d.addr); port != "0" && slices.Contains(all, d.addr) {
			return fmt.Errorf("%s=%s is there twice: give each an address of its own", d.flag, d.addr)
		}
		all = append(all, d.addr)
	}
	return nil
}

// listeners is the table of listeners.
func (n *node) listeners() (table []eventloop.Listener) {
	proxies := networks("proxy-protocol", n.cfg.ProxyProtocol).contains()
	for i, d := range n.cfg.doors() {
		row := eventloop.Listener{Name: d.name(i), Address: d.addr, MQTT: d.mqtt, Proxies: proxies, Inherited: n.handedOver.descriptor(d.addr)}
		if d.tls {
			row.Greet = eventloop.TLS(n.tls, d.protocol(), n.tlsQueue.Post)
		}
		table = append(table, row)
	}
	return table
}

// What is spoken behind TLS, as ALPN names it. Each door speaks one of them: bytes that are
// meant for another do not get past the handshake. [RFC7301 3.2]
const (
	alpnHTTP = "http/1.1"
	alpnMQTT = "mqtt"
)

func (d *door) protocol() string {
	if d.mqtt {
		return alpnMQTT
	}
	return alpnHTTP
}

// url is where devices connect, addr being where it listens.
func (d *door) url(addr string) string {
	if d.mqtt {
		return d.scheme + "://" + addr
	}
	return d.scheme + "://" + addr + gateway.DevicePath
}
