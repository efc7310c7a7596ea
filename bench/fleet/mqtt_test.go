package fleet_test

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"edgeloop/bench/fleet"
	"edgeloop/bench/fleettest"
)

// A fleet over three loops against mosquitto, in both versions: each message is
// acknowledged once and in order, also those that a reset took back.
func TestMQTT_AgainstMosquitto(t *testing.T) {
	url := fleettest.Mosquitto(t)
	for _, dialect := range []string{"mqtt", "mqtt5"} {
		t.Run(dialect, func(t *testing.T) {
			f := start(t, fleet.Config{URL: url, Dialect: dialect, Count: 30, Loops: 3, Prefix: dialect, Subscribe: "bench/none", Heartbeat: time.Second})
			connect(t, f, 30)
			do(t, f, fleet.Order{Verb: fleet.Load, Kind: fleet.TelemetryLoad, InFlight: 8, Size: 200})
			until(t, f, "traffic", func(c fleet.Counts) bool { return c[fleet.Acked] > 3000 })
			do(t, f, fleet.Order{Verb: fleet.Drop, How: fleet.RST, Return: true})
			do(t, f, fleet.Order{Verb: fleet.Drop, How: fleet.CloseFrame, Return: true, To: 5})
			until(t, f, "all back", func(c fleet.Counts) bool { return c[fleet.Registered] >= 60 && c[fleet.Ready] == 30 })
			do(t, f, fleet.Order{Verb: fleet.Quiet})
			c := until(t, f, "quiet", func(c fleet.Counts) bool { return c.Outstanding() == 0 })
			if c.Unsound() != 0 || c[fleet.Faults] != 0 || c[fleet.Refused] != 0 || c[fleet.Sent] != c[fleet.Acked] {
				t.Errorf("an honest broker looks unsound: %v", c)
			}
			until(t, f, "heartbeats", func(c fleet.Counts) bool { return c[fleet.Heartbeats] >= 30 })
		})
	}
}

// What a device subscribed to reaches it, under a topic that several publish to.
func TestMQTT_HearsWhatItSubscribedTo(t *testing.T) {
	url := fleettest.Mosquitto(t)
	f := start(t, fleet.Config{URL: url, Dialect: "mqtt5", Count: 3, Subscribe: "bench"})
	connect(t, f, 3)
	do(t, f, fleet.Order{Verb: fleet.Load, Kind: fleet.TelemetryLoad, Rate: 50})
	c := until(t, f, "messages", func(c fleet.Counts) bool { return c[fleet.Delivered] >= 30 })
	if c[fleet.Corrupted] != 0 {
		t.Errorf("%v", c)
	}
}

// What a publisher numbered is accounted for by who subscribed to its topic: what is missing,
// what comes twice, and of a shared subscription only the latter. Each device subscribes to,
// and publishes to, the topic with its number.
func TestMQTT_NumbersOfATopic(t *testing.T) {
	for filter, want := range map[string]map[fleet.Count]int64{
		"of/{n}":            {fleet.Delivered: 6, fleet.DeliveriesMissed: 2, fleet.DeliveriesDoubled: 2},
		"$share/all/of/{n}": {fleet.Delivered: 6, fleet.DeliveriesMissed: 0, fleet.DeliveriesDoubled: 2},
	} {
		t.Run(filter, func(t *testing.T) {
			topics := make(chan string, 100)
			url := fleettest.Broker(t, func(first byte, body []byte, _ int) (out []byte) {
				switch first {
				case 0x10:
					return []byte{0x20, 2, 0, 0}
				case 0x82:
					topics <- string(body[4 : len(body)-1])
					out = []byte{0x90, 3, body[0], body[1], 1}
					for _, m := range []string{"7 3", "7 6", "7 6", "8 1", "8 2", "7 4"} {
						from, n, _ := strings.Cut(m, " ")
						text := "\x00\x04of/" + from + "\x00\x09" + `{"n":` + n + `,"at":1}`
						out = append(append(out, 0x32, byte(len(text))), text...)
					}
					return out
				case 0x32:
					topics <- string(body[2 : 2+binary.BigEndian.Uint16(body)])
				}
				return nil
			})
			f := start(t, fleet.Config{URL: url, First: 5, Count: 1, Subscribe: filter, Topic: "to/{n}/x"})
			connect(t, f, 1)
			got := until(t, f, "deliveries", func(c fleet.Counts) bool { return c[fleet.Delivered] == 6 })
			for k, n := range want {
				if got[k] != n {
					t.Errorf("%s = %d, want %d", k, got[k], n)
				}
			}
			do(t, f, fleet.Order{Verb: fleet.Load, Kind: fleet.TelemetryLoad})
			if got, want := <-topics+" "+<-topics, strings.ReplaceAll(filter, "{n}", "5")+" to/5/x"; got != want {
				t.Errorf("topics %q, want %q", got, want)
			}
		})
	}
}

