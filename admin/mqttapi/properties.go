package mqttapi

import (
	"strconv"
	"time"

	"edgeloop/mqttproto"
)

// The user properties that the node gives a message (5.0).
const (
	propertyDevice   = "device"
	propertyType     = "type"
	propertySeq      = "seq"
	propertyPosition = "position"
	propertyMissed   = "missed"
)

// ours says whether a user property is the node's to give: a device that sends one of its name
// must not speak for the node.
func ours(name string) bool {
	switch name {
	case propertyDevice, propertyType, propertySeq, propertyPosition, propertyMissed:
		return true
	}
	return false
}

// properties are what a client of 5.0 sent beside the data: docs/data.md.
type properties struct {
	PayloadFormat   *uint32     `json:"payload_format"`
	MessageExpiry   *uint32     `json:"message_expiry"` // seconds; nil: it does not expire
	ContentType     *string     `json:"content_type"`
	ResponseTopic   *string     `json:"response_topic"`
	CorrelationData []byte      `json:"correlation_data"` // nil: none was sent
	User            [][2]string `json:"user"`
}

// lasts says for how much longer a record is to be given to anybody, in whole seconds, where its
// device has said that it expires; over: it has. [MQTT-3.3.2-5] [MQTT-3.3.2-6]
func (r *record) lasts(now time.Time) (seconds uint32, expires, over bool) {
	expiry := r.Properties.MessageExpiry
	if expiry == nil {
		return 0, false, false
	}
	waited := max(0, now.UnixMilli()-r.Received) / 1000
	if waited >= int64(*expiry) {
		return 0, true, true
	}
	return *expiry - uint32(waited), true, false //nolint:gosec // it is less
}

// expired says that a record is to be given to nobody any more.
func (r *record) expired() bool {
	_, _, over := r.lasts(time.Now())
	return over
}

// addTo adds what the device sent, but for user properties whose names are the node's, as it was
// and in its order. [MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-18] [MQTT-3.3.2-20]
func (p *properties) addTo(to *mqttproto.Properties) {
	if p.PayloadFormat != nil {
		to.AddUint(mqttproto.PropPayloadFormat, *p.PayloadFormat)
	}
	if p.ContentType != nil {
		to.AddString(mqttproto.PropContentType, *p.ContentType)
	}
	if p.ResponseTopic != nil {
		to.AddString(mqttproto.PropResponseTopic, *p.ResponseTopic)
	}
	if p.CorrelationData != nil {
		to.AddText(mqttproto.PropCorrelationData, p.CorrelationData)
	}
	for _, pair := range p.User {
		if !ours(pair[0]) {
			to.AddUserString(pair[0], pair[1])
		}
	}
}

// describe says what a client of 5.0 hears of a record beside its topic.
func (r *reading) describe(m *mqttproto.Publish, position uint64, ids []uint32) {
	m.Properties = mqttproto.Properties{}
	for _, id := range ids { // [MQTT-3.3.4-3] [MQTT-3.3.4-5]
		m.Properties.AddUint(mqttproto.PropSubscriptionID, id)
	}
	if !r.record.byMQTT() && r.record.Encoding == "" {
		m.Properties.AddUint(mqttproto.PropPayloadFormat, 1)
		m.Properties.AddString(mqttproto.PropContentType, "application/json")
	}
	m.Properties.AddUserString(propertyDevice, r.record.Device)
	m.Properties.AddUserString(propertyType, r.record.Type)
	if r.record.Seq > 0 {
		m.Properties.AddUserString(propertySeq, strconv.FormatUint(r.record.Seq, 10))
	}
	if position > 0 { // else it is retained, and of an older log
		m.Properties.AddUserString(propertyPosition, r.log+"-"+strconv.FormatUint(position, 10))
	}
	if r.missed > 0 {
		m.Properties.AddUserString(propertyMissed, strconv.FormatUint(r.missed, 10))
	}
	if seconds, expires, _ := r.record.lasts(time.Now()); expires { // [MQTT-3.3.2-6]
		m.Properties.AddUint(mqttproto.PropMessageExpiry, max(seconds, 1)) // it had not expired a moment ago
	}
	r.record.Properties.addTo(&m.Properties)
}
