package gateway_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"edgeloop/backbone"
	"edgeloop/devicemgr"
	"edgeloop/envelope"
	"edgeloop/gateway"
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
				n := startNodeWith(t, log, &memStore{}, gateway.Config{}, compression)
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
	n.until("a duplicate and a fault to be counted, behind its answer", func() bool {
		st := n.gateway.Stats()
		return st.Drops[gateway.DropDuplicate] == 1 && st.Drops[gateway.DropBadEnvelope] == 1
	})
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

// TestProtocols_Deep: what nests deeper than every reader of the log can parse is no
// JSON, whatever it came in; where only JSON may come it is refused.
func TestProtocols_Deep(t *testing.T) {
	t.Parallel()
	nested := func(n int) []byte { return []byte(strings.Repeat("[", n) + strings.Repeat("]", n)) }
	const within = envelope.MaxDepth - 1 // the message counts
	for proto, refused := range map[string]bool{
		envelope.ProtoRaw: false, envelope.ProtoFrameProto: false, envelope.ProtoJSON: true, envelope.ProtoFrameJSON: true,
	} {
		t.Run(proto, func(t *testing.T) {
			t.Parallel()
			kept := make(chan bool, 8)
			n := startNode(t, &memLog{before: func(rs []backbone.Record) error {
				for i := range rs {
					kept <- rs[i].Base64
				}
				return nil
			}}, gateway.Config{})
			var o websocket.DialOptions
			if proto != envelope.ProtoRaw {
				o.Subprotocols = []string{proto}
			}
			d, _, err := n.dialWith("device=d", &o)
			if err != nil {
				t.Fatal(err)
			}
			codec, _ := envelope.ForProtocol(proto)
			say := func(data []byte) {
				t.Helper()
				if proto == envelope.ProtoRaw {
					d.say(websocket.MessageText, data)
					return
				}
				kind := websocket.MessageText
				if codec.Binary() {
					kind = websocket.MessageBinary
				}
				d.say(kind, codec.Append(nil, &envelope.Message{Type: envelope.TypeTelemetry, Data: data}))
			}
			say(nested(within))
			if <-kept {
				t.Error("JSON that every reader can parse is base64")
			}
			for _, depth := range []int{within + 1, 10_000} {
				say(nested(depth))
				if refused {
					n.until("it is refused", func() bool { return n.gateway.Stats().Drops[gateway.DropBadEnvelope] > 0 })
				} else if !<-kept {
					t.Errorf("data that nests %d deep is kept as JSON", depth)
				}
			}
		})
	}
}

// TestProtocols_Unknown: who offers only what is not spoken here is told.
func TestProtocols_Unknown(t *testing.T) {
	t.Parallel()
	n := startNode(t, &memLog{}, gateway.Config{})
	if _, status, _ := n.dialWith("device=x", &websocket.DialOptions{Subprotocols: []string{"amqp"}}); status != 400 {
		t.Errorf("status %d", status)
	}
	if _, status, _ := n.dialWith("device=", nil); status != 400 {
		t.Errorf("no name: status %d", status)
	}
}

// TestProtocols_Fields: what a type may carry reaches the log, or whoever waits for
// the reply, from every protocol. Nothing is checked and then lost.
func TestProtocols_Fields(t *testing.T) {
	t.Parallel()
	for _, proto := range envelope.Protocols() {
		t.Run(proto, func(t *testing.T) {
			t.Parallel()
			codec, _ := envelope.ForProtocol(proto)
			kind := websocket.MessageText
			if codec.Binary() {
				kind = websocket.MessageBinary
			}
			kept := make(chan string, 8)
			log := &memLog{before: func(rs []backbone.Record) error {
				for i := range rs {
					r := &rs[i]
					kept <- fmt.Sprintf("%s %d %s %d %s %s %v", r.Type, r.Seq, r.Topic, r.TS, r.Level, r.Data, r.Base64)
				}
				return nil
			}}
			n := startNode(t, log, gateway.Config{})
			d, _, err := n.dialWith("device=d&tenant=acme", &websocket.DialOptions{Subprotocols: []string{proto}})
			if err != nil {
				t.Fatal(err)
			}
			d.hear() // welcome
			say := func(m envelope.Message) { t.Helper(); d.say(kind, codec.Append(nil, &m)) }

			for i, typ := range []envelope.Type{envelope.TypeTelemetry, envelope.TypeStatus, envelope.TypeAlert} {
				seq := uint64(i + 1)
				m := envelope.Message{Type: typ, Seq: seq, Topic: []byte("top"), TS: 1234, Data: []byte(`[7]`)}
				if typ == envelope.TypeAlert {
					m.Level = []byte("high")
				}
				say(m)
				if got, want := <-kept, fmt.Sprintf("%s %d top 1234 %s [7] false", typ, seq, m.Level); got != want {
					t.Errorf("kept is %s, want %s", got, want)
				}
			}

			want := gateway.Reply{Data: []byte(`{"a":1}`), Code: "busy", Text: "measuring"}
			replied := make(chan gateway.Reply, 1)
			go func() {
				_, _, reply, err := n.gateway.Command(context.Background(), devicemgr.Key{Tenant: "acme", Device: "d"},
					gateway.Command{Name: "set", Wait: patience})
				if err != nil {
					t.Error(err)
				}
				replied <- reply
			}()
			var c heard
			for c.Type != "command" { // acks come before
				_, payload := d.hear()
				if c, err = understand(proto, payload); err != nil {
					t.Fatal(err)
				}
			}
			say(envelope.Message{Type: envelope.TypeReply, ID: []byte(c.ID), Data: want.Data, Code: []byte(want.Code), Text: []byte(want.Text)})
			if got := <-replied; !reflect.DeepEqual(got, want) {
				t.Errorf("reply is %+v, want %+v", got, want)
			}

			say(envelope.Message{Type: envelope.TypeJoin, Group: []byte("pumps")})
			n.until("the device is in its group", func() bool {
				members := 0
				n.gateway.Devices().Members("acme", "pumps", func(*gateway.Session) bool { members++; return true })
				return members == 1
			})
		})
	}
}

// TestReply_JSON: a reply's data as who waits gets it.
func TestReply_JSON(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", envelope.MaxDepth) + strings.Repeat("]", envelope.MaxDepth)
	for in, want := range map[string][2]string{
		"":         {"null", ""},
		`{"a":1}`:  {`{"a":1}`, ""},
		"\x00\x01": {`"AAE="`, "base64"},
		deep:       {`"` + base64.StdEncoding.EncodeToString([]byte(deep)) + `"`, "base64"},
	} {
		data, encoding := gateway.Reply{Data: []byte(in), Code: "busy"}.JSON()
		if string(data) != want[0] || encoding != want[1] {
			t.Errorf("%q is %s %q, want %s %q", in, data, encoding, want[0], want[1])
		}
	}
}
