package mqttproto_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/mochi-mqtt/server/v2/packets"

	"edgeloop/mqttproto"
)

// aliases is the Topic Alias Maximum, and limit that of a packet's size, in what is
// compared with the library.
const (
	aliases = 5
	limit   = 1000
)

// library reads one packet with the packet library of mochi-mqtt, and says in a line what
// it is. v is 0 before CONNECT. It panics on some SUBSCRIBEs of 5.0 that are cut short.
func library(in []byte, v mqttproto.Version) (line string, err error) {
	defer func() {
		if p := recover(); p != nil {
			line, err = "", fmt.Errorf("panic: %v", p)
		}
	}()
	r := bytes.NewReader(in[1:])
	pk := packets.Packet{ProtocolVersion: byte(v)}
	if err := pk.FixedHeader.Decode(in[0]); err != nil {
		return "", err
	}
	if pk.FixedHeader.Remaining, _, err = packets.DecodeLength(r); err != nil {
		return "", err
	}
	body, err := io.ReadAll(r)
	if err != nil || len(body) != pk.FixedHeader.Remaining {
		return "", errors.Join(err, io.ErrUnexpectedEOF)
	}
	if code, err := libraryDecode(&pk, body); err != nil || code.Code >= 0x80 {
		return "", errors.Join(code, err)
	}
	return libraryLine(&pk), nil
}

func libraryDecode(pk *packets.Packet, body []byte) (code packets.Code, err error) {
	switch pk.FixedHeader.Type {
	case packets.Connect:
		if err = pk.ConnectDecode(body); err == nil {
			code = pk.ConnectValidate()
		}
	case packets.Publish:
		if err = pk.PublishDecode(body); err == nil {
			code = pk.PublishValidate(aliases)
		}
	case packets.Subscribe:
		if err = pk.SubscribeDecode(body); err == nil {
			code = pk.SubscribeValidate()
		}
	case packets.Unsubscribe:
		if err = pk.UnsubscribeDecode(body); err == nil {
			code = pk.UnsubscribeValidate()
		}
	case packets.Auth:
		if err = pk.AuthDecode(body); err == nil {
			code = pk.AuthValidate()
		}
	case packets.Puback, packets.Pubrec, packets.Pubrel, packets.Pubcomp:
		err = pk.PubackDecode(body)
	case packets.Disconnect:
		err = pk.DisconnectDecode(body)
	case packets.Pingreq:
		err = pk.PingreqDecode(body)
	default:
		err = errors.New("not a client's")
	}
	return code, err
}

func libraryLine(pk *packets.Packet) string {
	h, c := &pk.FixedHeader, &pk.Connect
	line := fmt.Sprintf("%d %s ", h.Type, libraryProps(&pk.Properties))
	switch h.Type {
	case packets.Connect:
		line += fmt.Sprintf("%d %v %d %q %v %q %v %q %v", pk.ProtocolVersion, c.Clean, c.Keepalive, c.ClientIdentifier, c.UsernameFlag, c.Username, c.PasswordFlag, c.Password, c.WillFlag)
		if c.WillFlag {
			line += fmt.Sprintf(" %v %d %q %q %s", c.WillRetain, c.WillQos, c.WillTopic, c.WillPayload, libraryProps(&c.WillProperties))
		}
	case packets.Publish:
		line += fmt.Sprintf("%v %d %v %d %q %q", h.Dup, h.Qos, h.Retain, pk.PacketID, pk.TopicName, pk.Payload)
	case packets.Subscribe, packets.Unsubscribe:
		line += fmt.Sprint(pk.PacketID)
		for _, s := range pk.Filters {
			line += fmt.Sprintf(" %q %d %d %v %v", s.Filter, s.Qos, s.RetainHandling, s.NoLocal, s.RetainAsPublished)
		}
	default:
		line += fmt.Sprint(pk.PacketID, pk.ReasonCode)
	}
	return line
}

// libraryProps names the properties that are not zero; the library does not tell all zeros
// from nothing.
func libraryProps(p *packets.Properties) string {
	out := map[byte]string{
		1: fmt.Sprint(p.PayloadFormat), 2: fmt.Sprint(p.MessageExpiryInterval), 3: p.ContentType, 8: p.ResponseTopic, 9: string(p.CorrelationData),
		17: fmt.Sprint(p.SessionExpiryInterval), 21: p.AuthenticationMethod, 22: string(p.AuthenticationData), 23: fmt.Sprint(p.RequestProblemInfo),
		24: fmt.Sprint(p.WillDelayInterval), 25: fmt.Sprint(p.RequestResponseInfo), 31: p.ReasonString, 33: fmt.Sprint(p.ReceiveMaximum),
		34: fmt.Sprint(p.TopicAliasMaximum), 35: fmt.Sprint(p.TopicAlias), 39: fmt.Sprint(p.MaximumPacketSize),
	}
	for _, id := range p.SubscriptionIdentifier {
		out[11] += fmt.Sprint(id)
	}
	for _, u := range p.User {
		out[38] += fmt.Sprintf("%q=%q ", u.Key, u.Val)
	}
	return join(out)
}

func join(out map[byte]string) string {
	var list []string
	for id, v := range out {
		if v != "" && v != "0" {
			list = append(list, fmt.Sprintf("%02d:%q", id, v))
		}
	}
	slices.Sort(list)
	return strings.Join(list, ",")
}

// ownLine says in the same words what this package decoded.
func ownLine(t mqttproto.Type, m any) string {
	switch m := m.(type) {
	case mqttproto.Connect:
		line := fmt.Sprintf("%d %s %d %v %d %q %v %q %v %q %v", t, ownProps(&m.Properties), m.Version, m.Clean, m.KeepAlive, m.ClientID, m.HasUser, m.User, m.HasPassword, m.Password, m.Will.Set)
		if w := m.Will; w.Set {
			line += fmt.Sprintf(" %v %d %q %q %s", w.Retain, w.QoS, w.Topic, w.Payload, ownProps(&w.Properties))
		}
		return line
	case mqttproto.Publish:
		return fmt.Sprintf("%d %s %v %d %v %d %q %q", t, ownProps(&m.Properties), m.Dup, m.QoS, m.Retain, m.ID, m.Topic, m.Payload)
	case mqttproto.Subscribe:
		line := fmt.Sprintf("%d %s %d", t, ownProps(&m.Properties), m.ID)
		for _, s := range m.All() {
			line += fmt.Sprintf(" %q %d %d %v %v", s.Filter, s.QoS, s.RetainHandling, s.NoLocal, s.RetainAsPublished)
		}
		return line
	case mqttproto.Ack:
		return fmt.Sprintf("%d %s %d %d", t, ownProps(&m.Properties), m.ID, m.Reason)
	case mqttproto.Disconnect:
		return fmt.Sprintf("%d %s 0 %d", t, ownProps(&m.Properties), m.Reason)
	case mqttproto.Auth:
		return fmt.Sprintf("%d %s 0 %d", t, ownProps(&m.Properties), m.Reason)
	}
	return fmt.Sprintf("%d  0 0", t)
}

func ownProps(p *mqttproto.Properties) string {
	out := map[byte]string{}
	for v := range p.All() {
		switch {
		case v.ID == mqttproto.PropUser:
			out[byte(v.ID)] += fmt.Sprintf("%q=%q ", v.Name, v.Bytes)
		case v.Bytes != nil:
			out[byte(v.ID)] = string(v.Bytes)
		default:
			out[byte(v.ID)] = fmt.Sprint(v.Uint)
		}
	}
	return join(out)
}
