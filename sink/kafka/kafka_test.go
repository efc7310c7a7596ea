package kafka_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"edgeloop/internal/testkit"
	"edgeloop/sink"
	"edgeloop/sink/kafka"
	"edgeloop/sink/keys"
	"edgeloop/sink/sinktest"
)

func TestMain(m *testing.M) { testkit.Leaks(m) }

const patience = time.Minute

func open(t *testing.T, partitions int) (*broker, map[string]any) {
	t.Helper()
	a := testkit.NewAuthority(t)
	b := &broker{addr: testkit.FreeAddr(t), dir: t.TempDir(), partitions: partitions, cert: a.Pair("kafka", nil)}
	b.up(t)
	t.Cleanup(b.down)
	password := filepath.Join(t.TempDir(), "password")
	put(t, password, "right")
	return b, map[string]any{"brokers": b.addr, "tls": true, "ca_file": a.File, "sasl": "scram-sha-256", "user": "edge", "password_file": password, "compression": "none"}
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// has says whether a request brings records with a text in them.
func has(text string) func(kmsg.Request) bool {
	return func(r kmsg.Request) bool {
		p, is := r.(*kmsg.ProduceRequest)
		return is && strings.Contains(string(p.Topics[0].Partitions[0].Records), text)
	}
}

func TestKafka_IsADestination(t *testing.T) {
	sinktest.Run(t, func(t *testing.T) *sinktest.Harness {
		b, values := open(t, 1)
		var fault *kfake.FaultHandle
		return &sinktest.Harness{
			New:      func(t *testing.T) sink.Destination { return sinktest.New(t, kafka.New, values) },
			Received: b.received,
			Down:     func(*testing.T) { b.down() }, Up: b.up,
			Hang: func(*testing.T) func() { return b.hold() },
			Full: func(_ *testing.T, full bool) {
				if full {
					fault = b.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.KafkaStorageError, Count: -1})
				} else {
					fault.Remove()
				}
			},
			Refuse: func(_ *testing.T, one, all bool) {
				if fault != nil {
					fault.Remove()
				}
				text := map[bool]string{true: "position", false: `"topic":"poison"`}[all]
				if one || all {
					fault = b.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.InvalidRecord, Count: -1, When: has(text)})
				}
			},
			Credentials: func(t *testing.T, right bool) {
				put(t, values["password_file"].(string), map[bool]string{true: "right", false: "wrong"}[right])
			},
		}
	})
}

// Which answers are of a record and which of the moment; after each the same records arrive,
// once, in order.
func TestKafka_WhatAnswersMean(t *testing.T) {
	b, values := open(t, 1)
	d := sinktest.New(t, kafka.New, values)
	position := uint64(0)
	for err, refuses := range map[*kerr.Error]bool{
		kerr.MessageTooLarge: true, kerr.RecordListTooLarge: true, kerr.InvalidRecord: true, kerr.InvalidTimestamp: true,
		kerr.NotLeaderForPartition: false, kerr.UnknownTopicOrPartition: false, kerr.NotEnoughReplicas: false, kerr.TopicAuthorizationFailed: false,
		kerr.KafkaStorageError: false, kerr.InvalidProducerEpoch: false, kerr.UnsupportedForMessageFormat: false, kerr.CorruptMessage: false,
	} {
		fault := b.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: err, Count: -1})
		position++
		records := []sink.Record{sinktest.Record(position, "a")}
		n, got := sinktest.Send(t, d, records)
		var no *sink.Refusal
		if n != 0 || errors.As(got, &no) != refuses {
			t.Errorf("%s: %d are confirmed, error %v", err.Message, n, got)
		}
		fault.Remove()
		if n, got := sinktest.Send(t, d, records); n != 1 || got != nil {
			t.Errorf("after %s %d are confirmed, error %v", err.Message, n, got)
		}
	}
	if got := b.received(t); !slices.Equal(got, sinktest.IDs(sinktest.Records(1, position)...)) {
		t.Errorf("it has %v", got)
	}
	values["topic"] = "nowhere"
	if n, err := sinktest.Send(t, sinktest.New(t, kafka.New, values), sinktest.Records(1, 1)); n != 0 || !errors.Is(err, kerr.UnknownTopicOrPartition) {
		t.Errorf("without a topic %d are confirmed, error %v", n, err)
	}
}

