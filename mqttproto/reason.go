package mqttproto

// ReasonCode is the outcome of an operation. Codes of 0x80 and above are failures.
type ReasonCode byte

// The reason codes. [MQTT-3.2.2-8]
const (
	ReasonSuccess            ReasonCode = 0x00 // also: normal disconnection, granted QoS 0
	ReasonGrantedQoS1        ReasonCode = 0x01
	ReasonGrantedQoS2        ReasonCode = 0x02
	ReasonDisconnectWithWill ReasonCode = 0x04
	ReasonNoSubscribers      ReasonCode = 0x10
	ReasonNoSubscription     ReasonCode = 0x11
	ReasonContinueAuth       ReasonCode = 0x18
	ReasonReauthenticate     ReasonCode = 0x19

	ReasonUnspecified           ReasonCode = 0x80
	ReasonMalformedPacket       ReasonCode = 0x81
	ReasonProtocolError         ReasonCode = 0x82
	ReasonImplementation        ReasonCode = 0x83
	ReasonUnsupportedVersion    ReasonCode = 0x84
	ReasonClientIDInvalid       ReasonCode = 0x85
	ReasonBadCredentials        ReasonCode = 0x86
	ReasonNotAuthorized         ReasonCode = 0x87
	ReasonServerUnavailable     ReasonCode = 0x88
	ReasonServerBusy            ReasonCode = 0x89
	ReasonBanned                ReasonCode = 0x8a
	ReasonServerShuttingDown    ReasonCode = 0x8b
	ReasonBadAuthMethod         ReasonCode = 0x8c
	ReasonKeepAliveTimeout      ReasonCode = 0x8d
	ReasonSessionTakenOver      ReasonCode = 0x8e
	ReasonTopicFilterInvalid    ReasonCode = 0x8f
	ReasonTopicNameInvalid      ReasonCode = 0x90
	ReasonPacketIDInUse         ReasonCode = 0x91
	ReasonPacketIDNotFound      ReasonCode = 0x92
	ReasonReceiveMaximum        ReasonCode = 0x93
	ReasonTopicAliasInvalid     ReasonCode = 0x94
	ReasonPacketTooLarge        ReasonCode = 0x95
	ReasonMessageRateTooHigh    ReasonCode = 0x96
	ReasonQuotaExceeded         ReasonCode = 0x97
	ReasonAdministrative        ReasonCode = 0x98
	ReasonPayloadFormatInvalid  ReasonCode = 0x99
	ReasonRetainNotSupported    ReasonCode = 0x9a
	ReasonQoSNotSupported       ReasonCode = 0x9b
	ReasonUseAnotherServer      ReasonCode = 0x9c
	ReasonServerMoved           ReasonCode = 0x9d
	ReasonSharedNotSupported    ReasonCode = 0x9e
	ReasonConnectionRate        ReasonCode = 0x9f
	ReasonMaximumConnectTime    ReasonCode = 0xa0
	ReasonSubIDNotSupported     ReasonCode = 0xa1
	ReasonWildcardsNotSupported ReasonCode = 0xa2
)

