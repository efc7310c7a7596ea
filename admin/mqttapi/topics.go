package mqttapi

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"edgeloop/mqttproto"
)

// DefaultTopics is the template of Config.Topics where none is given.
const DefaultTopics = "devices/{device}/{topic}"

// Topics names the records of devices whose protocol does not: a template of levels, each of
// text, or {device} or {type}, the last one {topic}. A record without a topic has its type
// there.
//
// The first level is text, and the node's: what a device publishes by MQTT below it, but not
// below its own name there, is named by the template too. So no device speaks for another.
type Topics struct {
	// Immutable after construction.
	levels []string // without the last
}

const howTopics = `give levels such as ` + DefaultTopics + `: the first is text, one is {device}, {type} may be one, and {topic} is the last`

// ParseTopics reads a template.
func ParseTopics(template string) (Topics, error) {
	levels := strings.Split(template, "/")
	last := len(levels) - 1
	switch {
	case levels[last] != "{topic}" || !slices.Contains(levels, "{device}"):
		return Topics{}, errors.New(howTopics)
	case levels[0] == "" || levels[0][0] == '$' || levels[0][0] == '{' || len(template) > 128:
		return Topics{}, errors.New(howTopics)
	}
	for _, level := range levels[:last] {
		if level != "{device}" && level != "{type}" && (level == "" || strings.ContainsAny(level, "{}") || mqttproto.CheckName(level) != nil) {
			return Topics{}, fmt.Errorf("%.40q is no level: %s", level, howTopics)
		}
	}
	return Topics{levels[:last]}, nil
}

// Of is the topic of a record.
func (t Topics) Of(r *record) string {
	switch {
	case r.Topic == "":
		return t.own(r.Device, r.Type) + r.Type
	case r.byMQTT():
		return t.OfMQTT(r.Device, r.Type, r.Topic)
	}
	return t.own(r.Device, r.Type) + escape.Replace(r.Topic)
}

// OfMQTT is the topic of a record of a type that a device published to a topic by MQTT.
func (t Topics) OfMQTT(device, kind, topic string) string {
	if first, _, below := strings.Cut(topic, "/"); !below || first != t.levels[0] {
		return topic
	}
	own := t.own(device, kind)
	if strings.HasPrefix(topic, own) {
		return topic
	}
	return own + escape.Replace(topic)
}

// own is what stands before the topic.
func (t Topics) own(device, kind string) string {
	var b strings.Builder
	for _, level := range t.levels {
		switch level {
		case "{device}":
			level = device
		case "{type}":
			level = kind
		}
		b.WriteString(level)
		b.WriteByte('/')
	}
	return b.String()
}

// escape takes out what no topic name of MQTT may have. [MQTT-3.3.2-2] [MQTT-4.7.3-2]
var escape = strings.NewReplacer("+", "%2B", "#", "%23", "\x00", "%00")
