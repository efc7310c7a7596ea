package gateway

import (
	"encoding/base64"
	"strconv"

	"edgeloop/envelope"
	"edgeloop/mqttproto"
)

// maxProperties bounds what is kept of the properties of a PUBLISH, in bytes of the JSON that it
// is kept as: a record has room for it beside its data.
const maxProperties = 4 << 10

// propertiesOnLane gives what is kept of the properties of a PUBLISH (docs/data.md), a piece of
// t's; nil for nothing. ok is false where that is more than maxProperties.
func (t *turn) propertiesOnLane(p *mqttproto.Properties) (kept []byte, ok bool) {
	from := len(t.properties)
	dst := t.properties
	if p.Has(mqttproto.PropPayloadFormat) { // [MQTT-3.3.2-4]
		dst = append(dst, `,"payload_format":`...)
		dst = append(dst, '0'+byte(p.Uint(mqttproto.PropPayloadFormat, 0))) // 0 or 1
	}
	if p.Has(mqttproto.PropMessageExpiry) { // [MQTT-3.3.2-6]
		dst = append(dst, `,"message_expiry":`...)
		dst = strconv.AppendUint(dst, uint64(p.Uint(mqttproto.PropMessageExpiry, 0)), 10)
	}
	if p.Has(mqttproto.PropContentType) { // [MQTT-3.3.2-20]
		dst = envelope.AppendString(append(dst, `,"content_type":`...), p.Bytes(mqttproto.PropContentType))
	}
	if p.Has(mqttproto.PropResponseTopic) { // [MQTT-3.3.2-15]
		dst = envelope.AppendString(append(dst, `,"response_topic":`...), p.Bytes(mqttproto.PropResponseTopic))
	}
	if p.Has(mqttproto.PropCorrelationData) { // [MQTT-3.3.2-16]
		dst = append(dst, `,"correlation_data":"`...)
		dst = append(base64.StdEncoding.AppendEncode(dst, p.Bytes(mqttproto.PropCorrelationData)), '"')
	}
	if p.Has(mqttproto.PropUser) {
		dst = appendUserProperties(dst, p)
	}
	if len(dst) == from {
		return nil, true
	}
	if dst = append(dst, '}'); len(dst)-from > maxProperties {
		return nil, false
	}
	dst[from] = '{'
	t.properties = dst
	return dst[from:len(dst):len(dst)], true
}

// appendUserProperties appends the user properties, in their order, but for the sequence, which
// is the record's. [MQTT-3.3.2-17] [MQTT-3.3.2-18]
func appendUserProperties(dst []byte, p *mqttproto.Properties) []byte {
	before, begin := len(dst), `,"user":[`
	for v := range p.All() {
		if v.ID != mqttproto.PropUser || string(v.Name) == sequenceProperty {
			continue
		}
		dst = append(append(dst, begin...), '[')
		dst = envelope.AppendString(dst, v.Name)
		dst = append(envelope.AppendString(append(dst, ','), v.Bytes), ']')
		begin = ","
	}
	if len(dst) == before {
		return dst
	}
	return append(dst, ']')
}
