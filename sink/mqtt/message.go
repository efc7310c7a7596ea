package mqtt

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/eclipse/paho.golang/paho"

	"edgeloop/sink"
)

// message is what brings one record. What tells it from others is beside the payload too.
func (p *publisher) message(r *sink.Record) *paho.Publish {
	body, text := p.format.Make(r)
	props := &paho.PublishProperties{User: paho.UserProperties{
		{Key: "tenant", Value: r.Tenant},
		{Key: "device", Value: r.Device},
		{Key: "epoch", Value: strconv.FormatUint(r.Epoch, 10)},
		{Key: "position", Value: r.ID()},
		{Key: "type", Value: r.Type},
	}}
	if r.Seq != 0 {
		props.User = append(props.User, paho.UserProperty{Key: "seq", Value: strconv.FormatUint(r.Seq, 10)})
	}
	for _, pair := range append(r.Trace.Pairs(), r.Beside()...) {
		if sayable(pair.Key) && sayable(pair.Value) {
			props.User = append(props.User, paho.UserProperty{Key: pair.Key, Value: pair.Value})
		}
	}
	if text {
		is := byte(1)
		props.PayloadFormat, props.ContentType = &is, "application/json"
	}
	// The payload is what they are about. A response topic would have who answers publish, with his
	// own rights, where a device says: it stays in the record.
	if given := r.Properties; given != nil && p.format.Alone() {
		if props.CorrelationData = given.CorrelationData; given.ContentType != "" && sayable(given.ContentType) {
			props.ContentType = given.ContentType
		}
		if !text && utf8.Valid(body) {
			props.PayloadFormat = given.PayloadFormat
		}
	}
	return &paho.Publish{
		Topic: p.topic.ExpandBy(r, level), QoS: 1, Retain: p.keeps && p.retain.Wants(r), Payload: body, Properties: props,
	}
}

// sayable says whether a broker has to take a text: one may end the connection for control
// characters and for what is no character, and the record would come again, and end the next one.
// [MQTT5 1.5.4]
func sayable(text string) bool { return strings.IndexFunc(text, unsayable) < 0 }

func unsayable(r rune) bool {
	return r < ' ' || r >= 0x7f && r <= 0x9f || r >= 0xfdd0 && r <= 0xfdef || r&0xfffe == 0xfffe
}

// level makes a field fit for a topic: what has a meaning there becomes "=" and two hexadecimal
// digits. The levels of a topic stay levels; names of devices have no such bytes.
func level(field, value string) string {
	const hex = "0123456789ABCDEF"
	out := make([]byte, 0, len(value)+8)
	for i := 0; i < len(value); {
		r, n := utf8.DecodeRuneInString(value[i:])
		text := value[i : i+n]
		bad := unsayable(r) || r == utf8.RuneError && n == 1
		if !bad && strings.IndexByte("+#=", text[0]) < 0 && (r != '/' || field == "topic") && (r != '$' || i > 0) {
			out = append(out, text...)
		} else {
			for _, c := range []byte(text) {
				out = append(out, '=', hex[c>>4], hex[c&15])
			}
		}
		i += n
	}
	if len(out) == 0 {
		return "="
	}
	return string(out)
}
