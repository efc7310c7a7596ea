package sink

import (
	"strings"
	"testing"

	"edgeloop/sink/keys"
)

const validTrace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// A trace context is passed on where it is one by the grammar, and nothing else is: what a device
// sends becomes a header.
func TestTrace_Grammar(t *testing.T) {
	for text, want := range map[string]bool{
		validTrace:                           true,
		"cc" + validTrace[2:]:                true,
		"cc" + validTrace[2:] + "-what":      true,
		validTrace + "-what":                 false, // version 00 has no more
		"cc" + validTrace[2:] + ".what":      false,
		"cc" + validTrace[2:] + "-a\r\nb: c": false,
		"ff" + validTrace[2:]:                false,
		strings.ToUpper(validTrace):          false,
		validTrace + "\n":                    false,
		validTrace[:54]:                      false,
		"":                                   false,
		"00-" + strings.Repeat("0", 32) + "-00f067aa0ba902b7-01":                 false,
		"00-4bf92f3577b34da6a3ce929d0e0e4736-" + strings.Repeat("0", 16) + "-01": false,
		"cc" + validTrace[2:] + "-" + strings.Repeat("x", 512):                   false,
	} {
		if got := validParent(text); got != want {
			t.Errorf("traceparent %q: %t", text, got)
		}
	}
	for text, want := range map[string]bool{
		"rojo=00f067aa0ba902b7,congo=t61rcWkgMzE": true,
		"a=1, 0tenant@sys=2 ,, b=c d":             true,
		"":                                        true,
		"A=1":                                     false,
		"a=":                                      false,
		"a":                                       false,
		"a=b=c":                                   false,
		"a=1\r\nx: y":                             false,
		"a=\u00e9":                                false,
		strings.Repeat("a=1,", 32) + "a=1":        false,
		"a=" + strings.Repeat("x", 256) + ",b=" + strings.Repeat("x", 255): false, // 515 bytes
	} {
		if got := validState(text); got != want {
			t.Errorf("tracestate %q: %t", text, got)
		}
	}
}

// The context is where the key says, with its state beside it; a state alone is none, and a state
// that is none costs no parent. As a CloudEvent a record has it as attributes.
func TestTrace_OfARecord(t *testing.T) {
	m := keys.New("sinks.test", map[string]any{"trace": "data.meta.tp"})
	trace := readTracing(m)
	if err := m.Err(); err != nil {
		t.Fatal(err)
	}
	for data, want := range map[string]Trace{
		`{"meta":{"tp":"` + validTrace + `","tracestate":"a=1"}}`:   {validTrace, "a=1"},
		`{"meta":{"tp":"` + validTrace + `","tracestate":"A=1"}}`:   {validTrace, ""},
		`{"meta":{"tp":"` + validTrace + `","tracestate":7},"n":1}`: {validTrace, ""},
		`{"meta":{"tracestate":"a=1"}}`:                             {},
		`{"meta":{"tp":"none"}}`:                                    {},
		`{"meta":7}`:                                                {},
		`"` + validTrace + `"`:                                      {},
		`null`:                                                      {},
		`{"tp":"` + validTrace + `","tracestate":"a=1"}`:            {},
	} {
		line := []byte(`{"tenant":"t","device":"d","epoch":1,"type":"telemetry","received":7,"data":` + data + `}`)
		r, err := parse("log", 1, line, &Record{}, &trace)
		if err != nil || r.Trace != want {
			t.Errorf("%s: %+v, %v", data, r.Trace, err)
		}
		event, _, _ := strings.Cut(string(r.AppendCloudEvent(nil)), `,"data":`)
		if strings.Contains(event, `,"traceparent":"`+validTrace+`"`) != (want.Parent != "") || strings.Contains(event, `,"tracestate":"a=1"`) != (want.State != "") {
			t.Errorf("%s", event)
		}
	}
	for _, text := range []string{"data", "topic", "traceparent", "data."} {
		m := keys.New("sinks.test", map[string]any{"trace": text})
		if readTracing(m); m.Err() == nil {
			t.Errorf("trace: %s is not refused", text)
		}
	}
}
