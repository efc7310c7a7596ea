package mqttapi_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"edgeloop/admin/mqttapi"
	"edgeloop/internal/testkit"
)

// an ear hears all that comes to its client, and acknowledges it or not.
type ear struct {
	*client

	acks  bool
	heard chan message
}

func (c *client) ear(acks bool) *ear {
	e := &ear{client: c, acks: acks, heard: make(chan message, 1000)}
	_ = c.conn.SetReadDeadline(time.Now().Add(patience))
	go func() {
		defer close(e.heard)
		for r := bufio.NewReader(c.conn); ; {
			first, err := r.ReadByte()
			length, err2 := binary.ReadUvarint(r)
			body := make([]byte, min(length, 1<<20))
			if _, err3 := io.ReadFull(r, body); err != nil || err2 != nil || err3 != nil {
				return
			}
			if first>>4 != 3 {
				continue
			}
			m := c.parse(packet(first, body))
			if acks && m.qos > 0 {
				_, _ = c.conn.Write(binary.BigEndian.AppendUint16([]byte{0x40, 2}, m.id))
			}
			e.heard <- m
		}
	}()
	return e
}

// hear waits until all of want have come to one of the ears, and gives what came to each.
func hear(t testing.TB, want []string, ears ...*ear) (got [][]message) {
	t.Helper()
	got = make([][]message, len(ears))
	missing := slices.Clone(want)
	testkit.Eventually(t, patience, fmt.Sprint("the messages ", want), func() bool {
		for i, e := range ears {
			for more := true; more; {
				select {
				case m, ok := <-e.heard:
					if more = ok; ok {
						got[i] = append(got[i], m)
						missing = slices.DeleteFunc(missing, func(p string) bool { return p == m.payload })
					}
				default:
					more = false
				}
			}
		}
		return len(missing) == 0
	})
	return got
}

func payloads(all []message) (out []string) {
	for _, m := range all {
		out = append(out, m.payload)
	}
	return out
}

// addMany adds n messages of each of some devices, "DEVICE-NUMBER", and says which they are.
func (n *node) addMany(topic string, many int, devices ...string) (all []string) {
	n.Helper()
	for i := range many {
		for _, d := range devices {
			all = append(all, fmt.Sprint(d, "-", i))
			n.add("acme", d, topic, all[len(all)-1])
		}
	}
	return all
}

var someDevices = []string{"a", "b", "c", "d", "e", "f", "g", "h"}

// member is a client in the group g, over the filter t/#, that hears.
func (n *node) member(h hello, qos byte, acks bool) *ear {
	n.Helper()
	h.token = tokenAcme
	c, present := n.enter(h)
	if got := c.subscribe(qos, "$share/g/t/#"); !present && got[0] != qos {
		n.Fatalf("SUBACK % x", got)
	}
	return c.ear(acks)
}

// Each record goes to one member of a group, and those of a device to one, in order, with the QoS
// that this one has. Another group, and who is in none, get all. [MQTT-4.8.2-3]
func TestGroup_OneOfThem(t *testing.T) {
	t.Parallel()
	n := start(t, t.TempDir(), mqttapi.Config{})
	ears := []*ear{
		n.member(hello{id: "one", clean: true}, 1, true),
		n.member(hello{id: "two", clean: true}, 1, true),
		n.member(hello{id: "three", clean: true, v311: true}, 0, true),
	}
	other, _ := n.enter(hello{id: "other", token: tokenAcme, clean: true})
	other.subscribe(1, "$share/other/t/#", "t/+")
	all := n.addMany("t/x", 5, someDevices...)
	n.add("acme", "a", "u", "not wanted")
	n.add("globex", "a", "t/x", "not theirs")
	got := hear(t, all, ears...)
	of := map[string]int{}
	count := 0
	for i, messages := range got {
		last := map[string]string{}
		for _, m := range messages {
			device, number, _ := strings.Cut(m.payload, "-")
			if who, known := of[device]; known && who != i || number < last[device] {
				t.Errorf("member %d got %s, behind %s, of a device of member %d", i, m.payload, last[device], who)
			}
			of[device], last[device] = i, number
			if want := byte(1 - i/2); m.qos != want { // the third asked for 0
				t.Errorf("member %d got %s with QoS %d", i, m.payload, m.qos)
			}
			count++
		}
	}
	if count != len(all) {
		t.Errorf("%d messages for %d records: %v", count, len(all), got)
	}
	all = append(slices.Clone(all), all...) // for each of its subscriptions
	for _, e := 0, other.ear(true); len(all) > 0; {
		m := testkit.Receive(t, patience, fmt.Sprint("the messages ", all), e.heard)
		at := slices.Index(all, m.payload)
		if at < 0 {
			t.Fatalf("%s came once more than subscribed", m.payload)
		}
		all = slices.Delete(all, at, at+1)
	}
}