// A device chooses a topic that is not there, or that the user may not write to: its record is
// refused, and the others arrive. With a topic of the configuration both are of the moment, as
// above.
func TestKafka_TopicWithoutPlace(t *testing.T) {
	b, values := open(t, 1)
	values["topic"] = "{topic}"
	d := sinktest.New(t, kafka.New, values)
	refused := sinktest.Deliver(t, d, []sink.Record{
		sinktest.Record(1, "telemetry"), sinktest.Record(2, "nowhere"), sinktest.Record(3, "telemetry"), sinktest.Record(4, "nowhere"), sinktest.Record(5, "elsewhere"), sinktest.Record(6, "telemetry"),
	})
	if want := []string{"testlog-2", "testlog-4", "testlog-5"}; !slices.Equal(refused, want) {
		t.Errorf("refused %v, want %v", refused, want)
	}
	fault := b.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.TopicAuthorizationFailed, Count: -1})
	n, err := sinktest.Send(t, d, []sink.Record{sinktest.Record(7, "telemetry")})
	var no *sink.Refusal
	if n != 0 || !errors.As(err, &no) || no.Records != 1 {
		t.Errorf("without leave: %d confirmed, %v", n, err)
	}
	fault.Remove()
	if n, err := sinktest.Send(t, d, []sink.Record{sinktest.Record(8, "telemetry")}); n != 1 || err != nil {
		t.Errorf("with leave: %d confirmed, %v", n, err)
	}
	if got, want := b.received(t), []string{"testlog-1", "testlog-3", "testlog-6", "testlog-8"}; !slices.Equal(got, want) {
		t.Errorf("it has %v, want %v", got, want)
	}
}

// An attempt without an answer stays on its way, and the next one sends nothing twice and
// nothing past it.
func TestKafka_OutcomeUnknown(t *testing.T) {
	b, values := open(t, 3)
	d := sinktest.New(t, kafka.New, values)
	sinktest.Brings(t, d, sinktest.Records(1, 3))
	for _, cut := range []bool{false, true} { // it hears again; the connection is cut, and what it did not hear lost
		from := uint64(len(b.received(t)) + 1)
		resume := b.hold()
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		n, err := d.Send(ctx, sinktest.Records(from, from+30))
		cancel()
		var no *sink.Refusal
		if n != 0 || err == nil || errors.As(err, &no) {
			t.Fatalf("%d are confirmed, error %v", n, err)
		}
		if cut {
			b.down()
		}
		resume()
		if cut {
			b.up(t)
		}
		if refused := sinktest.Deliver(t, d, sinktest.Records(from, from+40)); refused != nil {
			t.Errorf("refused %v", refused)
		}
		byDevice(t, b, from+40)
	}
}

// byDevice insists that each record up to a position is there once, with its key and
// headers, and each device's in order.
func byDevice(t *testing.T, b *broker, upto uint64) {
	t.Helper()
	last, count := map[string]uint64{}, uint64(0)
	for _, r := range b.records(t) {
		device := header(r, "device")
		seq, _ := strconv.ParseUint(header(r, "seq"), 10, 64)
		if before, has := last[device]; has && seq != before+1 {
			t.Errorf("%s: %d came after %d", device, seq, before)
		}
		last[device] = seq
		count++
		if string(r.Key) != "default/"+device || header(r, "tenant") != "default" || header(r, "epoch") != "9007199254740992" || !strings.HasSuffix(string(r.Value), `,"position":"`+header(r, "position")+`"}`) {
			t.Errorf("key %s, headers %v, value %s", r.Key, r.Headers, r.Value)
		}
	}
	if count != upto {
		t.Errorf("it has %d records, want %d", count, upto)
	}
}

// A partition that takes nothing for a while makes no record of another one come twice.
func TestKafka_OnePartitionFails(t *testing.T) {
	b, values := open(t, 3)
	d := sinktest.New(t, kafka.New, values)
	sinktest.Brings(t, d, sinktest.Records(1, 30))
	first := b.records(t)[0].Partition
	fault := b.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Partitions: []int32{first}, Err: kerr.NotEnoughReplicas, Count: -1})
	n, err := sinktest.Send(t, d, sinktest.Records(31, 60))
	if n > 2 || err == nil {
		t.Errorf("%d are confirmed, error %v", n, err)
	}
	fault.Remove()
	if refused := sinktest.Deliver(t, d, sinktest.Records(31+uint64(n), 90)); refused != nil {
		t.Errorf("refused %v", refused)
	}
	byDevice(t, b, 90)
}

// The broker is down again and again while records go in, with and without an answer to what
// it has: each record is there once, each device's in order.
func TestKafka_DownInTheMiddle(t *testing.T) {
	b, values := open(t, 3)
	d := sinktest.New(t, kafka.New, values)
	const all, together = 2000, 50
	confirmed := make(chan uint64, all)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := uint64(1); n <= all; {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			got, _ := d.Send(ctx, sinktest.Records(n, min(all, n+together-1))) // what fails comes again
			cancel()
			if n += uint64(got); got > 0 {
				confirmed <- n - 1
			}
		}
	}()
	for range 2 {
		for range 5 {
			<-confirmed
		}
		b.down()
		b.up(t)
	}
	<-done
	byDevice(t, b, all)
}

