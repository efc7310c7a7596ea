package gateway_test

import (
	"crypto/tls"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"edgeloop/backbone"
	"edgeloop/devicemgr"
	"edgeloop/eventloop"
	"edgeloop/gateway"
	"edgeloop/internal/testkit"
	"edgeloop/tlsrec"
)

// hoard is a socket that sends what was written to it when it is told to, at once.
type hoard struct {
	*net.TCPConn

	holds bool
	held  []byte
}

func (h *hoard) Write(b []byte) (int, error) {
	if h.held = append(h.held, b...); h.holds {
		return len(b), nil
	}
	return len(b), h.flush()
}

func (h *hoard) flush() error {
	_, err := h.TCPConn.Write(h.held)
	h.held = h.held[:0]
	return err
}

// TestMQTT_CutInRecords: packets that were received behind a pause, and lie across records of
// TLS, are taken whole when the connection ends before they are read. Without the one that
// lies across, the one behind it would be stored over a hole.
func TestMQTT_CutInRecords(t *testing.T) {
	ca := testkit.NewAuthority(t)
	cert, key := ca.Issue("node", nil)
	server, err := tlsrec.New(tlsrec.Config{CertFile: cert, KeyFile: key})
	if err != nil {
		t.Fatal(err)
	}
	for name, end := range map[string]func(n *node, h *hoard) error{
		"kicked": func(n *node, _ *hoard) error {
			return n.gateway.Kick(devicemgr.Key{Tenant: "default", Device: "d"}, 1008, "away")
		},
		"reset": func(_ *node, h *hoard) error {
			_ = h.SetLinger(0) // or the end is read behind all else
			return h.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			stuck := make(chan struct{})
			log := &memLog{before: func([]backbone.Record) error { <-stuck; return nil }}
			n := startNodeBehind(t, log, &memStore{}, gateway.Config{Window: 4}, false,
				eventloop.Listener{Address: "127.0.0.1:0", MQTT: true, Greet: eventloop.TLS(server, "", func(do func()) bool { go do(); return true })})
			raw, err := net.Dial("tcp", n.server.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = raw.Close() })
			_ = raw.SetDeadline(time.Now().Add(patience))
			h := &hoard{TCPConn: raw.(*net.TCPConn)}
			c := &client{n, tls.Client(h, &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost"}), true}
			c.send(connectOf(5, 2, 60, "", "d"))
			c.read()
			h.holds = true
			for i := range 9 {
				c.send(sequenced(byte(i+1), strconv.Itoa(i+1), strconv.Itoa(i+1)))
			}
			across := sequenced(10, "10", `"`+strings.Repeat("x", 1000)+`"`)
			c.send(across[:300])
			c.send(across[300:])
			c.send(sequenced(11, "11", "11"))
			c.send(sequenced(12, "12", "12")[:5]) // the rest never comes
			if err := h.flush(); err != nil {
				t.Fatal(err)
			}
			n.until("reading is paused", func() bool { return n.server.Stats().Paused == 1 })
			if err := end(n, h); err != nil {
				t.Fatal(err)
			}
			n.until("it is gone", func() bool { return n.server.Stats().Open == 0 })
			close(stuck)
			n.until("nothing is held any more", func() bool { return n.gateway.Stats().InFlightBytes == 0 })
			r := log.of("d")
			for i := range r {
				if r[i].seq != uint64(i)+1 {
					t.Errorf("behind %d lies %d", i, r[i].seq)
				}
			}
			if len(r) != 11 {
				t.Errorf("%d are stored", len(r))
			}
		})
	}
}
