package sink_test

import (
	"encoding/json"
	"strings"
	"testing"

	"edgeloop/sink"
	"edgeloop/sink/keys"
)

// Objects of fields are these bytes, in the order of the names; what a record does not have is null.
func TestFormat_Fields(t *testing.T) {
	fields := map[string]any{
		`quoted"`: "device", "a": "time", "b": "tenant", "c": "epoch", "d": "seq", "e": "type", "f": "topic", "g": "level", "h": "ts", "i": "received",
		"j": "encoding", "k": "position", "l": "data", "m": "data.temp.c", "n": "data.traceparent", "o": "record",
	}
	m := keys.New("sinks.test", map[string]any{"fields": fields})
	f := sink.ReadFormat(m, sink.FormRecord)
	if err := m.Err(); err != nil {
		t.Fatal(err)
	}
	full := sink.Record{
		Log: "abc", Position: 7, Tenant: "t", Device: `d"1`, Epoch: 1<<63 + 1, Seq: 3, Type: "alert", Topic: "a/b", Level: "high", TS: 1, Received: 1795234836123,
		Data: json.RawMessage(`{"temp":{"c":21.50},"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}`), Line: []byte(`{"line":1}`),
	}
	bare := sink.Record{Log: "abc", Position: 8, Tenant: "t", Device: "d", Epoch: 1, Type: "telemetry", Received: 1795234836123, Data: json.RawMessage(`[1]`), Line: []byte(`{"line":2}`)}
	null := bare
	null.Data, null.Encoding = json.RawMessage(`null`), "base64"
	odd := bare
	odd.Data = json.RawMessage(`{"temp":{"c":null}}`)
	for _, c := range []struct {
		r    sink.Record
		want string
	}{
		{full, `{"a":"1970-01-01T00:00:00.001Z","b":"t","c":9223372036854775809,"d":3,"e":"alert","f":"a/b","g":"high","h":1,"i":1795234836123,"j":null,"k":"abc-7",` +
			`"l":{"temp":{"c":21.50},"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},"m":21.50,"n":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",` +
			`"o":{"line":1,"position":"abc-7"},"quoted\"":"d\"1"}`},
		{bare, `{"a":"2026-11-21T04:20:36.123Z","b":"t","c":1,"d":null,"e":"telemetry","f":null,"g":null,"h":null,"i":1795234836123,"j":null,"k":"abc-8",` +
			`"l":[1],"m":null,"n":null,"o":{"line":2,"position":"abc-8"},"quoted\"":"d"}`},
		{null, `{"a":"2026-11-21T04:20:36.123Z","b":"t","c":1,"d":null,"e":"telemetry","f":null,"g":null,"h":null,"i":1795234836123,"j":"base64","k":"abc-8",` +
			`"l":null,"m":null,"n":null,"o":{"line":2,"position":"abc-8"},"quoted\"":"d"}`},
		{odd, `{"a":"2026-11-21T04:20:36.123Z","b":"t","c":1,"d":null,"e":"telemetry","f":null,"g":null,"h":null,"i":1795234836123,"j":null,"k":"abc-8",` +
			`"l":{"temp":{"c":null}},"m":null,"n":null,"o":{"line":2,"position":"abc-8"},"quoted\"":"d"}`},
	} {
		if got, text := f.Append([]byte("x"), &c.r); string(got) != "x"+c.want || !text || !json.Valid(got[1:]) {
			t.Errorf("%s\nis not\n%s", got, c.want)
		}
	}
}

// What cannot be is said at the start.
func TestFormat_RefusedFields(t *testing.T) {
	for _, c := range []struct {
		values map[string]any
		say    string // words separated by |
	}{
		{map[string]any{"fields": map[string]any{"t": "temp"}}, `sinks.test.fields.t|"temp" is no field|data.KEY`},
		{map[string]any{"fields": map[string]any{"t": "data."}}, "sinks.test.fields.t|data.KEY.KEY"},
		{map[string]any{"fields": map[string]any{"t": "data.a..b"}}, "sinks.test.fields.t|data.KEY.KEY"},
		{map[string]any{"fields": map[string]any{"t": []any{"device"}}}, "sinks.test.fields.t|takes one value"},
		{map[string]any{"fields": map[string]any{}}, "sinks.test.fields|has none|{device: device"},
		{map[string]any{"fields": "device"}, "sinks.test.fields|takes keys"},
		{map[string]any{"format": "data", "fields": map[string]any{"d": "device"}}, "sinks.test.fields|format: data"},
		{map[string]any{"format": "xml"}, "sinks.test.format|record, data"},
	} {
		m := keys.New("sinks.test", c.values)
		sink.ReadFormat(m, sink.FormRecord, sink.FormData)
		err := m.Err()
		for word := range strings.SplitSeq(c.say, "|") {
			if err == nil || !strings.Contains(err.Error(), word) {
				t.Errorf("%v: it says %v, without %q", c.values, err, word)
			}
		}
	}
}