// What a member has not acknowledged when it goes is given to another, in order, and before what
// is newer.
func TestGroup_GoesToAnother(t *testing.T) {
	t.Parallel()
	n := start(t, t.TempDir(), mqttapi.Config{})
	mute := n.member(hello{id: "mute", clean: true}, 1, false)
	first := n.addMany("t/x", 3, "a", "b")
	if got := payloads(hear(t, first, mute)[0]); !slices.Equal(got, first) {
		t.Fatalf("the one member got %v", got)
	}
	heir := n.member(hello{id: "heir", clean: true}, 1, true)
	_ = mute.conn.Close()
	more := n.addMany("t/x", 1, "z")
	got := hear(t, slices.Concat(first, more), heir)[0]
	got = slices.DeleteFunc(got, func(m message) bool { return strings.HasPrefix(m.payload, "z") })
	if !slices.Equal(payloads(got), first) {
		t.Errorf("the heir got %v, want %v", payloads(got), first)
	}
	for _, m := range got {
		if m.dup {
			t.Errorf("%s is marked as sent before, to another", m.payload)
		}
	}
}

// A member that takes nothing more costs the others nothing: they get what it would have had.
func TestGroup_SlowMember(t *testing.T) {
	t.Parallel()
	n := start(t, t.TempDir(), mqttapi.Config{})
	slow := n.member(hello{id: "slow", clean: true, receive: 2}, 1, false)
	quick := n.member(hello{id: "quick", clean: true}, 1, true)
	all := n.addMany("t/x", 8, someDevices...)
	got := hear(t, all, slow, quick)
	if len(got[0]) > 2 || len(got[0])+len(got[1]) != len(all) {
		t.Errorf("the slow one got %v, the quick one %d of %d", payloads(got[0]), len(got[1]), len(all))
	}
}

// The place of a group is kept while a session has it, over a restart of the node, and where
// none has it any more the group begins anew.
func TestGroup_KeptPlace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	t.Run("first", func(t *testing.T) {
		n := start(t, dir, mqttapi.Config{})
		kept := n.member(hello{id: "kept", expiry: 3600}, 1, true)
		hear(t, n.addMany("t/x", 2, "a"), kept)
		kept.send([]byte{0xe0, 0})
		n.gone()
		n.addMany("t/away", 2, "b")
	})
	n := start(t, dir, mqttapi.Config{})
	all := n.addMany("t/new", 2, "c")
	c, present := n.enter(hello{id: "kept", token: tokenAcme, expiry: 3600})
	if !present {
		t.Fatal("no session")
	}
	e := c.ear(true)
	got := payloads(hear(t, append(all, "b-0", "b-1"), e)[0])
	if got = slices.DeleteFunc(got, func(p string) bool { return p[0] == 'a' }); !slices.Equal(got, []string{"b-0", "b-1", "c-0", "c-1"}) { // a may come again
		t.Errorf("got %v", got)
	}
	e.send(packet(0xa2, []byte{0, 9, 0}, text("$share/g/t/#"))) // UNSUBSCRIBE
	e.send([]byte{0xe0, 0})
	n.gone()
	n.addMany("t/nobody", 2, "d")
	anew := n.member(hello{id: "anew", clean: true}, 1, true)
	all = n.addMany("t/new", 2, "e")
	if got := payloads(hear(t, all, anew)[0]); !slices.Equal(got, all) {
		t.Errorf("a new group got %v, want %v", got, all)
	}
}

