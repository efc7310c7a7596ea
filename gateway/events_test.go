package gateway_test

import (
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"edgeloop/backbone"
	"edgeloop/devicemgr"
	"edgeloop/gateway"
)

var allEvents = []gateway.EventType{gateway.EventConnected, gateway.EventDisconnected, gateway.EventRefused, gateway.EventBanned}

// kept is a record as the log got it.
type kept struct {
	kind  string
	epoch uint64
	data  map[string]any
}

// eventLog is a log that keeps what it gets of each device.
type eventLog struct {
	memLog

	mu sync.Mutex
	// Guarded by mu.
	by map[string][]kept
}

func newEventLog() *eventLog {
	l := &eventLog{by: map[string][]kept{}}
	l.before = func(records []backbone.Record) error {
		l.mu.Lock()
		defer l.mu.Unlock()
		for i := range records {
			k := kept{kind: records[i].Type, epoch: records[i].Epoch}
			if records[i].Event {
				if err := json.Unmarshal(records[i].Data, &k.data); err != nil {
					return err
				}
			}
			l.by[records[i].Device] = append(l.by[records[i].Device], k)
		}
		return nil
	}
	return l
}

func (l *eventLog) of(device string) (all []kept, kinds []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, k := range l.by[device] {
		kinds = append(kinds, k.kind)
	}
	return slices.Clone(l.by[device]), kinds
}

// wantKinds waits until the log has these records of a device.
func (l *eventLog) wantKinds(n *node, device string, want ...string) []kept {
	n.Helper()
	var all []kept
	var kinds []string
	n.until("the log to have what happened", func() bool {
		all, kinds = l.of(device)
		return len(kinds) >= len(want)
	})
	if !slices.Equal(kinds, want) {
		n.Fatalf("the log has %v, want %v", kinds, want)
	}
	return all
}

// A device connects, sends, is banned and sent away; and another connection takes over from
// one. Each connection's records are between its two events, and those have its epoch.
func TestEvents_InTheOrderOfTheDevice(t *testing.T) {
	t.Parallel()
	log := newEventLog()
	n := startNodeOn(t, log, gateway.Config{Events: allEvents, Node: "east"})
	d := n.connect("d1")
	for seq := range uint64(20) {
		d.telemetry(seq + 1)
	}
	d.wantAck(20)
	key := devicemgr.Key{Tenant: "default", Device: "d1"}
	n.gateway.Banned(key, time.Unix(2e9, 0), "stolen")
	if err := n.gateway.Kick(key, 4403, "banned: stolen"); err != nil {
		t.Fatal(err)
	}
	d.wantClosed(4403)
	want := append(append([]string{"connected"}, slices.Repeat([]string{"telemetry"}, 20)...), "banned", "disconnected")
	all := log.wantKinds(n, "d1", want...)
	first, banned, last := all[0], all[21], all[22]
	for _, k := range []kept{banned, last} {
		if k.epoch != first.epoch || first.epoch != d.welcome.Epoch {
			t.Errorf("%s has epoch %d, the connection %d", k.kind, k.epoch, d.welcome.Epoch)
		}
	}
	if first.data["node"] != "east" || first.data["remote"] == nil || first.data["protocol"] != "edgeloop.v1.json" {
		t.Errorf("connected: %v", first.data)
	}
	if banned.data["reason"] != "stolen" || banned.data["until"] != "2033-05-18T03:33:20Z" {
		t.Errorf("banned: %v", banned.data)
	}
	if last.data["cause"] != "closed" || last.data["code"] != 4403.0 || last.data["reason"] != "forbidden" || last.data["remote"] == nil {
		t.Errorf("disconnected: %v", last.data)
	}

	old := n.connect("d2")
	n.connect("d2")
	old.wantClosed(4409)
	var ends []kept
	n.until("the older connection of two to have ended", func() bool {
		ends, _ = log.of("d2")
		return len(ends) == 3
	})
	i := slices.IndexFunc(ends, func(k kept) bool { return k.kind == "disconnected" })
	if i < 1 || ends[i].epoch != old.welcome.Epoch || ends[i].data["reason"] != "replaced" {
		t.Errorf("of two connections: %+v", ends)
	}
	n.until("all of it to be counted", func() bool { return n.gateway.Stats().Events == [gateway.NumEvents]uint64{3, 2, 0, 1} })
}

