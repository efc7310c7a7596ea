// Package mqttapi is the way into a node for applications that speak MQTT: whoever shows an
// admin token in CONNECT subscribes to the records of a tenant. A subscription is a reader of
// the log, nothing else (docs/decisions/0042).
//
// Server stands before the gateway: a CONNECT whose password is no admin token goes on to
// that, so no device becomes a subscriber, and no subscriber a device.
//
// # Owns
//
// Who of the clients is an application (admit.go), and what one connection of it is made of:
// client.go on the loop, work.go beside it, reading.go at the log. What it may publish: commands of
// Sparkplug B (sparkplug.go). And the groups of shared
// subscriptions (groups.go), each of which reads the log once for its members (group.go).
//
// # Goroutines
//
// Two for each connection of an application, from CONNECT to its end, two for each group that
// has members, and one that forgets sessions which are over. None for a device.
//
// # Memory
//
// A connection holds what its reader holds (1 MiB, or one larger record), 64 KiB of packets
// that wait for the socket or one larger packet, and 64 KiB of packets that it has sent.
// When its client does not read, or does not acknowledge, it stops reading the log. A group holds
// what its reader holds, and of each message that a member has not acknowledged its position.
//
// # Errors
//
// CONNACK and SUBACK carry the reason codes of the specification; what ends a connection is
// a close code as for devices.
//
// # When full
//
// A member of a group that takes no more is passed over. Connections and kept sessions beyond their limits are refused with 0x97, and filters beyond
// theirs in SUBACK; packets beyond theirs wait in the socket.
//
// # Not here
//
// Packets (mqttproto), sockets (eventloop), readers and their places (backbone/reader),
// tokens and scopes (admin/access), what devices send (gateway).
package mqttapi
