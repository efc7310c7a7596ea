package mqtt

import (
	"fmt"

	"edgeloop/sink"
)

// Reason codes of MQTT 5 that mean something here. [MQTT5 2.4]
const (
	codeMalformed     = 0x81
	codeNotAuthorized = 0x87
	codeTopicName     = 0x90
	codeTooLarge      = 0x95
	codeQuota         = 0x97
	codePayloadFormat = 0x99
)

// reasons are what brokers say, for people.
var reasons = map[byte]string{
	0x80: "unspecified error", codeMalformed: "malformed packet", 0x82: "protocol error", 0x83: "implementation specific error",
	0x84: "unsupported protocol version: it must speak MQTT 5", 0x85: "client identifier not valid",
	0x86: "bad user name or password", codeNotAuthorized: "not authorized", 0x88: "server unavailable", 0x89: "server busy", 0x8a: "banned",
	0x8b: "server shutting down", 0x8c: "bad authentication method", 0x8d: "keep alive timeout", 0x8e: "session taken over: another client has the same client_id",
	codeTopicName: "topic name invalid", 0x8f: "topic filter invalid", 0x91: "packet identifier in use", 0x93: "receive maximum exceeded",
	codeTooLarge: "packet too large", 0x96: "message rate too high", codeQuota: "quota exceeded", 0x98: "administrative action",
	codePayloadFormat: "payload format invalid", 0x9a: "retain not supported", 0x9b: "QoS not supported",
	0x9f: "connection rate exceeded",
}

// reason is a reason code in words, with what the broker added.
func reason(code byte, said string) string {
	text := fmt.Sprintf("0x%02x %s", code, reasons[code])
	if said != "" {
		text += ": " + said
	}
	return text
}

// judge says what a reason code of a PUBACK means, or of a DISCONNECT while records were on
// their way. These are of a record, and will be the same the next time; all others may pass.
func judge(code byte, err error) error {
	switch code {
	case codeMalformed, codeTopicName, codeTooLarge, codePayloadFormat:
		return &sink.Refusal{Records: 1, Reason: err.Error()}
	}
	return err
}
