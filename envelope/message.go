package envelope

// Message is one message of any type, decoded. Fields that the type does not
// carry are zero. The slices of a decoded Message are borrowed: good until the
// payload it came from is overwritten or the Message is decoded into again.
// The slices of a Message given to Append are borrowed until return.
//
// A Message is meant to be kept and decoded into again and again; the zero
// value is ready.
type Message struct {
	Type Type
	OK   bool // reply: the command was carried out

	Seq  uint64 // 1..MaxSeq, or 0 for none; in an error the sequence that was refused
	TS   int64  // Unix milliseconds by the device's clock, or 0 for none
	Upto uint64 // ack and welcome: the highest durable sequence, or 0 for none

	Epoch      uint64 // welcome: grows with every connection of the device
	HeartbeatS int    // welcome: seconds
	Window     int    // welcome: messages that may be unacknowledged at once

	Topic []byte // <= MaxTopic, or nil
	ID    []byte // command and reply: <= MaxID
	Name  []byte // command: <= MaxName
	Code  []byte // error, and a reply that is not ok: <= MaxCode, for programs
	Text  []byte // error, and a reply that is not ok: <= MaxText, for people
	Level []byte // alert: <= MaxLevel
	Group []byte // join and leave: <= MaxGroup
	Token []byte // token: <= MaxToken

	// Data is one JSON value for the JSON encodings, any bytes for the others;
	// nil if absent.
	Data []byte

	scratch []byte // unescaped strings of the last Decode
}

// Reset empties m but keeps its scratch.
func (m *Message) Reset() { *m = Message{scratch: m.scratch[:0]} }
