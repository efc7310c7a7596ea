package gateway_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"edgeloop/envelope"
	"edgeloop/gateway"
	"edgeloop/quota"
)

func bookOf(tenants map[string]quota.Limits) *quota.Book {
	b := new(quota.Book)
	b.Give(quota.Limits{}, tenants)
	return b
}

// as names a device of a tenant for connect and dial.
func as(tenant, device string) string { return device + "&tenant=" + tenant }

// TestTenant_Connections: a tenant has as many connections as it may have, of whatever
// protocol. A device that comes back needs none, one that leaves gives its own up, and other
// tenants notice nothing.
func TestTenant_Connections(t *testing.T) {
	t.Parallel()
	n := startNode(t, &memLog{}, gateway.Config{Quotas: bookOf(map[string]quota.Limits{"acme": {Connections: 2}})})
	first := n.connect(as("acme", "a"))
	n.connect(as("acme", "b"))
	_, status, err := n.dialWith("device="+as("acme", "c"), &websocket.DialOptions{Subprotocols: []string{envelope.ProtoJSON}})
	if err == nil || status != 429 {
		t.Errorf("a third connection was answered %d, want 429", status)
	}
	c := n.mqtt(true)
	c.send(connectOf(5, 0x82, 60, "", "d", "acme"))
	if got := c.next(); len(got) < 4 || got[0] != 0x20 || got[3] != 0x97 {
		t.Errorf("a CONNECT was answered % x, want a CONNACK of 0x97", got)
	}
	n.connect(as("other", "a"))
	again := n.connect(as("acme", "a"))
	first.wantClosed(4409)
	n.until("two to be here, and two to be counted as refused", func() bool {
		u := n.gateway.Usage("acme")
		return u.Connections == 2 && u.Over[quota.Connections] == 2
	})
	if got := n.gateway.OverQuota()[quota.Others]; got != [quota.NumKinds]uint64{} {
		t.Errorf("others are over their quotas: %v", got)
	}
	_ = again.ws.CloseNow()
	n.until("its place is free", func() bool { return n.gateway.Usage("acme").Connections == 1 })
	n.connect(as("acme", "c"))
}

// TestTenant_Groups: a tenant has as many groups as it may have; those that are there can be
// joined.
func TestTenant_Groups(t *testing.T) {
	t.Parallel()
	n := startNode(t, &memLog{}, gateway.Config{Quotas: bookOf(map[string]quota.Limits{"acme": {Groups: 1}})})
	a, b, other := n.connect(as("acme", "a")), n.connect(as("acme", "b")), n.connect(as("other", "a"))
	for _, d := range []*device{a, b} {
		d.send(message{Type: "join", Group: "one"})
		d.telemetry(1)
		d.wantAck(1) // and no error before it
	}
	b.send(message{Type: "join", Group: "two"})
	if m := b.want("error"); m.Code != "quota" {
		t.Errorf("a second group is answered %+v", m)
	}
	for _, group := range []string{"one", "two"} {
		other.send(message{Type: "join", Group: group})
	}
	n.until("the other tenant has two", func() bool {
		in := 0
		for _, group := range []string{"one", "two"} {
			n.gateway.Devices().Members("other", group, func(*gateway.Session) bool { in++; return true })
		}
		return in == 2
	})
	n.until("one join to be counted as over the quota", func() bool { return n.gateway.Usage("acme").Over[quota.Groups] == 1 })
}