// reasons has for each code its name and, by bit 1<<Type, the packets that may carry it.
var reasons = [256]struct {
	name string
	in   uint16
}{
	ReasonSuccess:            {"success", 1<<CONNACK | acks | 1<<SUBACK | 1<<UNSUBACK | 1<<DISCONNECT | 1<<AUTH},
	ReasonGrantedQoS1:        {"granted QoS 1", 1 << SUBACK},
	ReasonGrantedQoS2:        {"granted QoS 2", 1 << SUBACK},
	ReasonDisconnectWithWill: {"disconnect with will message", 1 << DISCONNECT},
	ReasonNoSubscribers:      {"no matching subscribers", 1<<PUBACK | 1<<PUBREC},
	ReasonNoSubscription:     {"no subscription existed", 1 << UNSUBACK},
	ReasonContinueAuth:       {"continue authentication", 1 << AUTH},
	ReasonReauthenticate:     {"re-authenticate", 1 << AUTH},

	ReasonUnspecified:           {"unspecified error", 1<<CONNACK | 1<<PUBACK | 1<<PUBREC | 1<<SUBACK | 1<<UNSUBACK | 1<<DISCONNECT},
	ReasonMalformedPacket:       {"malformed packet", 1<<CONNACK | 1<<DISCONNECT},
	ReasonProtocolError:         {"protocol error", 1<<CONNACK | 1<<DISCONNECT},
	ReasonImplementation:        {"implementation specific error", 1<<CONNACK | 1<<PUBACK | 1<<PUBREC | 1<<SUBACK | 1<<UNSUBACK | 1<<DISCONNECT},
	ReasonUnsupportedVersion:    {"unsupported protocol version", 1 << CONNACK},
	ReasonClientIDInvalid:       {"client identifier not valid", 1 << CONNACK},
	ReasonBadCredentials:        {"bad user name or password", 1 << CONNACK},
	ReasonNotAuthorized:         {"not authorized", 1<<CONNACK | 1<<PUBACK | 1<<PUBREC | 1<<SUBACK | 1<<UNSUBACK | 1<<DISCONNECT},
	ReasonServerUnavailable:     {"server unavailable", 1 << CONNACK},
	ReasonServerBusy:            {"server busy", 1<<CONNACK | 1<<DISCONNECT},
	ReasonBanned:                {"banned", 1 << CONNACK},
	ReasonServerShuttingDown:    {"server shutting down", 1 << DISCONNECT},
	ReasonBadAuthMethod:         {"bad authentication method", 1<<CONNACK | 1<<DISCONNECT},
	ReasonKeepAliveTimeout:      {"keep alive timeout", 1 << DISCONNECT},
	ReasonSessionTakenOver:      {"session taken over", 1 << DISCONNECT},
	ReasonTopicFilterInvalid:    {"topic filter invalid", 1<<SUBACK | 1<<UNSUBACK | 1<<DISCONNECT},
	ReasonTopicNameInvalid:      {"topic name invalid", 1<<CONNACK | 1<<PUBACK | 1<<PUBREC | 1<<DISCONNECT},
	ReasonPacketIDInUse:         {"packet identifier in use", 1<<PUBACK | 1<<PUBREC | 1<<SUBACK | 1<<UNSUBACK},
	ReasonPacketIDNotFound:      {"packet identifier not found", 1<<PUBREL | 1<<PUBCOMP},
	ReasonReceiveMaximum:        {"receive maximum exceeded", 1 << DISCONNECT},
	ReasonTopicAliasInvalid:     {"topic alias invalid", 1 << DISCONNECT},
	ReasonPacketTooLarge:        {"packet too large", 1<<CONNACK | 1<<DISCONNECT},
	ReasonMessageRateTooHigh:    {"message rate too high", 1 << DISCONNECT},
	ReasonQuotaExceeded:         {"quota exceeded", 1<<CONNACK | 1<<PUBACK | 1<<PUBREC | 1<<SUBACK | 1<<DISCONNECT},
	ReasonAdministrative:        {"administrative action", 1 << DISCONNECT},
	ReasonPayloadFormatInvalid:  {"payload format invalid", 1<<CONNACK | 1<<PUBACK | 1<<PUBREC | 1<<DISCONNECT},
	ReasonRetainNotSupported:    {"retain not supported", 1<<CONNACK | 1<<DISCONNECT},
	ReasonQoSNotSupported:       {"QoS not supported", 1<<CONNACK | 1<<DISCONNECT},
	ReasonUseAnotherServer:      {"use another server", 1<<CONNACK | 1<<DISCONNECT},
	ReasonServerMoved:           {"server moved", 1<<CONNACK | 1<<DISCONNECT},
	ReasonSharedNotSupported:    {"shared subscriptions not supported", 1<<SUBACK | 1<<DISCONNECT},
	ReasonConnectionRate:        {"connection rate exceeded", 1<<CONNACK | 1<<DISCONNECT},
	ReasonMaximumConnectTime:    {"maximum connect time", 1 << DISCONNECT},
	ReasonSubIDNotSupported:     {"subscription identifiers not supported", 1<<SUBACK | 1<<DISCONNECT},
	ReasonWildcardsNotSupported: {"wildcard subscriptions not supported", 1<<SUBACK | 1<<DISCONNECT},
}

const acks = 1<<PUBACK | 1<<PUBREC | 1<<PUBREL | 1<<PUBCOMP

// String returns the name as the specification has it; "reserved" for other values.
func (r ReasonCode) String() string {
	if name := reasons[r].name; name != "" {
		return name
	}
	return "reserved"
}

// Failed says whether the operation failed.
func (r ReasonCode) Failed() bool { return r >= 0x80 }

// AllowedIn says whether a packet of type t may carry the code in 5.0.
func (r ReasonCode) AllowedIn(t Type) bool { return reasons[r].in&(1<<t) != 0 }

// ConnackV311 translates to the return codes of 3.1.1. ok is false where that version has
// none, so that the connection is closed without CONNACK. [MQTT3-3.2.2-6]
func (r ReasonCode) ConnackV311() (code byte, ok bool) {
	switch r {
	case ReasonSuccess:
		return 0, true
	case ReasonUnsupportedVersion: // [MQTT-3.1.2-2]
		return 1, true
	case ReasonClientIDInvalid: // [MQTT-3.1.3-8]
		return 2, true
	case ReasonServerUnavailable, ReasonServerBusy, ReasonQuotaExceeded, ReasonUseAnotherServer, ReasonServerMoved, ReasonConnectionRate:
		return 3, true
	case ReasonBadCredentials:
		return 4, true
	case ReasonNotAuthorized, ReasonBanned, ReasonBadAuthMethod:
		return 5, true
	}
	return 0, false
}
