package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"edgeloop/envelope"
	"edgeloop/eventloop"
	"edgeloop/gateway"
	"edgeloop/internal/testkit"
)

func TestMain(m *testing.M) {
	testkit.Leaks(m,
		// The event loop's turnstile hands connections over on gnet's own pool, whose
		// idle workers stay for some seconds.
		goleak.IgnoreTopFunction("github.com/panjf2000/ants/v2.(*goWorker).run.func1"),
		goleak.IgnoreTopFunction("github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers"),
		goleak.IgnoreTopFunction("github.com/panjf2000/ants/v2.(*poolCommon).ticktock"))
}

// patience bounds every wait of these tests.
const patience = time.Minute

// node is a gateway on a real event loop.
type node struct {
	*testing.T

	gateway *gateway.Gateway
	server  *eventloop.Server
	log     *memLog
	store   *memStore
}

// startNode runs a node until the test ends. Devices name themselves.
func startNode(t *testing.T, log *memLog, cfg gateway.Config) *node {
	t.Helper()
	n := startNodeOn(t, log, cfg)
	n.log = log
	return n
}

// startNodeOver is startNode with a store of the test's own.
func startNodeOver(t *testing.T, log *memLog, store *memStore, cfg gateway.Config) *node {
	t.Helper()
	n := startNodeWith(t, log, store, cfg, false)
	n.log = log
	return n
}

// startNodeOn is startNode over any log.
func startNodeOn(t *testing.T, log gateway.Log, cfg gateway.Config) *node {
	t.Helper()
	return startNodeWith(t, log, &memStore{}, cfg, false)
}

// startNodeWith is startNode with everything.
func startNodeWith(t *testing.T, log gateway.Log, store *memStore, cfg gateway.Config, compression bool) *node {
	t.Helper()
	return startNodeBehind(t, log, store, cfg, compression, eventloop.Listener{Address: "127.0.0.1:0"}, eventloop.Listener{Address: "127.0.0.2:0", MQTT: true})
}

func startNodeBehind(t *testing.T, log gateway.Log, store *memStore, cfg gateway.Config, compression bool, doors ...eventloop.Listener) *node {
	t.Helper()
	n := &node{T: t, store: store}
	cfg.Log, cfg.Store = log, n.store
	if cfg.Heartbeat == 0 {
		cfg.Heartbeat, cfg.IdleTimeout = 10*time.Second, 20*time.Second
	}
	if cfg.FreeTakeovers == 0 {
		cfg.FreeTakeovers = 1 << 20
	}
	var err error
	if n.gateway, err = gateway.New(cfg); err != nil {
		t.Fatal(err)
	}
	n.server, err = eventloop.New(eventloop.Config{
		Listeners: doors, Loops: 2, Tick: 20 * time.Millisecond,
		Protocols: envelope.Protocols(), Compression: compression, Memory: n.gateway.Memory(),
		MQTTPaths: []string{gateway.MQTTPath, gateway.DevicePath},
	}, n.gateway)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- n.server.Run() }()
	select {
	case <-n.server.Booted():
	case err := <-ended:
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := errors.Join(n.server.Stop(ctx), <-ended, n.gateway.Close(ctx)); err != nil {
			t.Error(err)
		}
		if err := n.gateway.Devices().Check(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// until polls a condition.
func (n *node) until(what string, ok func() bool) {
	n.Helper()
	testkit.Eventually(n, patience, what, ok)
}

// device is one connection of one device.
type device struct {
	*node

	ws      *websocket.Conn
	welcome message
}

// message is any message of edgeloop.v1.json.
type message struct {
	Type    string          `json:"type"`
	Seq     uint64          `json:"seq,omitempty"`
	Topic   string          `json:"topic,omitempty"`
	Data    json.RawMessage `json:"data,omitempty"`
	Upto    uint64          `json:"upto"`
	Epoch   uint64          `json:"epoch,omitempty"`
	Window  int             `json:"window,omitempty"`
	ID      string          `json:"id,omitempty"`
	Name    string          `json:"name,omitempty"`
	OK      bool            `json:"ok,omitempty"`
	Code    string          `json:"code,omitempty"`
	Message string          `json:"message,omitempty"`
	Group   string          `json:"group,omitempty"`
	Token   string          `json:"token,omitempty"`
}

func (n *node) dial(name string) (*device, error) {
	d, _, err := n.dialWith("device="+name, &websocket.DialOptions{Subprotocols: []string{envelope.ProtoJSON}})
	if err != nil {
		return nil, err
	}
	d.welcome, err = d.read()
	return d, err
}

// dialWith opens a connection; status is what the handshake was answered with,
// 0 if it was not.
func (n *node) dialWith(query string, o *websocket.DialOptions) (d *device, status int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ws, res, err := websocket.Dial(ctx, fmt.Sprintf("ws://%s/v1/device?%s", n.server.Addr(), query), o)
	if res != nil {
		status = res.StatusCode
	}
	return &device{node: n, ws: ws}, status, err
}

func (n *node) connect(name string) *device {
	n.Helper()
	d, err := n.dial(name)
	if err != nil {
		n.Fatal(err)
	}
	if d.welcome.Type != "welcome" {
		n.Fatalf("first message is %+v, not a welcome", d.welcome)
	}
	return d
}

func (d *device) read() (m message, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, b, err := d.ws.Read(ctx)
	if err != nil {
		return m, err
	}
	return m, json.Unmarshal(b, &m)
}

// want reads on to the next message of a type.
func (d *device) want(kind string) message {
	d.Helper()
	for {
		m, err := d.read()
		if err != nil {
			d.Fatalf("no %s: %v", kind, err)
		}
		if m.Type == kind {
			return m
		}
	}
}

// wantAck reads on to the ack of a sequence.
func (d *device) wantAck(seq uint64) {
	d.Helper()
	for d.want("ack").Upto < seq {
	}
}

func (d *device) wantClosed(code websocket.StatusCode) {
	d.Helper()
	for {
		if _, err := d.read(); err != nil {
			if got := websocket.CloseStatus(err); got != code {
				d.Fatalf("closed with %d (%v), not %d", got, err, code)
			}
			return
		}
	}
}

func (d *device) send(m message) {
	d.Helper()
	if err := d.trySend(m); err != nil {
		d.Fatal(err)
	}
}

func (d *device) trySend(m message) error {
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return d.ws.Write(ctx, websocket.MessageText, b)
}

func (d *device) telemetry(seq uint64) {
	d.Helper()
	d.send(message{Type: "telemetry", Seq: seq, Topic: "t", Data: json.RawMessage(fmt.Sprint(seq))})
}
