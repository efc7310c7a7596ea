package envelope_test

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"edgeloop/envelope"
)

// spec is the protocol written a second time, for the fuzz targets: what each
// type carries (a ! marks what it must), and how long each string may be.
var spec = map[string]string{
	"heartbeat": "",
	"telemetry": "seq topic ts data!",
	"status":    "seq topic ts data!",
	"alert":     "seq topic ts level data!",
	"ack":       "upto!",
	"command":   "id! name! data",
	"reply":     "id! ok! data code message",
	"welcome":   "epoch! upto! heartbeat_s! window!",
	"join":      "group!",
	"leave":     "group!",
	"token":     "token!",
	"error":     "code! message seq",
}

var longest = map[string]int{
	"topic": 256, "id": 64, "name": 128, "code": 64, "message": 1024, "level": 32, "group": 64, "token": 8192,
}

// members lists the members of a JSON object as encoding/json sees them, and
// whether one that the protocol knows is there twice.
func membersOf(t *testing.T, payload []byte) (members map[string]json.RawMessage, twice bool) {
	t.Helper()
	members = map[string]json.RawMessage{}
	dec := json.NewDecoder(bytes.NewReader(payload))
	if token, err := dec.Token(); err != nil || token != json.Delim('{') {
		return nil, false
	}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			t.Fatal(err)
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			t.Fatal(err)
		}
		name := token.(string)
		if _, there := members[name]; there {
			known := slices.Contains(strings.Fields("type seq topic ts data id name ok code message level upto epoch heartbeat_s window group token"), name)
			twice = twice || known
		}
		members[name] = value
	}
	return members, twice
}

// depthOf is how deep arrays and objects nest in valid JSON.
func depthOf(payload []byte) (deepest int) {
	depth, inString := 0, false
	for i := 0; i < len(payload); i++ {
		switch c := payload[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '[' || c == '{':
			depth++
			deepest = max(deepest, depth)
		case c == ']' || c == '}':
			depth--
		}
	}
	return deepest
}

// integer reads an integer as Go's own parser does, within 2^53-1 of zero.
func integer(raw json.RawMessage) (int64, bool) {
	n, err := strconv.ParseInt(string(raw), 10, 64)
	return n, err == nil && n <= envelope.MaxSeq && n >= -envelope.MaxSeq
}

// expected is what a payload means by encoding/json and spec. ok is false if
// it means nothing.
func expected(t *testing.T, payload []byte) (m envelope.Message, ok bool) {
	t.Helper()
	if !utf8.Valid(payload) || !json.Valid(payload) || depthOf(payload) > 128 {
		return m, false
	}
	members, twice := membersOf(t, payload)
	var kind string
	if members == nil || twice || json.Unmarshal(members["type"], &kind) != nil {
		return m, false
	}
	carries, known := spec[kind]
	if !known {
		return m, false
	}
	for m.Type = 1; m.Type.String() != kind; m.Type++ {
	}
	for _, name := range strings.Fields(carries) {
		name, must := strings.CutSuffix(name, "!")
		raw, there := members[name]
		if there && string(raw) == "null" && name != "data" {
			there = false
		}
		if there {
			if there, ok = set(&m, name, raw); !ok {
				return m, false
			}
		}
		if must && !there {
			return m, false
		}
	}
	return m, true
}

// set gives the member of that name to m; there is false for an empty string.
func set(m *envelope.Message, name string, raw json.RawMessage) (there, ok bool) {
	if most, isText := longest[name]; isText {
		var s string
		if json.Unmarshal(raw, &s) != nil || len(s) > most {
			return false, false
		}
		if name != "message" && name != "token" && strings.ContainsFunc(s, unicode.IsControl) {
			return false, false
		}
		if s == "" {
			return false, true
		}
		*map[string]*[]byte{
			"topic": &m.Topic, "id": &m.ID, "name": &m.Name, "code": &m.Code, "message": &m.Text,
			"level": &m.Level, "group": &m.Group, "token": &m.Token,
		}[name] = []byte(s)
		return true, true
	}
	switch name {
	case "data":
		m.Data = raw
		return true, true
	case "ok":
		return true, json.Unmarshal(raw, &m.OK) == nil
	}
	n, ok := integer(raw)
	switch name {
	case "seq":
		m.Seq = uint64(n)
		return true, ok && n > 0
	case "ts":
		m.TS = n
		return true, ok
	case "upto":
		m.Upto = uint64(n)
	case "epoch":
		m.Epoch = uint64(n)
	case "heartbeat_s":
		m.HeartbeatS = int(n)
		ok = ok && n <= math.MaxInt32
	case "window":
		m.Window = int(n)
		ok = ok && n <= math.MaxInt32
	}
	return true, ok && n >= 0 && string(raw) != "-0"
}

// FuzzJSON compares both sides' decoders with encoding/json: the same payloads
// are good, and mean the same. What was good survives Append and Decode.
func FuzzJSON(f *testing.F) {
	codec, _ := codecs(f, envelope.ProtoJSON)
	for _, m := range samples() {
		f.Add(codec.Append(nil, &m))
	}
	for _, s := range []string{
		`{"type":"telemetry","seq":9007199254740991,"topic":"\ud83d\ude00\ud83d","data":[{"a":{"b":[1.5e-3,true,null]}},""]}`,
		`{"type":"telemetry","seq":7,"seq":8,"ts":null,"data":"\u0000\"\\"}`,
		"\n{ \"t\\u0079pe\" : \"reply\" , \"id\":\"\\u0080\",\"ok\":false}\t", `{"type":"telemetry","data":01}`, `[]`, `{"type":"ack","upto":-0}`,
		`{"type":"status","data":` + strings.Repeat("[", 127) + strings.Repeat("]", 127) + `}`,
		`{"type":"status","data":` + strings.Repeat(`{"a":`, 128) + `1` + strings.Repeat("}", 128) + `}`,
		"{\"type\":\"join\",\"group\":\"\xff\"}", `{"type":"join","group":"g"}{}`,
	} {
		f.Add([]byte(s))
	}
	node, device := codecs(f, envelope.ProtoJSON)
	f.Fuzz(func(t *testing.T, payload []byte) {
		if got, want := envelope.ValidJSON(payload), json.Valid(payload) && utf8.Valid(payload) && depthOf(payload) < 128; got != want {
			t.Fatalf("ValidJSON says %v, encoding/json %v to %q", got, want, payload)
		}
		want, ok := expected(t, payload)
		for _, codec := range []envelope.Codec{node, device} {
			var got envelope.Message
			err := codec.Decode(false, payload, &got)
			reads := ok && (want.Type == envelope.TypeHeartbeat || want.Type.FromDevice() == (codec == node))
			if (err == nil) != reads {
				t.Fatalf("%q: got error %v, want good to be %v", payload, err, reads)
			}
			if err == nil {
				wantMessage(t, string(payload), want, got)
				wantRoundTrip(t, codec, codec, &got)
			}
		}
	})
}

// wantRoundTrip checks that what writer makes of m, reader takes for m.
func wantRoundTrip(t *testing.T, writer, reader envelope.Codec, m *envelope.Message) {
	t.Helper()
	payload := writer.Append(nil, m)
	var got envelope.Message
	if err := reader.Decode(reader.Binary(), payload, &got); err != nil {
		t.Fatalf("%v does not survive: %v in %q", m.Type, err, payload)
	}
	wantMessage(t, "again", *m, got)
}
