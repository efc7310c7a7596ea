package gateway

import (
	"bytes"
	"fmt"
	"strings"

	"edgeloop/envelope"
	"edgeloop/eventloop"
	"edgeloop/mqttproto"
)

// The way down in MQTT. A command is a PUBLISH to $edgeloop/command/ID/NAME, and reaches a
// device from when it has subscribed to $edgeloop/command/#; until then commands are as for a
// device that is away. With QoS 0 it is delivered at most once, with QoS 1 at least once
// (mqtt_kept.go). The reply is a PUBLISH to
// $edgeloop/reply/ID, or, of a command that was not carried out, to
// $edgeloop/reply/ID/CODE.
const (
	commandTopic = "$edgeloop/command/"
	replyTopic   = "$edgeloop/reply/"
)

// mqttForm is how a command looks in a version of MQTT.
type mqttForm mqttproto.Version

func (mqttForm) kind() eventloop.Kind { return eventloop.Binary }

func (f mqttForm) appendCommand(dst []byte, id, name string, data []byte) []byte {
	dst, _ = mqttproto.AppendPublish(dst, mqttproto.Peer{Version: mqttproto.Version(f)}, &mqttproto.Publish{
		Topic: commandTopicOf(id, name), Payload: data,
	})
	return dst
}

func commandTopicOf(id, name string) []byte {
	return []byte(commandTopic + id + "/" + escapeLevel(name))
}

// escapeLevel makes a level of a topic of a name: what is special in topics is written
// as % and two hex digits, as in URLs.
func escapeLevel(name string) string {
	if !strings.ContainsAny(name, "/+#%") {
		return name
	}
	var b strings.Builder
	for i := range len(name) {
		switch c := name[i]; c {
		case '/', '+', '#', '%':
			fmt.Fprintf(&b, "%%%02X", c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// subscribeOnLane takes in SUBSCRIBE and UNSUBSCRIBE, which are answered when it is on the
// disk that the session has changed.
func (q *mqtt) subscribeOnLane(t *turn, l *link, m message, p mqttproto.Packet) error {
	s, err := mqttproto.DecodeSubscribe(p, q.peer.Version)
	if err != nil {
		return err //nolint:wrapcheck // it is the fault that is told
	}
	for _, f := range s.All() {
		if !coversCommands(f.Filter) {
			continue
		}
		if p.Type == mqttproto.SUBSCRIBE && l.rights.Load().MayGetNone() {
			l.g.drops[DropNotAllowed].Add(1)
			continue
		}
		if q.session != nil {
			q.session.want(t, l, p.Type == mqttproto.SUBSCRIBE, f.QoS > 0)
		}
	}
	m[0] = byte(mqttproto.ReasonSuccess)
	return nil
}

// appendSubackOnLoop answers a SUBSCRIBE or UNSUBSCRIBE that was decoded before. From then on
// commands reach the device, or no longer.
func (q *mqtt) appendSubackOnLoop(dst []byte, l *link, packet []byte) []byte {
	p, _, _, err := mqttproto.Next(packet, q.peer.Version, mqttproto.MaxPacket)
	if err != nil {
		return dst
	}
	m, err := mqttproto.DecodeSubscribe(p, q.peer.Version)
	if err != nil {
		return dst
	}
	codes, wants, confirms := make([]mqttproto.ReasonCode, 0, m.N), false, false
	for _, s := range m.All() {
		covers := coversCommands(s.Filter)
		switch {
		case p.Type == mqttproto.SUBSCRIBE && covers && !l.rights.Load().MayGetNone():
			wants, confirms = true, s.QoS > 0 // the last one counts [MQTT-3.8.4-3]
			codes = append(codes, mqttproto.ReasonCode(min(s.QoS, 1)))
		case p.Type == mqttproto.SUBSCRIBE:
			codes = append(codes, mqttproto.ReasonNotAuthorized)
		case covers && l.flags.Or(flagMute)&flagMute == 0:
			codes = append(codes, mqttproto.ReasonSuccess)
		default:
			codes = append(codes, mqttproto.ReasonNoSubscription)
		}
	}
	if p.Type == mqttproto.UNSUBSCRIBE {
		return mqttproto.AppendUnsuback(dst, q.peer, m.ID, codes, nil) // [MQTT-3.10.4-4]
	}
	if wants {
		l.hearOfCommands(confirms)
		l.g.deliverStored(l)
	}
	return mqttproto.AppendSuback(dst, q.peer, m.ID, codes, nil) // [MQTT-3.8.4-1]
}

// hearOfCommands has commands reach the device, which confirms them or does not.
func (l *link) hearOfCommands(confirms bool) {
	if confirms {
		l.flags.Or(flagConfirms)
	} else {
		l.flags.And(^flagConfirms)
	}
	l.flags.And(^flagMute)
}

// coversCommands says whether a filter matches every command.
func coversCommands(filter []byte) bool {
	switch string(filter) {
	case commandTopic + "#", commandTopic + "+/+":
		return true
	}
	return false
}

// replyOnLane takes a PUBLISH to a topic of this node's own.
func (q *mqtt) replyOnLane(l *link, pub *mqttproto.Publish) mqttproto.ReasonCode {
	rest, ok := bytes.CutPrefix(pub.Topic, []byte(replyTopic))
	id, code, failed := bytes.Cut(rest, []byte{'/'})
	if !ok || len(id) == 0 || len(id) > envelope.MaxID || len(code) > envelope.MaxCode {
		l.faultOnLane("topics that begin with $ are the node's own")
		return mqttproto.ReasonTopicNameInvalid
	}
	l.g.replied(l, &envelope.Message{Type: envelope.TypeReply, ID: id, OK: !failed, Code: code, Data: pub.Payload})
	return mqttproto.ReasonSuccess
}
