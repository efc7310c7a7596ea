package e2e_test

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"net/http"
	"strings"
	"testing"

	"edgeloop/internal/testkit"
)

// Types of design section 6.
const (
	typeTelemetry = 0x02
	typeAck       = 0x05
	typeCommand   = 0x06
	typeReply     = 0x07
	typeWelcome   = 0x08
	typeError     = 0x0F
)

// pack makes one binary frame of the device protocol.
func pack(kind byte, payload []byte) []byte {
	b := append([]byte{0x55, 0xAA, kind, byte(len(payload) >> 16), byte(len(payload) >> 8), byte(len(payload))}, payload...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
}

// wantFrame waits for the next binary message, which must be one frame of this
// type, and returns its payload.
func (p *conn) wantFrame(kind byte) []byte {
	p.client.t.Helper()
	e := p.want("binary")
	b, err := base64.StdEncoding.DecodeString(e.Data)
	if err != nil {
		p.client.t.Fatal(err)
	}
	if len(b) < 10 || b[0] != 0x55 || b[1] != 0xAA || len(b) != 10+int(b[3])<<16+int(b[4])<<8+int(b[5]) {
		p.client.t.Fatalf("the node sent % x, which is no frame", b)
	}
	if got := binary.BigEndian.Uint32(b[len(b)-4:]); got != crc32.ChecksumIEEE(b[:len(b)-4]) {
		p.client.t.Fatalf("the node sent a frame with checksum %08x", got)
	}
	if b[2] != kind {
		p.client.t.Fatalf("the node sent a frame of type %#x %q, want %#x", b[2], b, kind)
	}
	return b[6 : len(b)-4]
}

func TestProtocols_FrameJSON(t *testing.T) {
	withEachLibrary(t, func(t *testing.T, lib string) {
		n := start(t)
		c := startClient(t, lib)
		d := c.dial(order{URL: n.url("?token=" + n.token("d1")), Protocols: []string{"edgeloop.v1.frame.json"}})
		if e := d.want("open"); e.Protocol != "edgeloop.v1.frame.json" {
			t.Fatalf("subprotocol %q", e.Protocol)
		}
		var m message
		if err := json.Unmarshal(d.wantFrame(typeWelcome), &m); err != nil || m.num("epoch") == 0 {
			t.Fatalf("welcome %v: %v", m, err)
		}
		d.sendBinary(pack(typeTelemetry, []byte(`{"seq":1,"topic":"temp","data":{"c":1}}`)))
		if err := json.Unmarshal(d.wantFrame(typeAck), &m); err != nil || m.num("upto") != 1 {
			t.Errorf("ack %v: %v", m, err)
		}

		answers := n.command("/v1/devices/default/d1/commands?wait=1m", map[string]any{"name": "ping"})
		if err := json.Unmarshal(d.wantFrame(typeCommand), &m); err != nil || m.str("name") != "ping" {
			t.Errorf("command %v: %v", m, err)
		}
		d.sendBinary(pack(typeReply, fmt.Appendf(nil, `{"id":%q,"ok":true,"data":"pong"}`, m.str("id"))))
		if got := testkit.Receive(t, patience, "the API's answer", answers); got.status != http.StatusOK || got.body["data"] != "pong" {
			t.Errorf("the API answered %+v", got)
		}

		// One flipped bit is noticed by the checksum and named.
		flipped := pack(typeTelemetry, []byte(`{"seq":2,"data":0}`))
		flipped[8] ^= 1
		d.sendBinary(flipped)
		if e := string(d.wantFrame(typeError)); !containsAll(e, `"code":"bad_crc"`) {
			t.Errorf("the node sent %s", e)
		}
		if log := n.tail(); len(log) != 1 || log[0].Topic != "temp" {
			t.Errorf("the log has %+v", log)
		}
		n.stop()
	})
}

// Without a subprotocol each message is telemetry, text or binary, and each
// command is one message.
func TestProtocols_Raw(t *testing.T) {
	withEachLibrary(t, func(t *testing.T, lib string) {
		n := start(t)
		c := startClient(t, lib)
		d := c.dial(order{URL: n.url("?token=" + n.token("d1"))})
		if e := d.want("open"); e.Protocol != "" {
			t.Fatalf("subprotocol %q", e.Protocol)
		}
		d.sendText(`{"temperature":21.5}`)
		d.sendText(`plain words`)
		d.sendBinary([]byte{0, 1, 0xFF})
		testkit.Eventually(t, patience, "three records", func() bool { return len(n.tail()) == 3 })
		log := n.tail()
		if string(log[0].Data) != `{"temperature":21.5}` || log[0].Seq != 0 || log[0].Type != "telemetry" {
			t.Errorf("the JSON text became %+v", log[0])
		}
		for i, want := range []string{"plain words", "\x00\x01\xFF"} {
			r := log[i+1]
			var s string
			if err := json.Unmarshal(r.Data, &s); err != nil {
				t.Fatal(err)
			}
			if b, err := base64.StdEncoding.DecodeString(s); r.Encoding != "base64" || err != nil || string(b) != want {
				t.Errorf("%q became %+v %s", want, r, r.Data)
			}
		}
		status, body := n.api(http.MethodPost, "/v1/devices/default/d1/commands", map[string]any{"name": "blink", "data": map[string]any{"times": 3}})
		if status != http.StatusAccepted {
			t.Errorf("the API answered %d %v", status, body)
		}
		e := d.next()
		for e.Event == "pinged" { // when is the node's affair
			e = d.next()
		}
		if e.Event != "text" && e.Event != "binary" {
			t.Errorf("the command arrived as %+v", e)
		}
		n.stop()
	})
}

// A client that offers only what nobody knows hears so, or speaks raw; it must
// not believe that its subprotocol was chosen.
func TestProtocols_UnknownOffer(t *testing.T) {
	t.Parallel()
	n := start(t)
	got := curlUpgrade(t, "http://"+n.listen+"/v1/device", map[string]string{
		"Authorization": "Bearer " + n.token("d1"), "Sec-WebSocket-Protocol": "amqp",
	})
	if got.status != http.StatusBadRequest {
		t.Errorf("the node answered %+v, want 400", got)
	}
	n.stop()
}

// permessage-deflate is negotiated only with --compression, and both sizes of
// message survive it.
func TestProtocols_Compression(t *testing.T) {
	withEachLibrary(t, func(t *testing.T, lib string) {
		for _, on := range []bool{true, false} {
			n := start(t, fmt.Sprintf("--compression=%t", on))
			d := startClient(t, lib).dial(order{URL: n.url("?token=" + n.token("d1")), Protocols: []string{"edgeloop.v1.json"}, Compression: true})
			if e := d.want("open"); strings.Contains(e.Extensions, "permessage-deflate") != on {
				t.Fatalf("--compression=%t: extensions %q", on, e.Extensions)
			}
			d.wantMessage("welcome")
			d.send(message{"type": "telemetry", "seq": 1, "data": "short"})
			d.send(message{"type": "telemetry", "seq": 2, "data": strings.Repeat("long and dull ", 2000)})
			d.wantAck(2)
			if log := n.tail(); len(log) != 2 || len(log[1].Data) != 28002 {
				t.Errorf("the log has %d records", len(log))
			}
			long := strings.Repeat("down and dull ", 2000)
			answers := n.command("/v1/devices/default/d1/commands", map[string]any{"name": "long", "data": long})
			if m := d.wantMessage("command"); m.str("data") != long {
				t.Error("a long command did not arrive whole")
			}
			testkit.Receive(t, patience, "the API's answer", answers)
			n.stop()
		}
	})
}
