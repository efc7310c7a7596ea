package sink

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"edgeloop/sink/keys"
)

// propertied is a record as the log has it, of a device that would like to be taken for another.
const propertied = `{"tenant":"t","device":"d","epoch":1,"type":"telemetry","received":7,"properties":{"payload_format":1,"content_type":"application/x+json",` +
	`"response_topic":"r/1","correlation_data":"AP8=","user":[["region","eu"],["Device","x"],["position","y"],["region","us"],["App.V","1"],["id","z"],["line","a\nb"],["traceparent","` + validTrace + `"],["tracestate","a=1"]]},"data":1}`

func read(t *testing.T, line string, trace tracing) Record {
	t.Helper()
	var scanned Record
	r, err := parse("log", 9, []byte(line), &Record{}, &trace)
	if err != nil || !scan([]byte(line), &Record{}, &scanned) {
		t.Fatalf("%s: %v", line, err)
	}
	return r
}

// Fields are given properties, all, one alone, and the first user property of a name, with a point
// in it or without.
func TestProperties_Fields(t *testing.T) {
	m := keys.New("sinks.test", map[string]any{"fields": map[string]any{
		"a": "properties.user.region", "b": "properties.user.App.V", "c": "properties.user.none", "d": "properties.payload_format",
		"e": "properties.content_type", "f": "properties.response_topic", "g": "properties.correlation_data",
	}})
	f := ReadFormat(m, FormRecord)
	if err := m.Err(); err != nil {
		t.Fatal(err)
	}
	r := read(t, propertied, tracing{})
	const want = `{"a":"eu","b":"1","c":null,"d":1,"e":"application/x+json","f":"r/1","g":"AP8="}`
	if got, _ := f.Append(nil, &r); string(got) != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	all := Field{Name: "properties"}
	if got := string(all.appendJSON(nil, &r)); !strings.Contains(propertied, `"properties":`+got+`,"data"`) {
		t.Errorf("all of them are %s", got)
	}
	bare := read(t, `{"tenant":"t","device":"d","epoch":1,"type":"telemetry","received":7,"data":1}`, tracing{})
	if got, _ := f.Append(nil, &bare); string(got) != `{"a":null,"b":null,"c":null,"d":null,"e":null,"f":null,"g":null}` {
		t.Errorf("of none: %s", got)
	}
	for _, text := range []string{"properties.", "properties.user.", "properties.colour", "properties.content_type.x"} {
		if _, err := ParseField(text); err == nil {
			t.Errorf("%s is a field", text)
		}
	}
}

// What goes beside a record are the user properties, in their order, under names that pass for
// nobody else's; as a CloudEvent it has those that can be attributes.
func TestProperties_Beside(t *testing.T) {
	r := read(t, propertied, tracing{})
	want := []Pair{
		{"user.region", "eu"},
		{"user.Device", "x"},
		{"user.position", "y"},
		{"user.region", "us"},
		{"user.App.V", "1"},
		{"user.id", "z"},
		{"user.line", "a\nb"},
		{"user.traceparent", validTrace},
		{"user.tracestate", "a=1"},
	}
	if got := r.Beside(); !slices.Equal(got, want) {
		t.Errorf("beside it are %v, want %v", got, want)
	}
	event := string(r.AppendCloudEvent(nil))
	const attributes = `"datacontenttype":"application/x+json","tenant":"t","device":"d","epoch":"1","traceparent":"` + validTrace + `","tracestate":"a=1","responsetopic":"r/1","correlationdata":"AP8=","region":"eu","data":1}`
	if !strings.HasSuffix(event, attributes) || !strings.HasPrefix(event, `{"specversion":"1.0","id":"log-9",`) {
		t.Errorf("as an event it is %s", event)
	}
	for given, want := range map[string]string{"text/plain": "application/json", "application/json; charset=utf-8": "application/json; charset=utf-8", "no type": "application/json"} {
		r := read(t, strings.Replace(propertied, "application/x+json", given, 1), tracing{})
		if got := string(r.AppendCloudEvent(nil)); !strings.Contains(got, `"datacontenttype":"`+want+`"`) {
			t.Errorf("%s: %s", given, got)
		}
	}
	bytes := read(t, strings.Replace(strings.Replace(propertied, "application/x+json", "image/png", 1), `"data":1`, `"data":"AAE=","encoding":"base64"`, 1), tracing{})
	if got := string(bytes.AppendCloudEvent(nil)); !strings.Contains(got, `"datacontenttype":"image/png"`) || !strings.HasSuffix(got, `,"data_base64":"AAE="}`) {
		t.Errorf("bytes: %s", got)
	}
}

// The trace context of user properties needs no key, and goes before the one in the data; one that
// is none does not.
func TestProperties_Trace(t *testing.T) {
	m := keys.New("sinks.test", map[string]any{"trace": "data.traceparent"})
	keyed := readTracing(m)
	other := strings.Replace(validTrace, "4bf9", "aaaa", 1)
	line := func(parent, data string) string {
		return fmt.Sprintf(`{"tenant":"t","device":"d","epoch":1,"type":"telemetry","received":7,"properties":{"user":[["traceparent",%q],["tracestate","a=1"]]},"data":%s}`, parent, data)
	}
	inData := `{"traceparent":"` + other + `"}`
	for _, c := range []struct {
		trace tracing
		line  string
		want  Trace
	}{
		{tracing{}, line(validTrace, "1"), Trace{validTrace, "a=1"}},
		{keyed, line(validTrace, inData), Trace{validTrace, "a=1"}},
		{keyed, line(validTrace, `"AA==","encoding":"base64"`), Trace{validTrace, "a=1"}},
		{keyed, line("00-a", inData), Trace{other, ""}},
		{tracing{}, line("00-a", inData), Trace{}},
	} {
		if r := read(t, c.line, c.trace); r.Trace != c.want {
			t.Errorf("%s: %+v, want %+v", c.line, r.Trace, c.want)
		}
	}
}