// TestTenant_RateHoldsBackItsOwn: many connections of one tenant send far more than it may.
// Their reading pauses, and nothing of theirs is left in the node: no memory, no place in a
// lane. Each message of another tenant is acknowledged meanwhile. The flood has no more in
// the log than its rate allows, a burst, and what each connection had brought before it was
// paused; when the limit is lifted all of it arrives.
func TestTenant_RateHoldsBackItsOwn(t *testing.T) {
	t.Parallel()
	const connections, messages, size, rate = 20, 60, 4 << 10, 2 << 10 // more than half an hour of it, for a machine that is slow
	book := bookOf(map[string]quota.Limits{"greedy": {Bytes: rate}})
	n := startNode(t, &memLog{}, gateway.Config{Quotas: book, Lanes: 2, Window: 16})
	data := json.RawMessage(`"` + strings.Repeat("x", size) + `"`)
	began := time.Now()
	var greedy []*device
	for i := range connections {
		d := n.connect(as("greedy", fmt.Sprint("g", i)))
		greedy = append(greedy, d)
		for seq := range uint64(messages) {
			d.send(message{Type: "telemetry", Seq: seq + 1, Data: data})
		}
	}
	n.until("all of them wait", func() bool { return n.gateway.Usage("greedy").Waiting == connections })
	n.until("nothing of theirs is held", func() bool { // but messages that have not arrived in full
		st, memory := n.gateway.Stats(), n.gateway.Memory()
		return memory.Moving.Held() == 0 && memory.Held.Held() == 0 && st.Lanes.Queued == 0 && st.Lanes.Waiting == 0
	})
	quiet := n.connect(as("quiet", "q"))
	for seq := range uint64(200) {
		quiet.telemetry(seq + 1)
		quiet.wantAck(seq + 1)
	}
	if n.gateway.Usage("greedy").Waiting == 0 {
		t.Error("nobody of the flood waits any more")
	}
	if n.gateway.Usage("quiet").Over[quota.Rate] != 0 {
		t.Error("the quiet tenant was held back")
	}
	stored := 0
	for _, r := range n.log.all() {
		if strings.HasPrefix(r.device, "g") {
			stored += len(r.data)
		}
	}
	const brought = 2 * (64<<10 + 16<<10) // a read and what went on with it, and one more where a debt was small
	if most := int(rate*(time.Since(began).Seconds()+1)) + connections*brought; stored > most {
		t.Errorf("%d bytes of the flood are in the log, want at most %d", stored, most)
	}
	book.Give(quota.Limits{}, nil)
	n.gateway.QuotasChanged()
	for i, d := range greedy {
		d.wantAck(messages)
		wantInOrder(t, n.log.of(fmt.Sprint("g", i)), messages)
	}
	n.until("all are read from", func() bool { return n.server.Stats().Paused == 0 })
}

// TestTenant_RateOfWhoComesAgain: a device of a tenant that is over its rate cannot go on by
// connecting again: it is not read from before there is room, by WebSocket and by MQTT.
func TestTenant_RateOfWhoComesAgain(t *testing.T) {
	t.Parallel()
	n := startNode(t, &memLog{}, gateway.Config{Quotas: bookOf(map[string]quota.Limits{"acme": {Messages: 1}})})
	const messages = 60 // a minute's worth
	d := n.connect(as("acme", "a"))
	for seq := range uint64(messages) {
		d.telemetry(seq + 1)
	}
	waiting := func(want int) func() bool {
		return func() bool { return n.gateway.Usage("acme").Waiting == want }
	}
	n.until("it waits", waiting(1))
	_ = d.ws.CloseNow()
	n.until("it is gone", func() bool { return n.gateway.Usage("acme").Connections == 0 })
	n.connect(as("acme", "a"))
	n.until("it waits again, and has sent nothing", waiting(1))
	c := n.mqtt(true)
	c.send(connectOf(5, 0x82, 60, "", "m5", "acme"))
	c.read()
	n.until("so does another one, by MQTT", waiting(2))
}

// TestTenant_CountedByName: a tenant is counted by its name for as long as it has quotas of
// its own, then with all others: names that come and go do not add up.
func TestTenant_CountedByName(t *testing.T) {
	t.Parallel()
	book := bookOf(map[string]quota.Limits{"acme": {Connections: 1}})
	n := startNode(t, &memLog{}, gateway.Config{Quotas: book})
	n.connect(as("acme", "a"))
	refused := func(want int, counted string) {
		t.Helper()
		if _, status, _ := n.dialWith("device="+as("acme", "b"), &websocket.DialOptions{Subprotocols: []string{envelope.ProtoJSON}}); status != 429 {
			t.Errorf("a second connection was answered %d, want 429", status)
		}
		n.until(fmt.Sprintf("%d refusals to be counted for %q", want, counted), func() bool {
			return n.gateway.OverQuota()[counted][quota.Connections] == uint64(want)
		})
	}
	refused(1, "acme")
	book.Give(quota.Limits{Connections: 1}, nil)
	n.gateway.QuotasChanged()
	refused(2, quota.Others)
	if all := n.gateway.OverQuota(); len(all) != 1 {
		t.Errorf("counted are %v, want one row for all", all)
	}
}

