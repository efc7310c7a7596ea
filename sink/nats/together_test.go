package nats_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"edgeloop/internal/testkit"
	"edgeloop/sink"
	sinknats "edgeloop/sink/nats"
	"edgeloop/sink/sinktest"
)

// inBatch says whether a message of the stream came in a batch.
func (s *server) inBatch(t *testing.T, n uint64) bool {
	t.Helper()
	nc, err := nats.Connect("nats://"+s.addr, s.login()...)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), "IN")
	if err != nil {
		t.Fatal(err)
	}
	m, err := stream.GetMsg(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	return m.Header.Get("Nats-Batch-Id") != ""
}

// A stream that takes batches gets them, in the order of the log; what comes again is there once.
func TestNATS_Together(t *testing.T) {
	s, values := openWith(t, true)
	d := sinktest.New(t, sinknats.New, values)
	all := sinktest.Records(1, 1030)
	for _, part := range [][]sink.Record{all[:20], all[20:], all[5:30]} { // the second one is more than a batch
		sinktest.Brings(t, d, part)
	}
	if got := s.received(t); !slices.Equal(got[:20], sinktest.IDs(all[:20]...)) || len(got) != len(all) || len(missing(got, all)) > 0 {
		t.Errorf("the stream has %d: %v", len(got), got)
	}
	if !s.inBatch(t, 20) || !s.inBatch(t, 1020) || !s.inBatch(t, 1030) {
		t.Error("records came one by one")
	}
}

// A stream that refuses each batch, here for what is in it, is spared the next ones for a while, and
// longer each time. It gets them again when it takes one.
func TestNATS_TogetherInVain(t *testing.T) {
	s, values := openWith(t, true)
	d := sinktest.New(t, sinknats.New, values)
	all := sinktest.Records(1, 20)
	sinktest.Brings(t, d, all)
	batches := s.batches(t)
	const times = 200
	for range times {
		sinktest.Brings(t, d, all) // the stream has them
	}
	if n := len(batches()); n == 0 || n > times/4 { // 50 would take years
		t.Errorf("of %d times %d were tried as a batch", times, n)
	}
	next := uint64(1000)
	testkit.Eventually(t, patience, "a batch to be taken again", func() bool {
		records := sinktest.Records(next, next+9)
		next += 10
		sinktest.Brings(t, d, records)
		return s.inBatch(t, uint64(len(s.received(t))))
	})
}

// Of a batch with a record above the server's max_payload nothing is published as a batch, however
// often it comes: the client would refuse that record behind those in front of it, and the server
// would hold these for nothing. The next batch without one is sent as such.
func TestNATS_TogetherWithOneAboveMaxPayload(t *testing.T) {
	s, values := openWith(t, true)
	d := sinktest.New(t, sinknats.New, values)
	sinktest.Brings(t, d, sinktest.Records(1, 20))
	batches := s.batches(t)
	records := sinktest.Records(101, 130)
	records[15] = sinktest.Record(records[15].Position, strings.Repeat("x", 2<<20))
	for range 5 {
		var no *sink.Refusal
		testkit.Eventually(t, patience, "one to be refused", func() bool { // an attempt may fail for its time is over
			_, err := sinktest.Send(t, d, records)
			return errors.As(err, &no)
		})
	}
	sinktest.Brings(t, d, sinktest.Records(201, 230))
	got := batches()
	if len(got) == 0 {
		t.Error("records without one above it came one by one")
	}
	for _, n := range got {
		if n == 15 {
			t.Errorf("what is in front of it was published in vain: %v", got)
		}
	}
}

// batches gives, when it is called, how many messages were published in each batch since.
func (s *server) batches(t *testing.T) (read func() map[string]int) {
	t.Helper()
	nc, err := nats.Connect("nats://"+s.addr, s.login()...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	got := map[string]int{}
	var mu sync.Mutex
	_, err = nc.Subscribe("in.>", func(m *nats.Msg) {
		mu.Lock()
		defer mu.Unlock()
		if id := m.Header.Get("Nats-Batch-Id"); id != "" {
			got[id]++
		}
	})
	if err := errors.Join(err, nc.Flush()); err != nil {
		t.Fatal(err)
	}
	return func() map[string]int {
		t.Helper()
		if err := nc.Drain(); err != nil {
			t.Fatal(err)
		}
		testkit.Eventually(t, patience, "what was published to be read", nc.IsClosed)
		mu.Lock()
		defer mu.Unlock()
		return got
	}
}

// Where the stream refuses one of a batch, or has no place for it, it takes nothing of the batch.
// What is in front is stored then, and nothing of the same device that is behind.
func TestNATS_TogetherWithOneRefused(t *testing.T) {
	large := func(bytes int) func(*sink.Record) {
		return func(r *sink.Record) {
			*r = sinktest.Record(r.Position, strings.Repeat("x", bytes))
			r.Topic = "in"
		}
	}
	s, values := openWith(t, true)
	values["subject"] = "{topic}.{tenant}.{device}"
	d := sinktest.New(t, sinknats.New, values)
	spoilt := []func(r *sink.Record){large(5000), large(2 << 20), func(r *sink.Record) { r.Topic = "out" }} // no stream takes it
	places := []int{0, 15, 29}                                                                              // the first, one in the middle, the one that commits
	for from := range uint64(9) {
		spoil, at := spoilt[from%3], places[from/3]
		records := sinktest.Records(1+1000*from, 30+1000*from)
		for i := range records {
			records[i].Topic = "in"
		}
		spoil(&records[at])
		before := len(s.received(t))
		var no *sink.Refusal
		testkit.Eventually(t, patience, "one to be refused", func() bool { // an attempt may fail for its time is over
			n, err := sinktest.Send(t, d, records)
			if err == nil || errors.As(err, &no) && (n != at || no.Records != 1) {
				t.Fatalf("of %d, number %d: %d confirmed, %v", from, at, n, err)
			}
			return no != nil
		})
		got := s.received(t)[before:]
		if len(missing(got, records[:at])) > 0 {
			t.Errorf("confirmed and not there: %v", missing(got, records[:at]))
		}
		for i := at; i < len(records); i++ {
			if records[i].Device == records[at].Device && slices.Contains(got, records[i].ID()) {
				t.Errorf("%s is there, behind what was refused of its device", records[i].ID())
			}
		}
		refused := sinktest.Deliver(t, d, records)
		if got = s.received(t)[before:]; !slices.Equal(refused, sinktest.IDs(records[at])) || len(got) != 29 {
			t.Errorf("refused %v, there are %d", refused, len(got))
		}
	}
}
