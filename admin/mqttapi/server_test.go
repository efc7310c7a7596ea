package mqttapi_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"edgeloop/admin/access"
	"edgeloop/admin/mqttapi"
	"edgeloop/auth"
	"edgeloop/backbone"
	"edgeloop/backbone/backbonetest"
	"edgeloop/eventloop"
	"edgeloop/internal/testkit"
	"edgeloop/retained"
)

func TestMain(m *testing.M) {
	testkit.Leaks(m,
		goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server.(*msgBlock).flushLoop"),
		goleak.IgnoreTopFunction("github.com/panjf2000/ants/v2.(*goWorker).run.func1"),
		goleak.IgnoreTopFunction("github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers"),
		goleak.IgnoreTopFunction("github.com/panjf2000/ants/v2.(*poolCommon).ticktock"))
}

// patience bounds every wait of these tests.
const patience = time.Minute

// tokenLong is longer than one is looked for.
var tokenLong = strings.Repeat("long", 257)

// The tokens of these tests.
const (
	tokenAll  = "token-for-all-tenants"
	tokenAcme = "token-bound-to-acme"
	tokenPoor = "token-that-may-not-read"
)

// devices refuses everybody, as the gateway does who has no token of a device.
type devices struct{}

func (devices) Accept(*eventloop.Conn, *eventloop.Hello) (eventloop.Receiver, *eventloop.Refusal) {
	return nil, &eventloop.Refusal{Reason: eventloop.ReasonUnauthorized, Text: "no device"}
}

type logOf struct{ *backbone.Backbone }

func (l logOf) Open(ctx context.Context, name string, start backbone.Start) (mqttapi.Reader, error) {
	k, err := l.OpenReader(ctx, name, start)
	if err != nil {
		return nil, err
	}
	return k, nil
}

func (l logOf) Place(ctx context.Context, name string) (backbone.Place, bool, error) {
	return l.ReaderPlace(ctx, name)
}

func (l logOf) Places(ctx context.Context, fn func(name string, at backbone.Place)) error {
	return l.ReaderPlaces(ctx, fn)
}

func (l logOf) Forget(ctx context.Context, name string) error { return l.ForgetReader(ctx, name) }

// node is a log, the server before it, and the loops that lead there.
type node struct {
	testing.TB

	log    *backbone.Backbone
	apps   *mqttapi.Server
	roster *access.Roster
	addr   string
	seq    uint64
	table  *retained.Table // of startRetaining
}

func start(t *testing.T, dir string, cfg mqttapi.Config) *node {
	t.Helper()
	return startWith(t, dir, cfg, func(l mqttapi.Log) mqttapi.Log { return l })
}

// startWith is start with a log of which wrap makes another.
func startWith(t *testing.T, dir string, cfg mqttapi.Config, wrap func(mqttapi.Log) mqttapi.Log) *node {
	t.Helper()
	return startAs(t, dir, func(n *node) mqttapi.Config {
		cfg.Log = wrap(logOf{n.log})
		return cfg
	})
}

// startAs is start with a configuration that is made when the log is there.
func startAs(t *testing.T, dir string, as func(*node) mqttapi.Config) *node {
	t.Helper()
	n := &node{TB: t, roster: new(access.Roster)}
	if err := n.roster.Set(
		access.Principal{Name: "all", Hash: access.HashOf(tokenAll), Scopes: access.AllScopes},
		access.Principal{Name: "acme", Hash: access.HashOf(tokenAcme), Scopes: 1 << access.Read, Tenant: "acme"},
		access.Principal{Name: "long", Hash: access.HashOf(tokenLong), Scopes: access.AllScopes},
		access.Principal{Name: "poor", Hash: access.HashOf(tokenPoor), Scopes: 1 << access.Command},
	); err != nil {
		t.Fatal(err)
	}
	n.log = backbonetest.Open(t, backbone.Config{DataDir: dir})
	cfg := as(n)
	cfg.Devices, cfg.CheckName = devices{}, auth.CheckName
	n.apps = mqttapi.New(cfg)
	server, err := eventloop.New(eventloop.Config{Listeners: []eventloop.Listener{{Address: "127.0.0.1:0", MQTT: true}}, OutBuffer: 96 << 10, SocketBuffer: 32 << 10, SendTimeout: 10 * time.Minute}, n.apps)
	if err != nil {
		t.Fatal(err)
	}
	ran := make(chan error, 1)
	go func() { ran <- server.Run() }()
	testkit.Receive(t, patience, "the loops", func() <-chan struct{} {
		up := make(chan struct{}, 1)
		go func() { <-server.Booted(); up <- struct{}{} }()
		return up
	}())
	n.apps.Start(n.roster)
	n.addr = server.Addr().String()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := n.apps.Stop(ctx); err != nil {
			t.Error(err)
		}
		if err := server.Stop(ctx); err != nil {
			t.Error(err)
		}
		if err := <-ran; err != nil {
			t.Error(err)
		}
	})
	return n
}

