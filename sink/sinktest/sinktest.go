package sinktest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"edgeloop/internal/testkit"
	"edgeloop/sink"
	"edgeloop/sink/keys"
)

// Log is the identity of the log that the records here are of.
const Log = "testlog"

// patience is how long anything may take that should come at once.
const patience = time.Minute

// A Harness is a destination and a server of its kind. What a kind cannot do is nil.
type Harness struct {
	// New makes a destination that sends to the server.
	New func(t *testing.T) sink.Destination
	// Received is the identities of what the server has, in its order, each as often as it
	// is there.
	Received func(t *testing.T) []string
	// Down ends the server, and Up starts it again with what it had.
	Down, Up func(t *testing.T)
	// Hang has the server take connections and answer nothing, until resume is called.
	Hang func(t *testing.T) (resume func())
	// Full has the server have no room for more, or room again.
	Full func(t *testing.T, full bool)
	// Refuse has the server refuse records of the topic "poison", or all if all is true,
	// or none.
	Refuse func(t *testing.T, one, all bool)
	// Credentials has the destination use credentials that are right, or wrong.
	Credentials func(t *testing.T, right bool)
	// Once says that what is sent twice is there once.
	Once bool
	// Again says that what is behind a failure may be there already, and come again.
	Again bool
	// ByDevice says that the order is each device's and not the log's, and Again.
	ByDevice bool

	failed bool // an attempt failed that should not have: what it brought may be there, and come again
}

// Records makes records of three devices with the positions from..to.
func Records(from, to uint64) (out []sink.Record) {
	for n := from; n <= to; n++ {
		out = append(out, Record(n, "temp"))
	}
	return out
}

// Record makes one record.
func Record(position uint64, topic string) sink.Record {
	r := sink.Record{
		Log: Log, Position: position, Tenant: "default", Device: fmt.Sprintf("d%d", position%3), Epoch: 1 << 53, Seq: position/3 + 1,
		Type: "telemetry", Topic: topic, Received: 1795234836000, Data: json.RawMessage(fmt.Sprintf(`{"c":%d}`, position)),
	}
	r.Line = fmt.Appendf(nil, `{"tenant":"default","device":%q,"epoch":%d,"seq":%d,"type":"telemetry","topic":%q,"received":%d,"data":%s}`,
		r.Device, r.Epoch, r.Seq, topic, r.Received, r.Data)
	return r
}

// Told makes a record that has what goes beside it: trace context, and properties of MQTT, some of
// which would pass for what the node, a server or a framework says.
func Told() sink.Record {
	r := Record(1, "a")
	r.Trace = sink.Trace{Parent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", State: "a=1"}
	r.Properties = &sink.Properties{
		ContentType: "text/x-celsius", ResponseTopic: "answers/1", CorrelationData: []byte("c1"),
		User: [][2]string{{"region", "eu"}, {"position", "testlog-99"}, {"Device", "other"}, {"Nats-Msg-Id", "testlog-98"}, {"Status", "400"}, {"__TypeId__", "x"}, {"a b", "x\ny"}},
	}
	return r
}

// IDs are the identities of records.
func IDs(records ...sink.Record) (ids []string) {
	for i := range records {
		ids = append(ids, records[i].ID())
	}
	return ids
}

// Firsts is what came without what came again: all that may be asked of what comes at least once.
func Firsts(got []string) (first []string) {
	for _, one := range got {
		if !slices.Contains(first, one) {
			first = append(first, one)
		}
	}
	return first
}

// New makes a destination of keys.
func New(t testing.TB, kind sink.Kind, values map[string]any) sink.Destination {
	t.Helper()
	m := keys.New("sinks.test", values)
	d := kind(m)
	if err := m.Err(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close(context.Background()) }) // it is the end of the test
	return d
}

// Send sends once.
func Send(t *testing.T, d sink.Destination, records []sink.Record) (int, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	n, err := d.Send(ctx, records)
	if n < 0 || n > len(records) || n < len(records) && err == nil {
		t.Fatalf("of %d records %d are confirmed, with error %v", len(records), n, err)
	}
	return n, err
}

// Deliver sends as the engine does, until all are confirmed or refused.
func Deliver(t *testing.T, d sink.Destination, records []sink.Record) (refused []string) {
	t.Helper()
	refused, _ = deliver(t, d, records)
	return refused
}

