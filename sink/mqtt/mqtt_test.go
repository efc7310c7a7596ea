package mqtt_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"

	"edgeloop/internal/testkit"
	"edgeloop/sink"
	"edgeloop/sink/keys"
	"edgeloop/sink/mqtt"
	"edgeloop/sink/sinktest"
)

// strict is another broker, which answers as it is told.
type strict struct {
	mochi.HookBase
	server *mochi.Server

	mu       sync.Mutex
	answer   func(topic string) error
	received []string
}

func (s *strict) Provides(b byte) bool {
	return bytes.IndexByte([]byte{mochi.OnPublish, mochi.OnConnectAuthenticate, mochi.OnACLCheck}, b) >= 0
}

func (s *strict) OnConnectAuthenticate(*mochi.Client, packets.Packet) bool { return true }

func (s *strict) OnACLCheck(*mochi.Client, string, bool) bool { return true }

func (s *strict) OnPublish(cl *mochi.Client, pk packets.Packet) (packets.Packet, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.answer != nil {
		if err := s.answer(pk.TopicName); err != nil {
			if errors.Is(err, packets.ErrMalformedPacket) { // one that leaves instead of answering
				return pk, s.server.DisconnectClient(cl, packets.ErrMalformedPacket)
			}
			return pk, err
		}
	}
	var r struct{ Position string }
	_ = json.Unmarshal(pk.Payload, &r)
	s.received = append(s.received, r.Position)
	return pk, nil
}

func (s *strict) say(answer func(topic string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

func (s *strict) heard(*testing.T) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.received)
}

func openStrict(t *testing.T) (*strict, map[string]any) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &strict{server: mochi.New(&mochi.Options{Logger: slog.New(slog.DiscardHandler)})}
	if err := s.server.AddHook(s, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.server.AddListener(listeners.NewNet("test", ln)); err != nil {
		t.Fatal(err)
	}
	if err := s.server.Serve(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.server.Close() })
	return s, map[string]any{"url": "mqtt://" + ln.Addr().String(), "topic": "edge/{topic}"}
}

// Brokers that are full, and that refuse records, by PUBACK and by leaving.
func TestMQTT_RefusingBroker(t *testing.T) {
	for name, no := range map[string]packets.Code{"PUBACK": packets.ErrPayloadFormatInvalid, "DISCONNECT": packets.ErrMalformedPacket} {
		t.Run(name, func(t *testing.T) {
			sinktest.Run(t, func(t *testing.T) *sinktest.Harness {
				s, values := openStrict(t)
				return &sinktest.Harness{
					New:      func(t *testing.T) sink.Destination { return sinktest.New(t, mqtt.New, values) },
					Received: s.heard,
					ByDevice: true,
					Full: func(_ *testing.T, full bool) {
						s.say(func(string) error {
							if full {
								return packets.ErrQuotaExceeded
							}
							return nil
						})
					},
					Refuse: func(_ *testing.T, one, all bool) {
						s.say(func(topic string) error {
							if all || one && topic == "edge/poison" {
								return no
							}
							return nil
						})
					},
				}
			})
		})
	}
}

// What a reason code means is for the code to say: a record that will never do is refused, and
// what somebody can put right is of the moment, and costs no record. No leave for a topic that the
// device chose is of the record.
func TestMQTT_ReasonCodes(t *testing.T) {
	s, values := openStrict(t)
	d := sinktest.New(t, mqtt.New, values)
	for code, refused := range map[packets.Code]bool{
		packets.ErrTopicNameInvalid: true, packets.ErrPayloadFormatInvalid: true, packets.ErrPacketTooLarge: true,
		packets.ErrNotAuthorized: true, packets.ErrQuotaExceeded: false, packets.ErrUnspecifiedError: false,
		packets.ErrImplementationSpecificError: false, packets.ErrServerBusy: false,
	} {
		s.say(func(topic string) error {
			if topic == "edge/poison" {
				return code
			}
			return nil
		})
		n, err := sinktest.Send(t, d, []sink.Record{sinktest.Record(1, "a"), sinktest.Record(2, "poison"), sinktest.Record(3, "a")})
		var no *sink.Refusal
		is := errors.As(err, &no)
		if n != 1 || is != refused || is && no.Records != 1 {
			t.Errorf("%s: %d are confirmed, %v", code.Reason, n, err)
		}
	}
	s.say(nil)
	if refused := sinktest.Deliver(t, d, sinktest.Records(4, 6)); refused != nil {
		t.Errorf("refused %v", refused)
	}
}

