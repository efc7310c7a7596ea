package mqttproto

// Error is a packet that cannot be accepted. Errors are compared by identity.
type Error struct {
	Reason ReasonCode // for CONNACK before the connection is accepted, for DISCONNECT after
	What   string     // what is wrong
	Tag    string     // the clause that forbids it; where none has a number, its section
}

// Error says what is wrong, by which clause, and the reason code.
func (e *Error) Error() string {
	return "mqttproto: " + e.What + " [" + e.Tag + "]: " + e.Reason.String()
}

func malformed(tag, what string) *Error { return &Error{ReasonMalformedPacket, what, tag} }
func violation(tag, what string) *Error { return &Error{ReasonProtocolError, what, tag} }

// What can be wrong with any packet.
var (
	ErrType         = violation("MQTT 2.1.2", "a packet of a type that clients of this version do not send")
	ErrFlags        = malformed("MQTT-2.1.3-1", "reserved flags of the fixed header are set otherwise")
	ErrLength       = malformed("MQTT-1.5.5-1", "a variable byte integer that is longer than it may be")
	ErrTooLarge     = &Error{ReasonPacketTooLarge, "a packet larger than the limit", "MQTT-3.2.2-15"}
	ErrTruncated    = malformed("MQTT 4.13.1", "the packet ends within a field")
	ErrTrailing     = malformed("MQTT 4.13.1", "the packet is longer than its fields")
	ErrPacketID     = violation("MQTT-2.2.1-3", "packet identifier 0")
	ErrReason       = violation("MQTT 2.4", "a reason code that this packet does not have")
	ErrConnectFirst = violation("MQTT-3.1.0-1", "the first packet is not CONNECT")
	ErrConnectTwice = violation("MQTT-3.1.0-2", "a second CONNECT")
)

// What can be wrong with CONNECT.
var (
	ErrProtocolName  = &Error{ReasonUnsupportedVersion, "the protocol name is not MQTT", "MQTT-3.1.2-1"}
	ErrVersion       = &Error{ReasonUnsupportedVersion, "a version other than 3.1.1 and 5.0", "MQTT-3.1.2-2"}
	ErrConnectFlags  = malformed("MQTT-3.1.2-3", "the reserved flag of CONNECT is set")
	ErrWillQoS       = malformed("MQTT-3.1.2-11", "Will QoS without a Will")
	ErrWillQoS3      = malformed("MQTT-3.1.2-12", "Will QoS 3")
	ErrWillRetain    = malformed("MQTT-3.1.2-13", "Will Retain without a Will")
	ErrPasswordAlone = malformed("MQTT3-3.1.2-22", "a password without a user name")
	ErrClientID      = malformed("MQTT-3.1.3-4", "the client identifier is not UTF-8")
	ErrClientIDEmpty = &Error{ReasonClientIDInvalid, "no client identifier and no clean session", "MQTT3-3.1.3-8"}
	ErrWillTopic     = malformed("MQTT-3.1.3-11", "the Will Topic is not a topic name")
	ErrUserName      = malformed("MQTT-3.1.3-12", "the user name is not UTF-8")
)

// What can be wrong with properties.
var (
	ErrProperty       = malformed("MQTT 2.2.2.2", "a property that this packet does not have")
	ErrPropertyTwice  = violation("MQTT 2.2.2.2", "a property that may occur once occurs again")
	ErrPropertyValue  = violation("MQTT 2.2.2.2", "a property with a value that it cannot have")
	ErrPropertyText   = malformed("MQTT-1.5.4-1", "a property that is not UTF-8")
	ErrUserProperty   = malformed("MQTT-1.5.7-1", "a user property that is not UTF-8")
	ErrResponseTopic  = malformed("MQTT-3.3.2-14", "the Response Topic is not a topic name")
	ErrSubscriptionID = violation("MQTT-3.3.4-6", "a client's PUBLISH with a Subscription Identifier")
	ErrAuthData       = violation("MQTT 3.1.2.11.10", "authentication data without a method")
)

// What can be wrong with PUBLISH.
var (
	ErrQoS        = malformed("MQTT-3.3.1-4", "PUBLISH with QoS 3")
	ErrDup        = malformed("MQTT-3.3.1-2", "DUP with QoS 0")
	ErrTopic      = malformed("MQTT-3.3.2-1", "the topic name is not UTF-8")
	ErrTopicWild  = malformed("MQTT-3.3.2-2", "a wildcard in a topic name")
	ErrTopicEmpty = malformed("MQTT-4.7.3-1", "an empty topic name")
	ErrTopicNone  = violation("MQTT 3.3.2.1", "neither topic name nor topic alias")
	ErrTopicAlias = &Error{ReasonTopicAliasInvalid, "a topic alias of 0, or above the maximum", "MQTT-3.3.2-8"}
)

// What can be wrong with SUBSCRIBE and UNSUBSCRIBE.
var (
	ErrFilter         = malformed("MQTT-3.8.3-1", "a topic filter that is not UTF-8")
	ErrFilterEmpty    = malformed("MQTT-4.7.3-1", "an empty topic filter")
	ErrFilterHash     = malformed("MQTT-4.7.1-1", "# is not the last level of the topic filter by itself")
	ErrFilterPlus     = malformed("MQTT-4.7.1-2", "+ is not a level of the topic filter by itself")
	ErrShareName      = malformed("MQTT-4.8.2-1", "$share/ without a share name")
	ErrShareFilter    = malformed("MQTT-4.8.2-2", "a wildcard in the share name, or no topic filter behind it")
	ErrShareNoLocal   = violation("MQTT-3.8.3-4", "No Local on a shared subscription")
	ErrOptions        = malformed("MQTT-3.8.3-5", "reserved bits of the subscription options are set")
	ErrOptionsQoS     = malformed("MQTT 3.8.3.1", "a subscription with QoS 3")
	ErrRetainHandling = violation("MQTT 3.8.3.1", "Retain Handling 3")
	ErrNoFilter       = violation("MQTT-3.8.3-2", "SUBSCRIBE without a topic filter")
	ErrNoUnfilter     = violation("MQTT-3.10.3-2", "UNSUBSCRIBE without a topic filter")
)

// ErrAuthMethod is what can be wrong with AUTH.
var ErrAuthMethod = violation("MQTT-4.12.0-5", "AUTH without an authentication method")