// Brings has all records confirmed. On a machine that stands still an attempt may fail for its
// time is over; then the next one is as good, for a test as for the engine.
func Brings(t *testing.T, d sink.Destination, records []sink.Record) {
	t.Helper()
	if refused := Deliver(t, d, records); refused != nil {
		t.Fatalf("refused %v", refused)
	}
}

// deliver is Deliver, and says whether an attempt failed without a refusal.
func deliver(t *testing.T, d sink.Destination, records []sink.Record) (refused []string, failed bool) {
	t.Helper()
	together := len(records)
	testkit.Eventually(t, 4*patience, "all records to be delivered", func() bool {
		together = max(1, min(together, len(records)))
		n, err := Send(t, d, records[:together])
		records = records[n:]
		var no *sink.Refusal
		switch {
		case !errors.As(err, &no):
			failed = failed || err != nil
		case no.Records > 1 && together-n > 1:
			together = (together - n) / 2
		default:
			refused, records = append(refused, records[0].ID()), records[1:]
		}
		return len(records) == 0
	})
	return refused, failed
}

// Run runs the tests that fit the harness. open makes a server of its own for each.
func Run(t *testing.T, open func(t *testing.T) *Harness) {
	for _, one := range []struct {
		name string
		run  func(*testing.T, *Harness)
	}{
		{"what is confirmed is there, in order", inOrder},
		{"after Close it begins anew", afterClose},
		{"down is of the moment, and passes", down},
		{"full is of the moment, and passes", full},
		{"who answers nothing is left when the time is over", hanging},
		{"one refused record takes no other with it", refusesOne},
		{"refusing all confirms none", refusesAll},
		{"wrong credentials are of the moment, and can be put right", credentials},
	} {
		t.Run(one.name, func(t *testing.T) { one.run(t, open(t)) })
	}
}

// brings has all records but those confirmed that the server refuses, whose identities it gives.
func (h *Harness) brings(t *testing.T, d sink.Destination, records []sink.Record) (refused []string) {
	t.Helper()
	refused, failed := deliver(t, d, records)
	h.failed = h.failed || failed
	return refused
}

// wants insists on what the server has: exactly, unless an attempt failed, which leaves in doubt
// what it brought.
func (h *Harness) wants(t *testing.T, ids []string) {
	t.Helper()
	h.has(t, ids, h.failed && !h.Once)
}

// wantsBehindRefusals is wants where records were refused in front of others.
func (h *Harness) wantsBehindRefusals(t *testing.T, ids []string) {
	t.Helper()
	h.has(t, ids, h.ByDevice || h.Again || h.failed && !h.Once)
}

// has insists on what the server has. With again, what comes after the first time does not count.
func (h *Harness) has(t *testing.T, ids []string, again bool) {
	t.Helper()
	received := h.Received
	if again {
		ids, received = Firsts(ids), func(t *testing.T) []string { t.Helper(); return Firsts(h.Received(t)) }
	}
	var got []string
	testkit.Eventually(t, patience, "the server to have what was confirmed", func() bool {
		got = received(t)
		return len(got) >= len(ids)
	})
	if !slices.Equal(h.order(got), h.order(ids)) {
		t.Errorf("the server has %v\nwant %v", got, ids)
	}
}

// order is what came in the order that counts: one device after the other if that is each
// device's.
func (h *Harness) order(ids []string) []string {
	if !h.ByDevice {
		return ids
	}
	device := func(id string) int {
		position, _ := strconv.Atoi(strings.TrimPrefix(id, Log+"-")) // what is none is of device 0
		return position % 3
	}
	ids = slices.Clone(ids)
	slices.SortStableFunc(ids, func(a, b string) int { return device(a) - device(b) })
	return ids
}

func inOrder(t *testing.T, h *Harness) {
	d := h.New(t)
	for _, records := range [][]sink.Record{Records(1, 1), Records(2, 90), Records(91, 100)} {
		h.brings(t, d, records)
	}
	h.wants(t, IDs(Records(1, 100)...))
	h.brings(t, d, Records(95, 100))
	again := Records(95, 100)
	if h.Once {
		again = nil
	}
	h.wants(t, append(IDs(Records(1, 100)...), IDs(again...)...))
}

