package gateway_test

import (
	"bytes"
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"edgeloop/backbone"
	"edgeloop/envelope"
	"edgeloop/eventloop"
	"edgeloop/gateway"
)

// TestLink_HeartbeatWhileTheLogStands: a heartbeat is answered although the only lane
// waits for the log, also when the messages of the device wait there; it takes no
// place in the window.
func TestLink_HeartbeatWhileTheLogStands(t *testing.T) {
	t.Parallel()
	held := newHoldUp()
	log := &memLog{before: func([]backbone.Record) error { held.wait(""); return nil }}
	n := startNode(t, log, gateway.Config{Window: 4, Lanes: 1, Workers: 1})
	d := n.connect("beating")
	d.telemetry(1)
	<-held.reached
	for range 10 {
		d.send(message{Type: "heartbeat"})
		d.want("heartbeat")
	}
	close(held.end)
	d.wantAck(1)
}

// TestHeartbeats_FloodIsHeldBack: what one read brings of heartbeats takes places in
// the window but for a few, so the device is not read from while its lane stands;
// afterwards each has its answer.
func TestHeartbeats_FloodIsHeldBack(t *testing.T) {
	t.Parallel()
	held := newHoldUp()
	log := &memLog{before: func([]backbone.Record) error { held.wait(""); return nil }}
	n := startNode(t, log, gateway.Config{Window: 4, Lanes: 1, Workers: 1})
	conn, _, _, err := ws.Dialer{Protocols: []string{envelope.ProtoJSON}}.Dial(context.Background(), n.url("flooding"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(frameOf(`{"type":"telemetry","data":1}`)); err != nil {
		t.Fatal(err)
	}
	<-held.reached
	const beats = 1000 // one write, so reads bring many
	var answered atomic.Int64
	go func() {
		for answered.Load() < beats {
			payload, err := wsutil.ReadServerText(conn)
			if err != nil {
				return
			}
			if bytes.Contains(payload, []byte(`"heartbeat"`)) {
				answered.Add(1)
			}
		}
	}()
	if _, err := conn.Write(bytes.Repeat(frameOf(`{"type":"heartbeat"}`), beats)); err != nil {
		t.Fatal(err)
	}
	n.until("the device is held back", func() bool { return n.server.Stats().Paused == 1 || answered.Load() == beats })
	if got := answered.Load(); got == beats {
		t.Error("all are answered while the lane stands")
	}
	close(held.end)
	n.until("all are answered", func() bool { return answered.Load() == beats })
}

// TestHeartbeats_FloodUnread: a device that sends heartbeats and reads no answers is
// cut off as a slow consumer with little in memory, and its neighbour on the same
// lane and loop has all it wants.
func TestHeartbeats_FloodUnread(t *testing.T) {
	t.Parallel()
	n := startNode(t, &memLog{}, gateway.Config{Lanes: 1, Workers: 1})
	conn, _, _, err := ws.Dialer{
		Protocols: []string{envelope.ProtoJSON},
		NetDial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, network, addr)
			if tcp, ok := c.(*net.TCPConn); ok {
				_ = tcp.SetReadBuffer(16 << 10)
			}
			return c, err
		},
	}.Dial(context.Background(), n.url("flooding"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	neighbour := n.connect("neighbour")
	flood := bytes.Repeat(frameOf(`{"type":"heartbeat"}`), 100)
	cut := func() bool { return n.server.Stats().Gone[eventloop.CauseSlowConsumer] > 0 }
	const rounds = 5000
	for seq := uint64(1); !cut(); seq++ {
		if seq == rounds {
			t.Fatalf("%d heartbeats are answered to nobody", seq*100)
		}
		_, _ = conn.Write(flood) // fails once it is cut off
		neighbour.telemetry(seq)
		neighbour.wantAck(seq)
		if held := n.gateway.Stats().InFlightBytes; held > 1<<20 {
			t.Fatalf("%d bytes are held", held)
		}
	}
	n.until("nothing is held", func() bool { return n.gateway.Stats().InFlightBytes == 0 })
}

// TestHeartbeats_Rate: a heartbeat is paid for at the device's rate.
func TestHeartbeats_Rate(t *testing.T) {
	t.Parallel()
	n := startNode(t, &memLog{}, gateway.Config{RateBytes: 1000})
	d := n.connect("beating")
	// A hundred at once, some 2 KB: one by one a slow machine might be slower than the rate.
	const beats, together = 500, 100
	for range beats / together {
		for range together {
			d.send(message{Type: "heartbeat"})
		}
		for range together {
			d.want("heartbeat")
		}
		if n.gateway.Stats().Drops[gateway.DropOverRate] > 0 {
			return
		}
	}
	t.Errorf("%d heartbeats came in at 1000 bytes a second, and none was held back", beats)
}

// TestHeartbeats_Malformed: what only looks like a heartbeat is refused like any bad
// message, and its sender sent away when it does not stop; what is one in an unusual
// form is answered.
func TestHeartbeats_Malformed(t *testing.T) {
	t.Parallel()
	frame := func(proto, change string) string {
		codec, _ := envelope.ForProtocol(proto)
		b := codec.Append(nil, &envelope.Message{Type: envelope.TypeHeartbeat})
		switch change {
		case "cut":
			b = b[:len(b)-1]
		case "checksum":
			b[len(b)-1]++
		case "magic":
			b[0]++
		case "longer":
			b = append(b, 0)
		case "length":
			b[5]++
		}
		return string(b)
	}
	const json, frameJSON, frameProto = envelope.ProtoJSON, envelope.ProtoFrameJSON, envelope.ProtoFrameProto
	for _, c := range []struct{ name, proto, payload, code string }{
		{"cut off", json, `{"type":"heartbeat"`, "bad_envelope"},
		{"the word alone", json, `"heartbeat"`, "bad_envelope"},
		{"a key twice", json, `{"type":"heartbeat","type":"heartbeat"}`, "bad_envelope"},
		{"something behind it", json, `{"type":"heartbeat"}x`, "bad_envelope"},
		{"two in one message", json, `{"type":"heartbeat"}{"type":"heartbeat"}`, "bad_envelope"},
		{"another type", json, `{"type":"heartbeats","topic":"heartbeat"}`, "unsupported_type"},
		{"long and cut off", json, `{"type":"heartbeat","x":"` + strings.Repeat("y", 64) + `"`, "bad_envelope"},
		{"long", json, `{"type":"heartbeat"` + strings.Repeat(" ", 64) + `}`, ""},
		{"escaped", json, `{"type":"heartbe\u0061t"}`, ""},
		{"spaced", json, ` { "type" : "heartbeat" } `, ""},
		{"sound", frameJSON, frame(frameJSON, ""), ""},
		{"cut off", frameJSON, frame(frameJSON, "cut"), "bad_frame"},
		{"bad checksum", frameJSON, frame(frameJSON, "checksum"), "bad_crc"},
		{"bad magic", frameJSON, frame(frameJSON, "magic"), "bad_frame"},
		{"too long", frameJSON, frame(frameJSON, "longer"), "bad_frame"},
		{"sound", frameProto, frame(frameProto, ""), ""},
		{"cut off", frameProto, frame(frameProto, "cut"), "bad_frame"},
		{"bad checksum", frameProto, frame(frameProto, "checksum"), "bad_crc"},
		{"length of another", frameProto, frame(frameProto, "length"), "bad_frame"},
		{"magic and type alone", frameProto, "\x55\xaa\x01", "bad_frame"},
	} {
		t.Run(c.proto+" "+c.name, func(t *testing.T) {
			t.Parallel()
			n := startNode(t, &memLog{}, gateway.Config{})
			d, _, err := n.dialWith("device=d", &websocket.DialOptions{Subprotocols: []string{c.proto}})
			if err != nil {
				t.Fatal(err)
			}
			d.hear() // welcome
			kind := websocket.MessageBinary
			if c.proto == json {
				kind = websocket.MessageText
			}
			want := heard{Type: "heartbeat"}
			if c.code != "" {
				want = heard{Type: "error", Code: c.code}
			}
			const faults = 8
			for range faults {
				d.say(kind, []byte(c.payload))
				_, answer := d.hear()
				if m, err := understand(c.proto, answer); err != nil || m.Type != want.Type || m.Code != want.Code {
					t.Fatalf("the answer is %q: %v", answer, err)
				}
			}
			if c.code == "" {
				if refused := n.gateway.Stats().Drops[gateway.DropBadEnvelope]; refused != 0 {
					t.Errorf("%d were refused", refused)
				}
				return
			}
			// The last is counted behind its answer, and before the close.
			d.wantClosed(1008)
			if refused := n.gateway.Stats().Drops[gateway.DropBadEnvelope]; refused != faults {
				t.Errorf("%d of %d are counted as refused", refused, faults)
			}
		})
	}
}
