package gateway_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/coder/websocket"

	"edgeloop/devicemgr"
	"edgeloop/envelope"
	"edgeloop/gateway"
	"edgeloop/wsproto"
)

// say writes one message of any protocol.
func (d *device) say(kind websocket.MessageType, payload []byte) {
	d.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := d.ws.Write(ctx, kind, payload); err != nil {
		d.Fatal(err)
	}
}

// hear reads one message of any protocol.
func (d *device) hear() (websocket.MessageType, []byte) {
	d.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	kind, b, err := d.ws.Read(ctx)
	if err != nil {
		d.Fatal(err)
	}
	return kind, b
}

// TestProtocols: the same conversation in each protocol that has messages of its
// own: welcome, telemetry and ack, a duplicate, command and reply, and a fault.
func TestProtocols(t *testing.T) {
	t.Parallel()
	for _, proto := range envelope.Protocols() {
		for _, compression := range []bool{false, true} {
			name := proto
			if compression {
				name += " compressed"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				log := &memLog{}
				n := startNodeWith(t, log, &memStore{}, gateway.Config{}, wsproto.HandshakeConfig{Compression: compression})
				codec, ok := envelope.ForProtocol(proto)
				if !ok {
					t.Fatal("no codec")
				}
				converse(n, log, codec, compression)
			})
		}
	}
}

func converse(n *node, log *memLog, codec envelope.Codec, compression bool) {
	o := &websocket.DialOptions{Subprotocols: []string{codec.Name()}, CompressionThreshold: 1}
	if compression {
		o.CompressionMode = websocket.CompressionNoContextTakeover
	}
	d, _, err := n.dialWith("device=d&tenant=acme", o)
	if err != nil {
		n.Fatal(err)
	}
	kind := websocket.MessageText
	if codec.Binary() {
		kind = websocket.MessageBinary
	}
	hear := func() heard {
		n.Helper()
		got, payload := d.hear()
		m, err := understand(codec.Name(), payload)
		if err != nil || got != kind {
			n.Fatalf("%v %q: %v", got, payload, err)
		}
		return m
	}
	say := func(m envelope.Message) { n.Helper(); d.say(kind, codec.Append(nil, &m)) }

	if m := hear(); m.Type != "welcome" || m.HeartbeatSec != 10 || m.Window != 64 || m.Epoch == 0 || m.Upto != 0 {
		n.Errorf("welcome is %+v", m)
	}
	for range 2 { // the second is a duplicate
		say(envelope.Message{Type: envelope.TypeTelemetry, Seq: 1, Topic: []byte("t"), Data: []byte(`{"c":21.5}`)})
		if m := hear(); m.Type != "ack" || m.Upto != 1 {
			n.Errorf("ack is %+v", m)
		}
	}
	if got := log.of("d"); len(got) != 1 || got[0].data != `{"c":21.5}` {
		n.Errorf("the log holds %+v", got)
	}
	replied := make(chan gateway.Reply, 1)
	go func() {
		_, _, reply, err := n.gateway.Command(context.Background(), devicemgr.Key{Tenant: "acme", Device: "d"},
			gateway.Command{Name: "set", Data: json.RawMessage(`{"s":5}`), Wait: patience})
		if err != nil {
			n.Error(err)
		}
		replied <- reply
	}()
	c := hear()
	if c.Type != "command" || c.Name != "set" || string(c.Data) != `{"s":5}` {
		n.Errorf("command is %+v", c)
	}
	say(envelope.Message{Type: envelope.TypeReply, ID: []byte(c.ID), OK: true, Data: []byte(`[1]`)})
	if r := <-replied; !r.OK || string(r.Data) != `[1]` {
		n.Errorf("reply is %+v", r)
	}
	d.say(kind, []byte("nonsense"))
	if m := hear(); m.Type != "error" || m.Code == "" {
		n.Errorf("error is %+v", m)
	}
	if st := n.gateway.Stats(); st.Drops[gateway.DropDuplicate] != 1 || st.Drops[gateway.DropBadEnvelope] != 1 {
		n.Errorf("drops are %v", st.Drops)
	}
}

// TestProtocols_Raw: who offers no subprotocol hears no welcome and no ack, each
// of its messages is telemetry, and each command is one message.
func TestProtocols_Raw(t *testing.T) {
	t.Parallel()
	n := startNode(t, &memLog{}, gateway.Config{Window: 4})
	d, _, err := n.dialWith("device=plain", nil)
	if err != nil {
		t.Fatal(err)
	}
	const many = 20 // several windows: what asks for no ack settles too
	for range many {
		d.say(websocket.MessageText, []byte("21.5 C"))
	}
	d.say(websocket.MessageBinary, []byte{0xff, 0x00})
	n.until("all is in the log", func() bool { return len(n.log.of("plain")) == many+1 })
	if got := n.log.of("plain"); got[0].data != "21.5 C" || got[0].seq != 0 || got[many].data != "\xff\x00" {
		t.Errorf("the log holds %+v", got)
	}
	key := devicemgr.Key{Tenant: "default", Device: "plain"}
	for _, c := range []struct{ name, data, want string }{{"reboot", "", "reboot"}, {"set", `{"s":5}`, `{"s":5}`}} {
		if _, outcome, _, err := n.gateway.Command(context.Background(), key,
			gateway.Command{Name: c.name, Data: json.RawMessage(c.data)}); err != nil || outcome != gateway.OutcomeSent {
			t.Errorf("outcome %v, error %v", outcome, err)
		}
		if kind, got := d.hear(); kind != websocket.MessageText || string(got) != c.want {
			t.Errorf("%v %q came, not %q", kind, got, c.want)
		}
	}
}

// TestProtocols_Unknown: who offers only what is not spoken here is told.
func TestProtocols_Unknown(t *testing.T) {
	t.Parallel()
	n := startNode(t, &memLog{}, gateway.Config{})
	if _, status, _ := n.dialWith("device=x", &websocket.DialOptions{Subprotocols: []string{"mqtt"}}); status != 400 {
		t.Errorf("status %d", status)
	}
	if _, status, _ := n.dialWith("device=", nil); status != 400 {
		t.Errorf("no name: status %d", status)
	}
}