// Every way to log in and to compress brings records; a record that is too large for the
// topic is refused, and no other one.
func TestKafka_WaysIn(t *testing.T) {
	b, values := open(t, 1)
	var want []string
	for i, compression := range []string{"gzip", "snappy", "lz4", "zstd"} {
		values["compression"] = compression
		if compression == "zstd" {
			values["sasl"] = "plain"
			put(t, values["password_file"].(string), "plain")
		}
		records := sinktest.Records(uint64(1+10*i), uint64(10+10*i))
		sinktest.Brings(t, sinktest.New(t, kafka.New, values), records)
		want = append(want, sinktest.IDs(records...)...)
	}
	values["max_bytes"], values["compression"] = "2KiB", "none"
	records := sinktest.Records(41, 60)
	records[7].Line = []byte(`{"data":"` + strings.Repeat("x", 3000) + `"}`)
	if refused := sinktest.Deliver(t, sinktest.New(t, kafka.New, values), records); !slices.Equal(refused, sinktest.IDs(records[7])) {
		t.Errorf("refused %v", refused)
	}
	want = append(want, sinktest.IDs(slices.Delete(slices.Clone(records), 7, 8)...)...)
	if got := b.received(t); !slices.Equal(got, want) {
		t.Errorf("it has %v", got)
	}
	values["topic"] = "telemetry{topic}"
	records = []sink.Record{sinktest.Record(61, ""), sinktest.Record(62, strings.Repeat("x", 250))}
	if refused := sinktest.Deliver(t, sinktest.New(t, kafka.New, values), records); !slices.Equal(refused, sinktest.IDs(records[1])) {
		t.Errorf("refused %v", refused)
	}
}

// What cannot work is refused before anything is sent.
func TestKafka_RefusedKeys(t *testing.T) {
	password := filepath.Join(t.TempDir(), "password")
	put(t, password, "right")
	for _, c := range []struct {
		values map[string]any
		say    []string
	}{
		{map[string]any{}, []string{"sinks.test.brokers", "missing"}},
		{map[string]any{"brokers": []any{"a:1", "kafka://x"}}, []string{"sinks.test.brokers", "host:port"}},
		{map[string]any{"brokers": "a:1", "topic": "a b"}, []string{"sinks.test.topic", "letters"}},
		{map[string]any{"brokers": "a:1", "topic": "{seq}"}, []string{"sinks.test.topic", "{device}"}},
		{map[string]any{"brokers": "a:1", "password": "s3cret"}, []string{"sinks.test.password", "password_file"}},
		{map[string]any{"brokers": "a:1", "user": "u"}, []string{"sinks.test.user", "sasl"}},
		{map[string]any{"brokers": "a:1", "sasl": "scram-sha-256"}, []string{"sinks.test.sasl", "password_file"}},
		{map[string]any{"brokers": "a:1", "sasl": "plain", "user": "u", "password_file": password}, []string{"sinks.test.sasl", "tls: true"}},
		{map[string]any{"brokers": "a:1", "ca_file": "/nowhere"}, []string{"sinks.test.ca_file", "tls: true"}},
		{map[string]any{"brokers": "a:1", "tls": true, "ca_file": "/nowhere"}, []string{"sinks.test.ca_file", "/nowhere"}},
		{map[string]any{"brokers": "a:1", "tls": true, "cert_file": "/nowhere"}, []string{"sinks.test.cert_file", "key_file"}},
		{map[string]any{"brokers": "a:1", "compression": "rar"}, []string{"sinks.test.compression", "zstd"}},
	} {
		m := keys.New("sinks.test", c.values)
		kafka.New(m)
		err := m.Err()
		for _, word := range c.say {
			if err == nil || !strings.Contains(err.Error(), word) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%v: it says %v, without %q", c.values, err, word)
			}
		}
	}
}

// A broker whose certificate nobody signed whom the operator names is not spoken to.
func TestKafka_TrustsWhoSigned(t *testing.T) {
	b, values := open(t, 1)
	sinktest.TrustsWhoSigned(t, kafka.New, values)
	if got := sinktest.Firsts(b.received(t)); !slices.Equal(got, sinktest.IDs(sinktest.Records(1, 3)...)) {
		t.Errorf("it has %v", got)
	}
}
