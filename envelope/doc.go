// Package envelope is the device protocol above WebSocket: it turns the payload
// of one WebSocket message into one [Message] and back, in JSON, in a binary
// frame that holds JSON or protobuf, or raw. docs/protocol.md is the same for
// people who write devices.
//
// # Owns
//
// The message types and what each may and must carry (type.go), the limits of
// each field (field.go), the four encodings, and the wording of every fault that
// a device is told about. schema/ and proto/ say the same for other languages.
//
// # Goroutines
//
// None. A [Codec] has no state and may be used by all goroutines at once; a
// [Message] belongs to one goroutine at a time.
//
// # Memory
//
// Decode borrows: the slices of a Message point into the payload, or into the
// Message's own scratch where a string had escapes, and are good until the
// payload is overwritten or the Message is decoded into again. Append copies
// into the caller's slice. Valid input is decoded and encoded without
// allocation once scratch and destination have grown.
//
// # Errors
//
// Decode returns a [*Fault] and nothing else. It names the field, what was
// wrong and what is allowed, and carries the sequence where that could still be
// read, so that the device can be told which of its messages is settled.
//
// # When full
//
// Nothing is queued here. Nesting is limited to [MaxDepth] and each field to
// the length in field.go; the size of the whole message is wsproto's limit.
//
// # Not here
//
// Sequence, acknowledgement, window and budget of faults (gateway); WebSocket
// frames (wsproto); subjects and records of the log (backbone).
package envelope