// Devices send everything in one write, handshake, messages and goodbye: their records are
// between the two events all the same.
func TestEvents_AroundWhatComesAtOnce(t *testing.T) {
	t.Parallel()
	log := newEventLog()
	n := startNodeOn(t, log, gateway.Config{Events: allEvents})
	const devices, messages = 50, 5
	want := append(append([]string{"connected"}, slices.Repeat([]string{"telemetry"}, messages)...), "disconnected")
	for i := range devices {
		conn, err := net.Dial("tcp", n.server.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		all := fmt.Appendf(nil, "GET /v1/device?device=d%d HTTP/1.1\r\nHost: n\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
			"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: edgeloop.v1.json\r\n\r\n", i)
		for range messages {
			all = append(all, frameOf(`{"type":"telemetry","data":1}`)...)
		}
		all = append(all, ws.MustCompileFrame(ws.MaskFrameInPlaceWith(ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "")), [4]byte{}))...)
		if _, err := conn.Write(all); err != nil {
			t.Fatal(err)
		}
	}
	for i := range devices {
		log.wantKinds(n, fmt.Sprintf("d%d", i), want...)
	}
}

// Refusals of a device make a record in a while, and none where the node knows nothing of the
// device: whoever comes again and again fills no log.
func TestEvents_RefusalsAreBounded(t *testing.T) {
	t.Parallel()
	log := newEventLog()
	store := &memStore{}
	n := startNodeWith(t, log, store, gateway.Config{Events: allEvents[2:3]}, false)
	n.connect("known")
	store.mu.Lock()
	store.banned = map[string]string{"known": "stolen", "unknown": "stolen"}
	store.mu.Unlock()
	const times = 5
	began := time.Now()
	for range times {
		for _, name := range []string{"known", "unknown"} {
			if _, err := n.dial(name); err == nil {
				t.Fatalf("%s got in", name)
			}
		}
	}
	n.until("the others to be counted", func() bool {
		_, kinds := log.of("known")
		drops := n.gateway.Stats().EventDrops
		return uint64(len(kinds))+drops[gateway.EventRepeated] == times && drops[gateway.EventUnknownDevice] == times
	})
	all, kinds := log.of("known")
	if most := 1 + int(time.Since(began)/(10*time.Second)); len(kinds) == 0 || len(kinds) > most { // one in ten seconds
		t.Fatalf("the log has %v, want at most %d", kinds, most)
	}
	if all[0].kind != "refused" || all[0].data["cause"] != "forbidden" || all[0].data["reason"] != "this device is banned: stolen" || all[0].epoch == 0 {
		t.Errorf("refused: %+v", all[0])
	}
	if _, kinds := log.of("unknown"); len(kinds) > 0 {
		t.Errorf("of a device that nobody knows: %v", kinds)
	}
}

// More than the rate allows makes no record, and is counted; the devices notice nothing.
func TestEvents_BoundedInRate(t *testing.T) {
	t.Parallel()
	log := newEventLog()
	n := startNodeOn(t, log, gateway.Config{Events: allEvents[:1], EventRate: 1})
	const comings = 40
	began := time.Now()
	for range comings {
		n.connect("d1")
	}
	var kept, dropped uint64
	n.until("all to be kept or dropped", func() bool {
		_, kinds := log.of("d1")
		kept, dropped = uint64(len(kinds)), n.gateway.Stats().EventDrops[gateway.EventOverRate]
		return kept+dropped == comings
	})
	if most := 10 + uint64(time.Since(began).Seconds()) + 1; kept < 10 || kept > most { // ten at once
		t.Errorf("%d records, %d dropped, of %d at one a second: want at most %d", kept, dropped, comings, most)
	}
}

// A log that takes nothing holds no connection up: what has no room on the lane is dropped.
func TestEvents_NeverWait(t *testing.T) {
	t.Parallel()
	stands := make(chan struct{})
	log := &memLog{before: func([]backbone.Record) error { <-stands; return nil }}
	n := startNode(t, log, gateway.Config{Events: allEvents, Workers: 1, Lanes: 1, LaneDepth: 4})
	for range 12 {
		n.connect("d1")
	}
	n.until("events to be dropped", func() bool { return n.gateway.Stats().EventDrops[gateway.EventLaneFull] > 0 })
	close(stands)
	n.until("the memory of all events to be given back", func() bool { return n.gateway.Stats().InFlightBytes == 0 })
}