// Each fault of a broker shows up under its own name, and not as another.
func TestMQTT_NoticesFaults(t *testing.T) {
	ack := func(id []byte) []byte { return []byte{0x40, 2, id[0], id[1]} }
	var held []byte
	for fault, c := range map[string]struct {
		want   fleet.Count
		answer func(id []byte, n int) []byte
	}{
		"none":        {fleet.Acked, func(id []byte, _ int) []byte { return ack(id) }},
		"twice":       {fleet.Duplicated, func(id []byte, _ int) []byte { return append(ack(id), ack(id)...) }},
		"of nothing":  {fleet.Corrupted, func(id []byte, _ int) []byte { return append(ack(id), ack([]byte{0xf0, 0})...) }},
		"not a reply": {fleet.Corrupted, func([]byte, int) []byte { return []byte{0xe1, 0} }},
		"refused":     {fleet.Faults, func(id []byte, _ int) []byte { return []byte{0x40, 4, id[0], id[1], 0x97, 0} }},
		"swapped": {fleet.Reordered, func(id []byte, n int) []byte {
			if n%2 == 1 {
				held = append([]byte(nil), id...)
				return nil
			}
			return append(ack(id), ack(held)...)
		}},
	} {
		t.Run(fault, func(t *testing.T) {
			url := fleettest.Broker(t, func(first byte, body []byte, n int) []byte {
				if first == 0x10 {
					return []byte{0x20, 3, 0, 0, 0}
				}
				return c.answer(body[2+binary.BigEndian.Uint16(body):], n)
			})
			f := start(t, fleet.Config{URL: url, Dialect: "mqtt5", Count: 1})
			connect(t, f, 1)
			do(t, f, fleet.Order{Verb: fleet.Load, Kind: fleet.TelemetryLoad, InFlight: 4})
			got := until(t, f, "faults", func(got fleet.Counts) bool { return got[c.want] >= 2 })
			for _, k := range []fleet.Count{fleet.Duplicated, fleet.Reordered, fleet.Corrupted, fleet.Faults} {
				if also := k == fleet.Duplicated && c.want == fleet.Reordered; k != c.want && got[k] != 0 && !also {
					t.Errorf("%s = %d, want 0", k, got[k])
				}
			}
		})
	}
}

// A device says who it is and shows its token; a library reads it the same way. One that
// is refused is counted by the code.
func TestMQTT_SaysWhoItIs(t *testing.T) {
	for dialect, no := range map[string][]byte{"mqtt": {0x20, 2, 0, 5}, "mqtt5": {0x20, 3, 0, 0x87, 0}} {
		hellos := make(chan packets.Packet, 100)
		url := fleettest.Broker(t, func(_ byte, body []byte, _ int) []byte {
			pk := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Connect}}
			if err := pk.ConnectDecode(body); err != nil || pk.ConnectValidate().Code != 0 {
				t.Errorf("%x: %v %v", body, err, pk.ConnectValidate())
			}
			hellos <- pk
			return no
		})
		f := start(t, fleet.Config{URL: url, Dialect: dialect, Count: 1, Tenant: "a b", Secret: []byte("secret"), Heartbeat: 3 * time.Second})
		do(t, f, fleet.Order{Verb: fleet.Connect})
		pk := <-hellos
		c := pk.Connect
		if (pk.ProtocolVersion == 5) != (dialect == "mqtt5") || c.ClientIdentifier != "bench-0000000" || string(c.Username) != "a b" || strings.Count(string(c.Password), ".") != 2 || !c.Clean || c.Keepalive != 6 {
			t.Errorf("%s: %+v", dialect, pk)
		}
		until(t, f, "refused", func(c fleet.Counts) bool { return c[fleet.Refused] > 0 })
	}
}

func TestMQTT_RefusesWhatCannotWork(t *testing.T) {
	for _, cfg := range []fleet.Config{
		{URL: "mqtt://127.0.0.1:1", Dialect: "json", Count: 1},
		{URL: "ws://127.0.0.1:1/", Dialect: "mqtt", Count: 1},
	} {
		if _, err := fleet.New(cfg); !errors.Is(err, fleet.ErrConfig) {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
	f := start(t, fleet.Config{URL: "mqtt://127.0.0.1:1", Count: 1})
	if err := f.Do(fleet.Order{Verb: fleet.Load, Kind: fleet.EchoLoad}); !errors.Is(err, fleet.ErrOrder) {
		t.Errorf("echo over MQTT: %v", err)
	}
}