func afterClose(t *testing.T, h *Harness) {
	d := h.New(t)
	for n := uint64(1); n <= 3; n++ {
		h.brings(t, d, Records(n, n))
		if err := d.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	h.wants(t, IDs(Records(1, 3)...))
}

func down(t *testing.T, h *Harness) {
	if h.Down == nil {
		t.Skip("there is no server that could be down")
	}
	passes(t, h, h.Down, h.Up)
}

func full(t *testing.T, h *Harness) {
	if h.Full == nil {
		t.Skip("it takes what comes")
	}
	passes(t, h, func(t *testing.T) { t.Helper(); h.Full(t, true) }, func(t *testing.T) { t.Helper(); h.Full(t, false) })
}

// passes insists that what begin does to the server is of the moment, and that nothing is missing,
// nor there twice, when end has undone it.
func passes(t *testing.T, h *Harness, begin, end func(*testing.T)) {
	t.Helper()
	d := h.New(t)
	h.brings(t, d, Records(1, 5))
	begin(t)
	n, err := Send(t, d, Records(6, 9))
	ofTheMoment(t, n, err)
	n, err = Send(t, h.New(t), Records(6, 9)) // one that never had a connection
	ofTheMoment(t, n, err)
	end(t)
	if refused := h.brings(t, d, Records(6, 9)); refused != nil {
		t.Errorf("refused %v", refused)
	}
	h.wants(t, IDs(Records(1, 9)...))
}

func ofTheMoment(t *testing.T, confirmed int, err error) {
	t.Helper()
	var no *sink.Refusal
	if confirmed != 0 || err == nil || errors.As(err, &no) {
		t.Fatalf("%d records are confirmed, error %v: want none and an error of the moment", confirmed, err)
	}
}

func hanging(t *testing.T, h *Harness) {
	if h.Hang == nil {
		t.Skip("it cannot hang")
	}
	d := h.New(t)
	resume := h.Hang(t)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	ended := make(chan struct{})
	var n int
	var err error
	go func() {
		defer close(ended)
		n, err = d.Send(ctx, Records(1, 4))
	}()
	select {
	case <-ended:
		ofTheMoment(t, n, err)
	case <-time.After(patience):
		t.Fatal("it waits although its time is over")
	}
	resume()
	if refused := h.brings(t, d, Records(1, 4)); refused != nil {
		t.Errorf("refused %v", refused)
	}
	testkit.Eventually(t, patience, "the server to have all, in order", func() bool {
		got := Firsts(h.Received(t)) // an attempt without an answer may have been taken
		return slices.Equal(h.order(got), h.order(IDs(Records(1, 4)...)))
	})
}

func refusesOne(t *testing.T, h *Harness) {
	if h.Refuse == nil {
		t.Skip("it never refuses a record")
	}
	h.Refuse(t, true, false)
	records := append(append(Records(1, 12), Record(13, "poison")), Records(14, 20)...)
	if refused := h.brings(t, h.New(t), records); !slices.Equal(refused, IDs(records[12])) {
		t.Errorf("refused %v", refused)
	}
	h.wantsBehindRefusals(t, IDs(append(Records(1, 12), Records(14, 20)...)...))
}

func refusesAll(t *testing.T, h *Harness) {
	if h.Refuse == nil {
		t.Skip("it never refuses a record")
	}
	h.Refuse(t, false, true)
	d := h.New(t)
	if refused := h.brings(t, d, Records(1, 5)); !slices.Equal(refused, IDs(Records(1, 5)...)) {
		t.Errorf("refused %v", refused)
	}
	if got := h.Received(t); len(got) != 0 {
		t.Errorf("the server has %v", got)
	}
	h.Refuse(t, false, false)
	h.brings(t, d, Records(1, 5))
	h.wants(t, IDs(Records(1, 5)...))
}

func credentials(t *testing.T, h *Harness) {
	if h.Credentials == nil {
		t.Skip("there are none")
	}
	h.Credentials(t, false)
	d := h.New(t)
	n, err := Send(t, d, Records(1, 3))
	ofTheMoment(t, n, err)
	h.Credentials(t, true)
	h.brings(t, d, Records(1, 3))
	h.wants(t, IDs(Records(1, 3)...))
}

// Fields are keys by which a destination is given objects with four members of a record.
func Fields() map[string]any {
	return map[string]any{"t": "data.c", "device": "device", "level": "level", "position": "position"}
}

// FieldsText is the object of Fields for the record with a position, as it must arrive.
func FieldsText(position uint64) string {
	r := Record(position, "temp")
	return fmt.Sprintf(`{"device":"%s","level":null,"position":"%s","t":%d}`, r.Device, r.ID(), position)
}