// TestTenant_StoredBytes: a tenant that has as much in the log as it may have is told so of each
// message, which is not in the log then; it stays connected where the protocol can say so, and
// other tenants notice nothing. With room again its messages are taken.
func TestTenant_StoredBytes(t *testing.T) {
	t.Parallel()
	var stored atomic.Int64
	stored.Store(1000)
	n := startNode(t, &memLog{}, gateway.Config{
		Quotas: bookOf(map[string]quota.Limits{"acme": {Stored: 1000}, "other": {Stored: 1001}}), StoredBytes: func(string) int64 { return stored.Load() },
	})
	d, other := n.connect(as("acme", "a")), n.connect(as("other", "o"))
	const refused = 20 // more than there may be faults
	for seq := range uint64(refused) {
		d.telemetry(seq + 1)
		if m := d.want("error"); m.Code != envelope.CodeQuota || m.Seq != seq+1 {
			t.Fatalf("message %d is answered %+v", seq+1, m)
		}
	}
	other.telemetry(1)
	other.wantAck(1)
	c := n.mqtt(true)
	c.send(connectOf(5, 0x82, 60, "", "m5", "acme"))
	c.read()
	c.send(c.publishOf(1, "t", "1"))
	if p := c.read(); p[0] != 0x40 || p[3] != 1 || p[4] != 0x97 {
		t.Errorf("in 5.0 a PUBLISH is answered % x, want a PUBACK of 0x97", p)
	}
	old := n.mqtt(false)
	old.send(connectOf(4, 0x82, 60, "", "m3", "acme"))
	old.read()
	old.send(old.publishOf(1, "t", "1"))
	old.wantEnd(0)
	for _, device := range []string{"a", "m5", "m3"} {
		if got := n.log.of(device); len(got) != 0 {
			t.Errorf("of %s the log has %+v", device, got)
		}
	}
	n.until("all that was refused to be counted", func() bool { return n.gateway.Usage("acme").Over[quota.Stored] == refused+2 })
	if over := n.gateway.Usage("other").Over[quota.Stored]; over != 0 {
		t.Errorf("others are over %d times", over)
	}
	stored.Store(999)
	for seq := range uint64(refused) { // again
		d.telemetry(seq + 1)
	}
	d.wantAck(refused)
}

// TestTenant_StoredBytesNoHole: a sequence that the quota refused holds back all above it on its
// connection, also when there is room again, until it comes again: else it would be
// acknowledged with them, and lost. So with the property seq of MQTT 5.0.
func TestTenant_StoredBytesNoHole(t *testing.T) {
	t.Parallel()
	var stored atomic.Int64
	n := startNode(t, &memLog{}, gateway.Config{
		Quotas: bookOf(map[string]quota.Limits{"acme": {Stored: 1000}}), StoredBytes: func(string) int64 { return stored.Load() },
	})
	d := n.connect(as("acme", "a"))
	c := n.mqtt(true)
	c.send(connectOf(5, 0x82, 60, "", "m", "acme"))
	c.read()
	sent := byte(0)
	for name, answer := range map[string]func(seq uint64) (refused bool){
		"a": func(seq uint64) bool {
			d.telemetry(seq)
			for {
				switch m, err := d.read(); {
				case err != nil:
					t.Fatal(err)
				case m.Type == "error" && (m.Seq != seq || m.Code != envelope.CodeQuota):
					t.Fatalf("%d is answered %+v", seq, m)
				case m.Type == "error" || m.Upto >= seq:
					return m.Type == "error"
				}
			}
		},
		"m": func(seq uint64) bool {
			sent++
			c.send(packet(0x32, text("t"), []byte{0, sent, byte(len(seqProperty(seq)))}, seqProperty(seq), []byte(fmt.Sprint(seq))))
			p := c.read()
			return len(p) > 4 && p[4] == 0x97
		},
	} {
		for _, step := range []struct {
			stored  int64
			seq     uint64
			refused bool
		}{
			{0, 5, false},
			{1000, 10, true},
			{0, 11, true},
			{0, 300, true},
			{1000, 12, true},
			{1000, 9, true},
			{0, 10, true}, // what was refused last, the lowest, counts
			{0, 9, false},
			{0, 10, false},
			{0, 11, false},
			{0, 300, false},
		} {
			stored.Store(step.stored)
			if got := answer(step.seq); got != step.refused {
				t.Fatalf("%s: sequence %d with %d bytes stored is refused: %t", name, step.seq, step.stored, got)
			}
		}
		var got []uint64
		for _, r := range n.log.of(name) {
			got = append(got, r.seq)
		}
		if !slices.Equal(got, []uint64{5, 9, 10, 11, 300}) {
			t.Errorf("%s: the log has %v", name, got)
		}
	}
	stored.Store(1000)
	d.telemetry(1000) // too far off to be remembered
	d.wantClosed(1013)
	stored.Store(0)
	d = n.connect(as("acme", "a"))
	if d.welcome.Upto != 300 {
		t.Errorf("the welcome says %d", d.welcome.Upto)
	}
	d.telemetry(1000)
	d.wantAck(1000)
}

// seqProperty is the user property seq, without its length before it.
func seqProperty(seq uint64) []byte {
	return slices.Concat([]byte{0x26}, text("seq"), text(fmt.Sprint(seq)))
}
