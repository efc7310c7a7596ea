// Package envelope is the device protocol above WebSocket. It turns the payload of one
// WebSocket message into one [Message] and back, in JSON, in a binary frame that holds
// JSON or protobuf, or raw. docs/protocol.md describes the protocol for device authors.
//
// # Owns
//
// The message types and what each may and must carry (type.go), the limits of
// each field (field.go), the four encodings, and the wording of every fault that a device
// gets. schema/ and proto/ define the same for other languages.
//
// # Goroutines
//
// None. A [Codec] has no state; all goroutines may use it at once. A [Message] belongs to
// one goroutine at a time.
//
// # Memory
//
// Decode borrows: the slices of a Message point into the payload or, where a string had
// escapes, into the Message's own scratch. They are valid until the payload is overwritten
// or the Message is decoded into again. Append copies into the caller's slice. Once
// scratch and destination have grown, valid input is decoded and encoded without
// allocation.
//
// # Errors
//
// Decode returns only a [*Fault]. It names the field, what is wrong and what is allowed. If
// the sequence could be read, it carries it, so that the device can learn which of its
// messages is settled.
//
// # When full
//
// Nothing is queued here. Nesting is limited to [MaxDepth], and each field to the length in
// field.go; wsproto limits the size of the whole message.
//
// # Not here
//
// Sequence, acknowledgement, window and budget of faults (gateway); WebSocket
// frames (wsproto); subjects and records of the log (backbone).
package envelope
