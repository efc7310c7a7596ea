//go:build !race && !invariants

package gateway_test

import (
	"context"
	"io"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"edgeloop/backbone"
	"edgeloop/gateway"
)

// countLog counts records and makes them durable at once.
type countLog struct {
	// Atomic.
	records atomic.Int64
}

func (l *countLog) Append(records []backbone.Record) error {
	for i := range records {
		records[i].Done.Durable(records[i].Seq, 1)
	}
	l.records.Add(int64(len(records)))
	return nil
}

func (l *countLog) Last(context.Context, string, string) (last backbone.Last, err error) {
	return last, nil
}
func (l *countLog) Flush(context.Context) error { return nil }

// TestAllocs_Telemetry: a message costs no allocation on its whole way from the
// socket through loop and lane to the log, and its ack none on the way back.
func TestAllocs_Telemetry(t *testing.T) {
	// gnet allocates twice for each wake-up of a loop, which serves many messages.
	const budget = 0.15
	const burst, bursts = 32, 500
	log := &countLog{}
	n := startNodeOn(t, log, gateway.Config{})
	conn := n.rawDevice("thrifty")
	frames := newBurst(burst)
	send := func(from int) {
		for i := range bursts {
			sent := from + (i+1)*burst
			if _, err := conn.Write(frames.from(sent - burst + 1)); err != nil {
				t.Fatal(err)
			}
			for log.records.Load() < int64(sent) {
				runtime.Gosched() // polling with timers would allocate
			}
		}
	}
	const messages = burst * bursts
	send(0)
	before := mallocs()
	send(messages)
	perMessage := float64(mallocs()-before) / messages
	t.Logf("%.4f allocations per message", perMessage)
	if perMessage > budget {
		t.Errorf("%.3f allocations per message, the budget is %.2f", perMessage, budget)
	}
}

func mallocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}

// TestAllocs_MQTT: nor does a PUBLISH of QoS 1 and its PUBACK, with properties that are kept or
// without.
func TestAllocs_MQTT(t *testing.T) {
	beside := strings.Join([]string{"\x01\x01", user("region", "eu"), user("firmware", "1.2.3"), "\x03" + string(text("application/json"))}, "")
	for name, props := range map[string]string{"3.1.1": "", "5.0 with properties": beside} {
		t.Run(name, func(t *testing.T) {
			const burst = 32
			budget, bursts := 0.15, 500
			if props != "" {
				budget, bursts = 0.5, 100
			}
			n := startNodeOn(t, &countLog{}, gateway.Config{})
			c := n.mqttDevice("thrifty", props != "")
			var packets []byte
			for i := range byte(burst) {
				if props == "" {
					packets = append(packets, c.publishOf(uint16(i)+1, "t", `{"celsius":21.5}`)...)
				} else {
					packets = append(packets, publishWith(i+1, `{"celsius":21.5}`, props)...)
				}
			}
			acks := make([]byte, 4*burst)
			send := func() {
				for range bursts {
					if _, err := c.conn.Write(packets); err != nil {
						t.Fatal(err)
					}
					if _, err := io.ReadFull(c.conn, acks); err != nil {
						t.Fatal(err)
					}
				}
			}
			send()
			before := mallocs()
			send()
			perMessage := float64(mallocs()-before) / float64(burst*bursts)
			t.Logf("%.4f allocations per message", perMessage)
			if perMessage > budget {
				t.Errorf("%.3f allocations per message, the budget is %.2f", perMessage, budget)
			}
		})
	}
}