// What a member that is back in its session had not acknowledged comes again when nobody else took
// it: once, in order, marked, with the packet identifiers that it had, although the group was at its
// end meanwhile; over a restart too. What it never had is not marked. [MQTT-4.4.0-1] [MQTT-3.3.1-1]
func TestGroup_AgainToItself(t *testing.T) {
	t.Parallel()
	dir, h := t.TempDir(), hello{id: "m", expiry: 3600}
	var had []message
	t.Run("taken over", func(t *testing.T) {
		n := start(t, dir, mqttapi.Config{})
		mute := n.member(h, 1, false)
		had = hear(t, n.addMany("t/x", 3, "a"), mute)[0]
		n.again(h, had)
	})
	n := start(t, dir, mqttapi.Config{})
	e := n.again(h, had)
	n.add("acme", "b", "t/x", "new")
	if got := hear(t, []string{"new"}, e)[0]; len(got) != 1 || got[0].dup {
		t.Errorf("then came %+v, want one that is not marked", got)
	}
}

// again is the client of a session that had messages and has not acknowledged them: it gets them
// again, and does not acknowledge them.
func (n *node) again(h hello, had []message) *ear {
	n.Helper()
	h.token = tokenAcme
	c, present := n.enter(h)
	if !present {
		n.Fatal("no session")
	}
	e := c.ear(false)
	got := hear(n, payloads(had), e)[0]
	same := func(a, b message) bool { return a.payload == b.payload && a.id == b.id && b.dup }
	if !slices.EqualFunc(had, got, same) {
		n.Errorf("got %+v again, want %+v, marked", got, had)
	}
	return e
}

// What a member refuses is done with: it goes to nobody else, not even when that member goes.
// [MQTT-4.8.2-6]
func TestGroup_RefusedByAMember(t *testing.T) {
	t.Parallel()
	n := start(t, t.TempDir(), mqttapi.Config{})
	refuses := n.member(hello{id: "refuses", clean: true}, 1, false)
	had := hear(t, n.addMany("t/x", 3, "a", "b"), refuses)[0]
	heir := n.member(hello{id: "heir", clean: true}, 1, true)
	for _, m := range had[:len(had)-1] {
		refuses.send(append(binary.BigEndian.AppendUint16([]byte{0x40, 3}, m.id), 0x80))
	}
	refuses.leave()
	last := had[len(had)-1]
	if got := hear(t, []string{last.payload}, heir)[0]; len(got) != 1 {
		t.Errorf("the heir got %v, want %s, which was not refused, alone", payloads(got), last.payload)
	}
}

// There are no more groups than may be, and none where a group could be at several nodes; No Local
// is a protocol error. [MQTT-3.8.3-4]
func TestGroup_Refused(t *testing.T) {
	t.Parallel()
	n := start(t, t.TempDir(), mqttapi.Config{MaxTenantGroups: 2})
	c, _ := n.enter(hello{id: "app", token: tokenAcme, clean: true})
	long := strings.Repeat("x", 100)
	if got := c.subscribe(1, "$share/a/t", "$share/b/t", "$share/c/t", "$share/a/t", "$share/a/$SYS/x", "$share/a/"+long); !bytes.Equal(got, []byte{1, 1, 0x97, 1, 0x87, 0x97}) {
		t.Errorf("SUBACK % x", got)
	}
	other, _ := n.enter(hello{id: "other", token: tokenAll, user: "globex", clean: true})
	if got := other.subscribe(1, "$share/a/t"); got[0] != 1 {
		t.Errorf("another tenant's: % x", got)
	}
	c.send(packet(0xa2, []byte{0, 9, 0}, text("$share/b/t")))
	if p := c.next(); !bytes.Equal(p, []byte{0xb0, 4, 0, 9, 0, 0}) {
		t.Errorf("UNSUBACK % x", p)
	}
	if got := c.subscribe(1, "$share/c/t"); got[0] != 1 {
		t.Errorf("there is room again: % x", got)
	}
	c.send(packet(0x82, []byte{0, 7, 0}, text("$share/a/t"), []byte{4}))
	c.wantEnd(0x82)
	shared := start(t, t.TempDir(), mqttapi.Config{SharedLog: true})
	c, _ = shared.enter(hello{id: "app", token: tokenAcme, clean: true})
	if got := c.subscribe(1, "$share/a/t"); got[0] != 0x9e {
		t.Errorf("SUBACK % x", got)
	}
}
