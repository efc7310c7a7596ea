package envelope_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"edgeloop/envelope"
)

// samples has every type with every field it may carry, and the least of each.
func samples() []envelope.Message {
	return []envelope.Message{
		{Type: envelope.TypeHeartbeat},
		{Type: envelope.TypeTelemetry, Seq: 7, Topic: []byte("temp"), TS: 1795234836000, Data: []byte(`{"c":21.5}`)},
		{Type: envelope.TypeTelemetry, Data: []byte(`21.5`)},
		{Type: envelope.TypeStatus, Seq: envelope.MaxSeq, TS: -1, Data: []byte(`"up"`)},
		{Type: envelope.TypeAlert, Seq: 1, Topic: []byte("döör/1"), Level: []byte("high"), Data: []byte(`[1,{"a":null}]`)},
		{Type: envelope.TypeAck, Upto: 7},
		{Type: envelope.TypeAck},
		{Type: envelope.TypeCommand, ID: []byte("01J"), Name: []byte("set-interval"), Data: []byte(`{"s":5}`)},
		{Type: envelope.TypeCommand, ID: []byte("01J"), Name: []byte("ping")},
		{Type: envelope.TypeReply, ID: []byte("01J"), OK: true, Data: []byte(`{}`)},
		{Type: envelope.TypeReply, ID: []byte("01J"), Code: []byte("busy"), Text: []byte("try \"later\"\n\x01\\")},
		{Type: envelope.TypeWelcome, Epoch: 3, Upto: 6, HeartbeatS: 30, Window: 64},
		{Type: envelope.TypeJoin, Group: []byte("g")},
		{Type: envelope.TypeLeave, Group: []byte("g")},
		{Type: envelope.TypeToken, Token: []byte("a.b.c")},
		{Type: envelope.TypeError, Code: []byte("bad_envelope"), Text: []byte("…"), Seq: 7},
		{Type: envelope.TypeError, Code: []byte("bad_crc")},
	}
}

func wantMessage(t *testing.T, what string, want, got envelope.Message) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(envelope.Message{})); diff != "" {
		t.Errorf("%s: %v (-want +got):\n%s", what, want.Type, diff)
	}
}

func codecs(t testing.TB, name string) (node, device envelope.Codec) {
	t.Helper()
	node, ok := envelope.ForProtocol(name)
	if !ok {
		t.Fatalf("no codec for %q", name)
	}
	device, ok = envelope.ForDevice(name)
	if !ok {
		t.Fatalf("no device codec for %q", name)
	}
	return node, device
}

// What one side writes, the other reads as the same message, and its own side
// refuses as a type that it does not take.
func TestCodec_RoundTrip(t *testing.T) {
	for _, name := range envelope.Protocols() {
		node, device := codecs(t, name)
		for _, want := range samples() {
			reader, writer := node, device
			if !want.Type.FromDevice() {
				reader, writer = device, node
			}
			b := writer.Append([]byte("kept"), &want)
			if !bytes.HasPrefix(b, []byte("kept")) {
				t.Fatalf("%s %v: Append overwrote what was in dst", name, want.Type)
			}
			var got envelope.Message
			if err := reader.Decode(writer.Binary(), b[4:], &got); err != nil {
				t.Errorf("%s %v: %v in\n%s", name, want.Type, err, hex.Dump(b[4:]))
				continue
			}
			wantMessage(t, name, want, got)
			if want.Type == envelope.TypeHeartbeat {
				continue
			}
			wantFault(t, writer.Decode(writer.Binary(), b[4:], &got), envelope.CodeUnsupportedType)
			wantMessage(t, name+" after a fault", envelope.Message{}, got)
		}
	}
}

func wantFault(t *testing.T, err error, code string, parts ...string) (seq uint64) {
	t.Helper()
	var f *envelope.Fault
	if !errors.As(err, &f) {
		t.Errorf("got error %v, want a fault %s", err, code)
		return 0
	}
	if f.Code != code {
		t.Errorf("got %s (%s), want code %s", f.Code, f.Message, code)
	}
	for _, part := range parts {
		if !strings.Contains(f.Message, part) {
			t.Errorf("message %q does not say %q", f.Message, part)
		}
	}
	return f.Seq
}
