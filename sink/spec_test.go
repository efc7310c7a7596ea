package sink_test

import (
	"strings"
	"testing"

	"edgeloop/sink"
	"edgeloop/sink/keys"
)

// nothing is a kind of destination without keys.
func nothing(*keys.Map) sink.Destination { return &fakeDestination{} }

// What cannot work is refused with the key, what is allowed, and all mistakes at once.
func TestParse_Refused(t *testing.T) {
	one := func(more map[string]any) []any {
		values := map[string]any{"name": "lake", "type": "nothing"}
		for k, v := range more {
			values[k] = v
		}
		return []any{values}
	}
	for _, c := range []struct {
		list []any
		say  string // words separated by |
	}{
		{[]any{"lake"}, "sinks[0]|name|type"},
		{[]any{map[string]any{"type": "nothing"}}, "sinks[0].name|missing"},
		{[]any{map[string]any{"name": "lake"}}, "sinks.lake.type|missing|nothing"},
		{one(map[string]any{"name": "a b"}), "sinks[0].name|letters"},
		{one(map[string]any{"type": "fax"}), "sinks.lake.type|fax|nothing"},
		{one(map[string]any{"tpye": "x"}), "sinks.lake.tpye|known are|type"},
		{one(map[string]any{"from": "middle"}), "sinks.lake.from|middle|oldest, newest"},
		{one(map[string]any{"filter": "temp/#"}), "sinks.lake.filter|keys of its own"},
		{one(map[string]any{"filter": map[string]any{"types": []any{"telemetry", "noise"}}}), "sinks.lake.filter.types|noise|telemetry, status, alert"},
		{one(map[string]any{"filter": map[string]any{"topic": "a/b+"}}), "sinks.lake.filter.topic|a/b+|level"},
		{one(map[string]any{"filter": map[string]any{"topic": "a/#/b"}}), "sinks.lake.filter.topic|a/#/b"},
		{one(map[string]any{"filter": map[string]any{"tenants": "x"}}), "sinks.lake.filter.tenants|known are|tenant"},
		{one(map[string]any{"batch": map[string]any{"records": 0}}), "sinks.lake.batch.records|0|1 to 10000"},
		{one(map[string]any{"batch": map[string]any{"bytes": "1GiB"}}), "sinks.lake.batch.bytes|1GiB|1KiB to 16MiB"},
		{one(map[string]any{"batch": map[string]any{"wait": 200}}), "sinks.lake.batch.wait|200|units"},
		{one(map[string]any{"retry": map[string]any{"least": "10s", "most": "1s"}}), "sinks.lake.retry.least|most"},
		{one(map[string]any{"timeout": "1ms"}), "sinks.lake.timeout|100ms to"},
		{one(map[string]any{"on_refusal": "drop"}), "sinks.lake.on_refusal|drop|dead-letter, stop"},
		{one(map[string]any{"hold_log": true}), "sinks.lake.hold_log|not offered|--when-full=stop"},
		{one(map[string]any{"on-refusal": "stop", "on_refusal": "stop"}), "sinks.lake.on_refusal|twice"},
		{one(map[string]any{"from": "middle", "timeout": "1ms"}), "sinks.lake.from|sinks.lake.timeout"},
		{append(one(nil), one(nil)...), "sinks[1].name|lake|twice"},
		{make([]any, 65), "65|64"},
	} {
		_, err := sink.Parse(c.list, map[string]sink.Kind{"nothing": nothing})
		for word := range strings.SplitSeq(c.say, "|") {
			if err == nil || !strings.Contains(err.Error(), word) {
				t.Errorf("%v: it says %v, without %q", c.list, err, word)
			}
		}
	}
}

// Topic filters are those of MQTT.
func TestFilter_Topics(t *testing.T) {
	for _, c := range []struct {
		filter, topic string
		matches       bool
	}{
		{"a", "a", true},
		{"a", "b", false},
		{"a", "a/b", false},
		{"a/b", "a", false},
		{"#", "", true},
		{"#", "a/b", true},
		{"+", "a", true},
		{"+", "", true},
		{"+", "a/b", false},
		{"a/+", "a/b", true},
		{"a/+", "a", false},
		{"a/+/c", "a/b/c", true},
		{"a/+/c", "a/b/d", false},
		{"a/#", "a", true},
		{"a/#", "a/b/c", true},
		{"a/#", "ab", false},
		{"+/b/#", "a/b", true},
		{"/a", "/a", true},
		{"a/+", "a/", true},
	} {
		if got := sink.Matches(c.filter, c.topic); got != c.matches {
			t.Errorf("%s and %s: %t", c.filter, c.topic, got)
		}
	}
}
