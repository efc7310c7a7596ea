package envelope_test

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"edgeloop/envelope"
)

// protoDescriptor reads the fields of proto/edgeloop.proto, so that what the
// codec is compared with is the file that devices are built from.
func protoDescriptor(t testing.TB) protoreflect.MessageDescriptor {
	t.Helper()
	text, err := os.ReadFile("proto/edgeloop.proto")
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]descriptorpb.FieldDescriptorProto_Type{
		"string": descriptorpb.FieldDescriptorProto_TYPE_STRING, "bytes": descriptorpb.FieldDescriptorProto_TYPE_BYTES,
		"uint64": descriptorpb.FieldDescriptorProto_TYPE_UINT64, "uint32": descriptorpb.FieldDescriptorProto_TYPE_UINT32,
		"int64": descriptorpb.FieldDescriptorProto_TYPE_INT64, "bool": descriptorpb.FieldDescriptorProto_TYPE_BOOL,
	}
	message := &descriptorpb.DescriptorProto{Name: proto.String("Envelope")}
	for _, m := range regexp.MustCompile(`(?m)^  (\w+) (\w+) = (\d+);$`).FindAllStringSubmatch(string(text), -1) {
		number, err := strconv.Atoi(m[3])
		if err != nil {
			t.Fatal(err)
		}
		kind, ok := kinds[m[1]]
		if !ok {
			t.Fatalf("field %s has type %s", m[2], m[1])
		}
		message.Field = append(message.Field, &descriptorpb.FieldDescriptorProto{
			Name: proto.String(m[2]), Number: proto.Int32(int32(number)), Type: kind.Enum(),
			Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		})
	}
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("edgeloop.proto"), Package: proto.String("edgeloop.v1"), Syntax: proto.String("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{message},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	d := file.Messages().Get(0)
	if d.Fields().Len() != 17 {
		t.Fatalf("found %d fields in edgeloop.proto, want 17", d.Fields().Len())
	}
	return d
}

// hasGroup reports whether well-formed protobuf has a group at its top level,
// which the codec refuses and protobuf passes over.
func hasGroup(b []byte) bool {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if kind == protowire.StartGroupType || n < 0 {
			return true
		}
		b = b[n:]
		if n = protowire.ConsumeFieldValue(number, kind, b); n < 0 {
			return true
		}
		b = b[n:]
	}
	return false
}

// expectedProto is what a payload means by the protobuf module and spec.
func expectedProto(d protoreflect.MessageDescriptor, kind envelope.Type, payload []byte) (m envelope.Message, ok bool) {
	in := dynamicpb.NewMessage(d)
	if proto.Unmarshal(payload, in) != nil || hasGroup(payload) {
		return m, false
	}
	value := func(name string) protoreflect.Value { return in.Get(d.Fields().ByName(protoreflect.Name(name))) }
	m.Type = kind
	switch said := value("type").String(); {
	case kind == 0 || kind == envelope.TypeLeave:
		return m, false
	case kind == envelope.TypeJoin && said == "leave":
		m.Type = envelope.TypeLeave
	case said != "" && said != kind.String():
		return m, false
	}
	carries, known := spec[m.Type.String()]
	if !known {
		return m, false
	}
	for _, name := range strings.Fields(carries) {
		name, must := strings.CutSuffix(name, "!")
		v := value(name)
		if most, isText := longest[name]; isText {
			s := v.String()
			if len(s) > most || (must && s == "") ||
				(name != "message" && name != "token" && strings.ContainsFunc(s, unicode.IsControl)) {
				return m, false
			}
			if quoted, err := json.Marshal(s); err != nil || s != "" && !isSet(set(&m, name, quoted)) {
				return m, false
			}
			continue
		}
		if !setProto(&m, name, v, must) {
			return m, false
		}
	}
	return m, true
}

func isSet(there, ok bool) bool { return there && ok }

func setProto(m *envelope.Message, name string, v protoreflect.Value, must bool) bool {
	switch name {
	case "data":
		if m.Data = v.Bytes(); len(m.Data) == 0 {
			m.Data = nil
			if must {
				m.Data = []byte{}
			}
		}
	case "ok":
		m.OK = v.Bool()
	case "ts":
		m.TS = v.Int()
		return m.TS <= envelope.MaxSeq && m.TS >= -envelope.MaxSeq
	case "seq":
		m.Seq = v.Uint()
		return m.Seq <= envelope.MaxSeq
	case "upto":
		m.Upto = v.Uint()
		return m.Upto <= envelope.MaxSeq
	case "epoch":
		m.Epoch = v.Uint()
		return m.Epoch <= envelope.MaxSeq
	case "heartbeat_s":
		m.HeartbeatS = int(v.Uint())
		return m.HeartbeatS <= math.MaxInt32
	case "window":
		m.Window = int(v.Uint())
		return m.Window <= math.MaxInt32
	}
	return true
}

// FuzzProto compares the hand-written wire form with the protobuf module's own
// decoder: the same payloads are good, and mean the same; and what Append
// makes, that decoder reads as the same.
func FuzzProto(f *testing.F) {
	codec, _ := codecs(f, envelope.ProtoFrameProto)
	for _, m := range samples() {
		b := codec.Append(nil, &m)
		f.Add(b[2], b[6:len(b)-4])
	}
	for _, s := range []string{
		"\x08\x01\x08\x02\x22\x01a\x22\x01b", "\x0a\x01x\x22\x00", "\x8a\x01\x05leave\x7a\x01g", "\x13\x14", "\x12\x01\xff\x22\x01a",
		"\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x22\x01a", "\x68\x80\x80\x80\x80\x10\x70\x01", "\x38\x02\x2a\x01a", "\x00", "\xf8\xff\xff\xff\x0f\x00",
	} {
		for _, kind := range []byte{0x02, 0x07, 0x08, 0x09} {
			f.Add(kind, []byte(s))
		}
	}
	d := protoDescriptor(f)
	node, device := codecs(f, envelope.ProtoFrameProto)
	f.Fuzz(func(t *testing.T, kind byte, payload []byte) {
		want, ok := expectedProto(d, envelope.Type(kind), payload)
		for _, codec := range []envelope.Codec{node, device} {
			var got envelope.Message
			err := codec.Decode(true, frame(kind, string(payload)), &got)
			reads := ok && (want.Type == envelope.TypeHeartbeat || want.Type.FromDevice() == (codec == node))
			if (err == nil) != reads {
				t.Fatalf("%#x %x: got error %v, want good to be %v", kind, payload, err, reads)
			}
			if err != nil {
				continue
			}
			if len(got.Data) == 0 && want.Data == nil {
				got.Data = nil // protobuf does not tell empty from absent
			}
			wantMessage(t, "", want, got)
			made := codec.Append(nil, &got)
			again, ok := expectedProto(d, envelope.Type(kind), bytes.Clone(made[6:len(made)-4]))
			if !ok {
				t.Fatalf("protobuf does not read what Append made: %x", made)
			}
			wantMessage(t, "appended", want, again)
		}
	})
}