// add appends a message of a device by MQTT, with QoS 1, and waits until it is durable.
func (n *node) add(tenant, device, topic, payload string) {
	n.Helper()
	n.seq++
	backbonetest.Append(n, n.log, []backbone.Record{{
		Tenant: tenant, Device: device, Epoch: 1, Seq: n.seq, Type: "telemetry", Topic: []byte(topic), Received: 5,
		Data: []byte(payload), Base64: true, MQTT: 2,
	}})
}

// client is an MQTT client of bytes.
type client struct {
	testing.TB

	conn net.Conn
	v5   bool
	id   uint16
}

func packet(first byte, body ...[]byte) []byte {
	all := bytes.Join(body, nil)
	return append(binary.AppendUvarint([]byte{first}, uint64(len(all))), all...)
}

func text(s string) []byte { return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...) }

// hello is how a client comes.
type hello struct {
	id, user, token string
	v311            bool
	clean           bool
	expiry          uint32
	receive         uint16 // Receive Maximum; 0: none
	largest         uint32 // Maximum Packet Size; 0: none
}

// knock sends a CONNECT, and gives what the node answers.
func (n *node) knock(h hello) (*client, []byte) {
	n.Helper()
	conn, err := net.Dial("tcp", n.addr)
	if err != nil {
		n.Fatal(err)
	}
	n.Cleanup(func() { _ = conn.Close() })
	flags := byte(0xc0)
	if h.clean {
		flags |= 2
	}
	version := byte(5)
	if h.v311 {
		version = 4
	}
	body := append(text("MQTT"), version, flags, 0, 60)
	if !h.v311 {
		props := binary.BigEndian.AppendUint32([]byte{17}, h.expiry)
		if h.receive > 0 {
			props = binary.BigEndian.AppendUint16(append(props, 33), h.receive)
		}
		if h.largest > 0 {
			props = binary.BigEndian.AppendUint32(append(props, 39), h.largest)
		}
		body = append(append(body, byte(len(props))), props...)
	}
	c := &client{TB: n, conn: conn, v5: !h.v311}
	c.send(packet(0x10, body, text(h.id), text(h.user), text(h.token)))
	return c, c.next()
}

// codeOf is the reason code of a CONNACK; 0xff: it is none.
func codeOf(ack []byte) byte {
	_, n := binary.Uvarint(ack[min(1, len(ack)):])
	if len(ack) < n+3 || ack[0] != 0x20 {
		return 0xff
	}
	return ack[n+2]
}

// enter is a client that is let in; present: it has a session.
func (n *node) enter(h hello) (c *client, present bool) {
	n.Helper()
	c, ack := n.knock(h)
	if codeOf(ack) != 0 {
		n.Fatalf("CONNECT was answered % x", ack)
	}
	return c, ack[2] == 1
}

func (c *client) send(p []byte) {
	c.Helper()
	if _, err := c.conn.Write(p); err != nil {
		c.Fatal(err)
	}
}