// A reader at the broker gets what tells one record from another beside the payload, topics
// by the template, and what the rule says is retained. No leave for a topic is of the moment,
// and what is too large for the broker is refused.
func TestMQTT_WhatMosquittoHas(t *testing.T) {
	b := open(t)
	values := b.keys()
	values["topic"], values["format"], values["retain"] = "edge/{device}/{topic}", "data", map[string]any{"types": "status", "topic": "s/#"}
	d := sinktest.New(t, mqtt.New, values)
	state, odd, bare := sinktest.Record(3, "s/1"), sinktest.Record(4, "a+b/#/\u0085\uffff\xffé"), sinktest.Record(5, "")
	state.Type, bare.Seq = "status", 0
	sinktest.Brings(t, d, []sink.Record{sinktest.Record(2, "temp"), state, odd, bare})
	var got []message
	testkit.Eventually(t, patience, "the listener to have all", func() bool {
		got = nil
		for _, m := range b.messages(t) {
			if !slices.ContainsFunc(got, func(o message) bool { return o.Topic == m.Topic && bytes.Equal(o.Of, m.Of) }) {
				got = append(got, m)
			}
		}
		return len(got) == 4
	})
	slices.SortFunc(got, func(a, b message) int { return bytes.Compare(a.Of, b.Of) }) // they are of several devices
	for i, want := range []string{"edge/d2/temp", "edge/d0/s/1", "edge/d1/a=2Bb/=23/=C2=85=EF=BF=BF=FFé", "edge/d2/="} {
		if got[i].Topic != want || string(got[i].Of) != map[int]string{0: `{"c":2}`, 1: `{"c":3}`, 2: `{"c":4}`, 3: `{"c":5}`}[i] {
			t.Errorf("message %d is %+v", i, got[i])
		}
	}
	for _, word := range []string{"tenant:default", "device:d2", "epoch:9007199254740992", "position:testlog-2", "seq:1", "type:telemetry"} {
		if !strings.Contains(got[0].Props, word) {
			t.Errorf("the properties %q have no %s", got[0].Props, word)
		}
	}
	if strings.Contains(got[3].Props, "seq:") {
		t.Errorf("a record without a sequence has %q", got[3].Props)
	}
	if kept := b.retained(t); !slices.Equal(kept, []string{"edge/d0/s/1"}) {
		t.Errorf("retained is %v", kept)
	}
	values["topic"] = "forbidden/{topic}"
	if n, err := sinktest.Send(t, sinktest.New(t, mqtt.New, values), sinktest.Records(1, 1)); n != 0 || err == nil || !strings.Contains(err.Error(), "authorized") {
		t.Errorf("without leave %d are confirmed, %v", n, err)
	}
	for _, c := range []struct {
		bytes int
		say   string
	}{{22_000, "0x95"}, {30_000, "the broker takes 25000"}} { // by its PUBACK, and by what it said in CONNACK
		large := sinktest.Record(6, "temp")
		large.Data = json.RawMessage(`"` + strings.Repeat("x", c.bytes) + `"`)
		// Alone, and again: this Mosquitto leaves behind its PUBACK, which is lost when it has not read all.
		var no *sink.Refusal
		testkit.Eventually(t, patience, "it to be refused", func() bool {
			n, err := sinktest.Send(t, d, []sink.Record{large})
			if n != 0 || err == nil {
				t.Fatalf("of %d bytes %d are confirmed, %v", c.bytes, n, err)
			}
			return errors.As(err, &no)
		})
		if !strings.Contains(no.Reason, c.say) {
			t.Errorf("%d bytes are refused: %s", c.bytes, no.Reason)
		}
	}
}

// What cannot work is refused before anything is sent.
func TestMQTT_RefusedKeys(t *testing.T) {
	const url = "mqtt://x"
	for _, c := range []struct {
		values map[string]any
		say    string // words separated by |
	}{
		{map[string]any{}, "sinks.test.url|missing"},
		{map[string]any{"url": "http://x"}, "sinks.test.url|mqtts://host:8883"},
		{map[string]any{"url": "mqtt://u:s3cret@x"}, "sinks.test.url|password_file"},
		{map[string]any{"url": url, "user": "u"}, "sinks.test.user|password_file"},
		{map[string]any{"url": url, "password": "s3cret"}, "sinks.test.password|password_file"},
		{map[string]any{"url": url, "topic": "a/{dev}"}, "sinks.test.topic|{device}"},
		{map[string]any{"url": url, "topic": "a/+/{device}"}, "sinks.test.topic|+"},
		{map[string]any{"url": url, "format": "xml"}, "sinks.test.format|record, cloudevents, data"},
		{map[string]any{"url": url, "retain": map[string]any{"types": "noise"}}, "sinks.test.retain.types|telemetry"},
		{map[string]any{"url": url, "ca_file": "/x"}, "sinks.test.ca_file|mqtts"},
		{map[string]any{"url": "mqtts://x", "ca_file": "/nowhere"}, "sinks.test.ca_file|nowhere"},
		{map[string]any{"url": "mqtts://x", "cert_file": "/x"}, "sinks.test.cert_file|key_file"},
	} {
		m := keys.New("sinks.test", c.values)
		mqtt.New(m)
		err := m.Err()
		for word := range strings.SplitSeq(c.say, "|") {
			if err == nil || !strings.Contains(err.Error(), word) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%v: it says %v, without %q", c.values, err, word)
			}
		}
	}
}
