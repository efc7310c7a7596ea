// Package mqttproto speaks the server's side of MQTT 3.1.1 and 5.0 over byte slices.
//
// Bytes go in and packets come out; nothing here reads a socket, starts a goroutine, takes
// a lock or asks for the time. A packet passes through two stages:
//
//	Next            → Packet           cut off the front of what has arrived, not looked into
//	DecodeConnect … → Connect, Publish, Ack, Subscribe, Unsubscribe, Disconnect, Auth
//	AppendConnack, AppendPublish, AppendAck, AppendSuback, AppendUnsuback, AppendPingresp,
//	AppendDisconnect, AppendAuth       what a server sends
//
// # Owns
// The fixed header, the fields and flags of all packets, properties, reason codes, the rules
// of UTF-8, of packet identifiers, of topic names and of topic filters. The line that
// implements a clause carries its tag, and so does the test that proves it: [MQTT-3.1.2-3] is
// of the specification of 5.0, and [MQTT3-3.1.2-22] of 3.1.1 where 5.0 has no such clause.
//
// # Goroutines
// None. Everything here may be called from any goroutine.
//
// # Memory
// Nothing is kept and nothing is copied. What is decoded consists of parts of the caller's
// bytes and is valid for as long as those are. The caller keeps the front of a packet that
// has not arrived yet; Next says how much is missing. Encoders append to the caller's slice.
// No decoder and no encoder allocates.
//
// # Errors
// All errors are of type *Error, made beforehand so that they can be compared: what was
// wrong, the clause, and the reason code to answer with. After an error the connection is
// of no further use [MQTT-4.13.1-1].
//
// # When full
// A packet over the limit is refused when its length is known, before the rest of it has
// arrived.
//
// # Not here
// Sessions, topic aliases, packet identifiers in use, keep-alive and everything else that
// lasts longer than one packet. What a packet means.
package mqttproto
