package sink

import (
	"slices"
	"strings"

	"edgeloop/sink/keys"
)

// Filter says which records a sink wants. What is empty does not matter.
type Filter struct {
	Tenants, Devices, Types []string
	// Topic is a topic filter as of MQTT: + stands for one level, # for all that follow.
	Topic string
}

// recordTypes are the types of records that there are: docs/data.md.
var recordTypes = []string{"telemetry", "status", "alert", "reset", "connected", "disconnected", "refused", "banned"}

// ReadFilter reads the keys of a filter. What is wrong with them m is told.
func ReadFilter(m *keys.Map) Filter {
	f := Filter{Tenants: m.Texts("tenant"), Devices: m.Texts("device"), Types: m.Texts("types"), Topic: m.Text("topic", "")}
	for _, t := range f.Types {
		if !slices.Contains(recordTypes, t) {
			m.Fail("types", "%q is none of %s", t, strings.Join(recordTypes, ", "))
		}
	}
	levels := strings.Split(f.Topic, "/")
	for i, level := range levels {
		if strings.ContainsAny(level, "+#") && (len(level) > 1 || level == "#" && i < len(levels)-1) {
			m.Fail("topic", "%q is no topic filter: + stands for a whole level, # for all that follow, as in temp/+ or temp/#", f.Topic)
		}
	}
	return f
}

// Wants says whether the filter lets a record through.
func (f *Filter) Wants(r *Record) bool {
	return oneOf(f.Tenants, r.Tenant) && oneOf(f.Devices, r.Device) && oneOf(f.Types, r.Type) &&
		(f.Topic == "" || matches(f.Topic, r.Topic))
}

func oneOf(list []string, s string) bool { return len(list) == 0 || slices.Contains(list, s) }

// matches says whether a topic is one of a topic filter. "a/#" has "a" too [MQTT-4.7.1-2].
func matches(filter, topic string) bool {
	for {
		level, more, deep := strings.Cut(filter, "/")
		if level == "#" {
			return true
		}
		have, rest, deeper := strings.Cut(topic, "/")
		if level != "+" && level != have {
			return false
		}
		switch {
		case !deep && !deeper:
			return true
		case deep && !deeper:
			return more == "#"
		case !deep:
			return false
		}
		filter, topic = more, rest
	}
}