// next is the next packet; nil at the end of the stream.
func (c *client) next() []byte {
	c.Helper()
	_ = c.conn.SetReadDeadline(time.Now().Add(patience))
	head := make([]byte, 2)
	if _, err := io.ReadFull(c.conn, head); err != nil && strings.Contains(err.Error(), "timeout") {
		c.Fatal(err)
	} else if err != nil {
		return nil
	}
	for head[len(head)-1] >= 0x80 {
		head = append(head, 0)
		if _, err := io.ReadFull(c.conn, head[len(head)-1:]); err != nil {
			c.Fatal(err)
		}
	}
	length, _ := binary.Uvarint(head[1:])
	body := make([]byte, length)
	if _, err := io.ReadFull(c.conn, body); err != nil {
		c.Fatal(err)
	}
	return append(head, body...)
}

// subscribe asks for filters, and gives the reason codes of SUBACK.
func (c *client) subscribe(qos byte, filters ...string) []byte {
	c.Helper()
	c.id++
	body := binary.BigEndian.AppendUint16(nil, c.id)
	if c.v5 {
		body = append(body, 0)
	}
	for _, f := range filters {
		body = append(append(body, text(f)...), qos)
	}
	c.send(packet(0x82, body))
	p := c.next()
	for ; p != nil && p[0] != 0x90; p = c.next() {
	}
	if p == nil {
		c.Fatal("no SUBACK")
	}
	return p[len(p)-len(filters):]
}

// message is a PUBLISH that came.
type message struct {
	topic, payload string
	qos            byte
	dup, retain    bool
	id             uint16
	props          []byte
}

// message reads a PUBLISH.
func (c *client) message() (m message) {
	c.Helper()
	p := c.next()
	if p == nil || p[0]>>4 != 3 {
		c.Fatalf("got % x, want a PUBLISH", p)
	}
	return c.parse(p)
}

// parse reads a packet that is a PUBLISH.
func (c *client) parse(p []byte) (m message) {
	m.qos, m.dup = p[0]>>1&3, p[0]&8 != 0
	m.retain = p[0]&1 != 0
	_, n := binary.Uvarint(p[1:])
	rest := p[1+n:]
	size := int(binary.BigEndian.Uint16(rest))
	m.topic, rest = string(rest[2:2+size]), rest[2+size:]
	if m.qos > 0 {
		m.id, rest = binary.BigEndian.Uint16(rest), rest[2:]
	}
	if c.v5 {
		length, n := binary.Uvarint(rest)
		m.props, rest = rest[n:n+int(length)], rest[n+int(length):]
	}
	m.payload = string(rest)
	return m
}

// want reads a PUBLISH, and compares topic and payload.
func (c *client) want(topic, payload string) message {
	c.Helper()
	m := c.message()
	if m.topic != topic || m.payload != payload {
		c.Fatalf("got %s %q, want %s %q", m.topic, m.payload, topic, payload)
	}
	return m
}

func (c *client) ack(m message) {
	c.Helper()
	c.send(binary.BigEndian.AppendUint16([]byte{0x40, 2}, m.id))
}

// wantEnd waits for a DISCONNECT with a reason, where the version has it, and the end.
func (c *client) wantEnd(reason byte) {
	c.Helper()
	p := c.next()
	for ; p != nil && p[0]>>4 == 3; p = c.next() {
	}
	if c.v5 && (p == nil || p[0] != 0xe0 || p[2] != reason) {
		c.Fatalf("got % x, want a DISCONNECT with %#x", p, reason)
	}
	if c.v5 {
		p = c.next()
	}
	if p != nil {
		c.Fatalf("% x behind the end", p)
	}
}

// leave ends the connection as a client does that goes.
func (c *client) leave() {
	c.Helper()
	c.send([]byte{0xe0, 0})
	for c.next() != nil {
	}
}

// gone waits until the node has done what there is to do for clients that are gone.
func (n *node) gone() {
	n.Helper()
	testkit.Eventually(n, patience, "the applications to be gone", func() bool { return n.apps.Stats().Connections == 0 })
}
