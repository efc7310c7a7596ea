package gateway_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"edgeloop/gateway"
)

// TestRate_HoldsBackADevice: a device that sends one message after the other, each when the
// one before is on the disk, is not faster than its rate, of messages or of bytes, by
// WebSocket and by MQTT.
func TestRate_HoldsBackADevice(t *testing.T) {
	t.Parallel()
	const rate, messages = 80, 120 // half a second's worth above the burst
	data := strings.Repeat("x", 1000)
	for name, cfg := range map[string]gateway.Config{
		"messages": {RateMessages: rate},
		"bytes":    {RateBytes: rate * 1000},
	} {
		n := startNode(t, &memLog{}, cfg)
		for dialect, send := range map[string]func() func(seq int){
			"websocket": n.sendsByWebSocket(data),
			"mqtt":      n.sendsByMQTT(data),
		} {
			t.Run(name+" by "+dialect, func(t *testing.T) {
				t.Parallel()
				n.needOverRate(t, send(), messages, time.Second*(messages-rate-1)/rate)
			})
		}
	}
}

// TestRate_IsCounted: a device that brings much more than its rate at once is held back, and
// that is counted.
func TestRate_IsCounted(t *testing.T) {
	t.Parallel()
	const messages = 20
	for name, cfg := range map[string]gateway.Config{"messages": {RateMessages: 1}, "bytes": {RateBytes: 20}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := startNode(t, &memLog{}, cfg)
			held := func() uint64 { return n.gateway.Stats().Drops[gateway.DropOverRate] }
			d := n.connect("by-websocket")
			for seq := range uint64(messages) {
				d.telemetry(seq + 1)
			}
			n.until("it is held back", func() bool { return held() > 0 })
			_ = d.ws.CloseNow()
			n.until("it is gone", func() bool { return n.gateway.Stats().Online == 0 })
			before, c := held(), n.mqttDevice("by-mqtt", false)
			for id := range uint16(messages) {
				c.send(c.publishOf(id+1, "t", "1"))
			}
			n.until("it is held back by MQTT, too", func() bool { return held() > before })
			_ = c.conn.Close()
		})
	}
}

// needOverRate sends messages, and wants that to take as long as the rate has it.
func (n *node) needOverRate(t *testing.T, send func(seq int), messages int, least time.Duration) {
	t.Helper()
	began := time.Now() // before the first is sent: the bucket fills again from then on
	for seq := 1; seq <= messages; seq++ {
		send(seq)
	}
	if took := time.Since(began); took < least {
		t.Errorf("%d messages were taken in %v, want at least %v", messages, took, least)
	}
}

// sendsByWebSocket makes a device of its own; its function sends one message and waits until
// it is acknowledged.
func (n *node) sendsByWebSocket(data string) func() func(seq int) {
	return func() func(int) {
		d := n.connect("by-websocket")
		return func(seq int) {
			d.send(message{Type: "telemetry", Seq: uint64(seq), Data: json.RawMessage(`"` + data + `"`)})
			d.wantAck(uint64(seq))
		}
	}
}

// sendsByMQTT is the same.
func (n *node) sendsByMQTT(data string) func() func(seq int) {
	return func() func(int) {
		c := n.mqttDevice("by-mqtt", false)
		return func(seq int) {
			c.send(c.publishOf(uint16(seq), "t", `"`+data+`"`))
			c.want("PUBACK", 0x40, 2, 0, byte(seq))
		}
	}
}
