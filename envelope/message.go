package envelope

import "math/bits"

// Message is one decoded message of any type. Fields that the type does not carry are zero.
// The slices of a decoded Message are borrowed: they are valid until its payload is
// overwritten or the Message is decoded into again. The slices of a Message given to
// Append are borrowed until return.
//
// Keep a Message and decode into it again and again; the zero value is ready.
type Message struct {
	Type Type
	OK   bool // reply: the command was carried out

	Seq  uint64 // 1..MaxSeq, or 0 for none; in an error the refused sequence
	TS   int64  // Unix milliseconds of the device's clock, or 0 for none
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

// bytes is the address of a string or data field; nil for any other field.
func (m *Message) bytes(f field) *[]byte {
	switch f {
	case fieldTopic:
		return &m.Topic
	case fieldData:
		return &m.Data
	case fieldID:
		return &m.ID
	case fieldName:
		return &m.Name
	case fieldCode:
		return &m.Code
	case fieldText:
		return &m.Text
	case fieldLevel:
		return &m.Level
	case fieldGroup:
		return &m.Group
	case fieldToken:
		return &m.Token
	}
	return nil
}

// number is the value of an integer field, or of ok as 0 or 1.
func (m *Message) number(f field) int64 {
	switch f {
	case fieldSeq:
		return int64(m.Seq)
	case fieldTS:
		return m.TS
	case fieldUpto:
		return int64(m.Upto)
	case fieldEpoch:
		return int64(m.Epoch)
	case fieldHeartbeat:
		return int64(m.HeartbeatS)
	case fieldWindow:
		return int64(m.Window)
	case fieldOK:
		if m.OK {
			return 1
		}
	}
	return 0
}

func (m *Message) setNumber(f field, v int64) {
	switch f {
	case fieldSeq:
		m.Seq = uint64(v)
	case fieldTS:
		m.TS = v
	case fieldUpto:
		m.Upto = uint64(v)
	case fieldEpoch:
		m.Epoch = uint64(v)
	case fieldHeartbeat:
		m.HeartbeatS = int(v)
	case fieldWindow:
		m.Window = int(v)
	}
}

// present is the set of fields in s that are not zero.
func (m *Message) present(s fieldSet) fieldSet {
	for rest := s; rest != 0; rest &= rest - 1 {
		f := field(bits.TrailingZeros32(uint32(rest)))
		p := m.bytes(f)
		if (p != nil && *p == nil) || (p == nil && m.number(f) == 0) {
			s &^= 1 << f
		}
	}
	return s
}
