package e2e_test

import (
	"fmt"
	"strings"
	"testing"
)

// What breaks RFC 6455 ends the connection with the code that the RFC names,
// and harms nobody else: a decent device stays connected throughout.
func TestMalformed_Frames(t *testing.T) {
	t.Parallel()
	n := start(t, "--max-message=4096", "--idle-timeout=10m")
	neighbour := dialRaw(t, n, "neighbour")

	long := strings.Repeat("x", 5000)
	for name, c := range map[string]struct {
		bytes string
		code  int
	}{
		"unmasked frame":                       {"\x81\x02{}", 1002},
		"reserved bit":                         {frame(fin|0x40|opText, "{}"), 1002},
		"reserved opcode":                      {frame(fin|0x3, ""), 1002},
		"reserved control opcode":              {frame(fin|0xB, ""), 1002},
		"fragmented ping":                      {frame(opPing, ""), 1002},
		"ping longer than 125 bytes":           {frame(fin|opPing, long[:126]), 1002},
		"continuation of nothing":              {frame(fin|opContinuation, "{}"), 1002},
		"text inside a fragmented text":        {frame(opText, "{") + frame(fin|opText, "}"), 1002},
		"length not minimal, 16 bits":          {"\x81\xFE\x00\x02\x00\x00\x00\x00{}", 1002},
		"length not minimal, 64 bits":          {"\x81\xFF\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00{}", 1002},
		"length with the top bit":              {"\x81\xFF\x80\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00{}", 1002},
		"close with one byte":                  {frame(fin|opClose, "\x03"), 1002},
		"close with code 1005":                 {frame(fin|opClose, "\x03\xED"), 1002},
		"close with code 999":                  {frame(fin|opClose, "\x03\xE7"), 1002},
		"close with a reason that is no UTF-8": {frame(fin|opClose, "\x03\xE8\xFF"), 1007},
		"text that is no UTF-8":                {frame(fin|opText, "\"\xFF\""), 1007},
		"no UTF-8 across fragments":            {frame(opText, "\"\xC3") + frame(fin|opContinuation, "\x28\""), 1007},
		"no UTF-8 in an unfinished frame":      {"\x81\xFE\x04\x00\x00\x00\x00\x00\"\xFF", 1007},
		"message longer than --max-message":    {frame(fin|opText, long), 1009},
		"declared length of 8 EiB":             {"\x82\xFF\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x00\x00\x00\x00", 1009},
		"fragments adding up to too much":      {frame(opText, long[:4000]) + frame(fin|opContinuation, long[:4000]), 1009},
	} {
		t.Run(name, func(t *testing.T) {
			d := dialRaw(t, n, "broken")
			d.say(c.bytes)
			d.wantClose(c.code)
		})
	}

	neighbour.say(frame(fin|opText, `{"type":"telemetry","seq":1,"data":0}`))
	neighbour.wantText("ack")
	n.stop()
}

// A close is answered with the same code, and a ping in the middle of a
// fragmented message is answered at once.
func TestMalformed_NotAtAll(t *testing.T) {
	t.Parallel()
	n := start(t)
	d := dialRaw(t, n, "d1")
	d.say(frame(opText, `{"type":"telemetry",`) + frame(fin|opPing, "still there?"))
	if first, payload, err := d.hear(); err != nil || first != 0x8A || string(payload) != "still there?" {
		t.Fatalf("after the ping: %#x %q %v", first, payload, err)
	}
	d.say(frame(opContinuation, `"seq":1,`) + frame(fin|opContinuation, `"data":"é"}`))
	if got := d.wantText("ack"); !containsAll(got, `"upto":1`) {
		t.Errorf("the node sent %s", got)
	}
	d.say(frame(fin|opClose, "\x0F\xA0bye")) // 4000
	d.wantClose(4000)
}

// A bad envelope is answered by an error that names the fault; the connection
// lives on until it has sent eight of them.
func TestMalformed_Envelopes(t *testing.T) {
	bad := []string{
		`{`, `[]`, `null`, `"telemetry"`, ``, `{}`, `{"type":7}`, `{"type":"no-such-type"}`,
		`{"type":"telemetry","seq":0,"data":1}`, `{"type":"telemetry","seq":-1,"data":1}`, `{"type":"telemetry","seq":1.5,"data":1}`,
		`{"type":"telemetry","seq":9007199254740992,"data":1}`, `{"type":"telemetry","seq":"1","data":1}`,
		`{"type":"telemetry","topic":5,"data":1}`, `{"type":"telemetry","data":1}x`, `{"type":"telemetry","data":01}`,
		`{"type":"welcome"}`, `{"type":"ack","upto":1}`, "{\"type\":\"telemetry\",\"data\":\"\x01\"}",
	}
	withEachLibrary(t, func(t *testing.T, lib string) {
		n := start(t)
		c := startClient(t, lib)
		for i, text := range bad {
			d, _ := c.connect(n, fmt.Sprint("d", i))
			d.sendText(text)
			e := d.wantMessage("error")
			if e.str("code") == "" || e.str("message") == "" {
				t.Errorf("%s: the error says nothing: %v", text, e)
			}
			d.send(message{"type": "telemetry", "seq": 1, "data": "fine"})
			d.wantAck(1)
			d.close()
		}

		d, _ := c.connect(n, "persistent")
		for range 8 {
			d.sendText(`{"type":"telemetry"`)
		}
		for range 7 {
			d.wantMessage("error")
		}
		d.wantClosed(1008)

		// A message of the wrong kind is a bad envelope too.
		d, _ = c.connect(n, "binary")
		d.sendBinary([]byte(`{"type":"heartbeat"}`))
		d.wantMessage("error")
		d.close()
		n.stop()
	})
}
