package retained

import (
	"bytes"
	"encoding/json"
	"time"

	"edgeloop/backbone/store"
)

// Message is a record that is retained. It is never written.
type Message struct {
	Position uint64 // in the log; 0: it is of an older one
	Line     []byte // as the log has it

	expires int64 // Unix milliseconds; 0: never
}

// newMessage makes one of a line, which is the message's from now on.
func newMessage(position uint64, line []byte) *Message {
	return &Message{Position: position, Line: line, expires: expiryOf(line)}
}

// head is a record up to its data, of which there may be much, and the committer waits. No text in it
// can have quotes that are not escaped.
func head(line []byte) []byte {
	before, _, _ := bytes.Cut(line, []byte(`,"data":`))
	return before
}

// expiryMark is in every record that expires, before its data.
var expiryMark = []byte(`"message_expiry":`)

// expiryOf says when a record expires.
func expiryOf(line []byte) int64 {
	line = head(line)
	if !bytes.Contains(line, expiryMark) {
		return 0
	}
	var r struct {
		Received   int64 `json:"received"`
		Properties struct {
			Expiry *int64 `json:"message_expiry"`
		} `json:"properties"`
	}
	if json.Unmarshal(append(line[:len(line):len(line)], '}'), &r) != nil || r.Properties.Expiry == nil {
		return 0
	}
	return r.Received + 1000**r.Properties.Expiry
}

// Expired says that nobody is to get it any more. [MQTT-3.3.2-5]
func (m *Message) Expired(now time.Time) bool { return m.expires != 0 && now.UnixMilli() >= m.expires }

// Slot is what is known of one topic of a tenant.
type Slot struct {
	// Immutable after construction.
	tenant, topic string

	// Guarded by mu of the Table.
	message *Message // nil: none
	coming  int      // messages on their way, which have their room
	held    int      // bytes: as many as the largest takes of those, and of the one that is there
	stored  bool     // the store has a message of it, or may
	at      int      // its place on the shelf
}

// Topic is that of the messages.
func (s *Slot) Topic() string { return s.topic }

// room is what messages take.
type room struct {
	n, bytes int
}

func (r room) plus(o room) room  { return room{r.n + o.n, r.bytes + o.bytes} }
func (r room) minus(o room) room { return room{r.n - o.n, r.bytes - o.bytes} }

// within says whether r fits into one of parts of most.
func (r room) within(most room, parts int) bool {
	return r.n <= (most.n+parts-1)/parts && r.bytes <= (most.bytes+parts-1)/parts
}

// roomLocked is what a slot takes. One that the store has still to forget takes nothing, and there are
// no more of those than the store has messages.
func (s *Slot) roomLocked() room {
	if s == nil || s.message == nil && s.coming == 0 {
		return room{}
	}
	return room{1, s.held}
}

// extra is what a message takes besides topic and record, bytes.
const extra = 256

// sizeLocked is what the message of a slot takes, bytes.
func (s *Slot) sizeLocked() int {
	if s.message == nil {
		return 0
	}
	return len(s.topic) + len(s.message.Line) + extra
}

// toldLocked is the message as the store is told of it.
func (s *Slot) toldLocked() change {
	c := change{s.message, store.RetainedMessage{Tenant: s.tenant, Topic: s.topic}}
	if s.message != nil {
		c.of.Position, c.of.Line = s.message.Position, s.message.Line
	}
	return c
}

// shelf is what there is of one tenant. It is guarded by mu of the Table.
type shelf struct {
	slots map[string]*Slot // by topic
	all   []*Slot          // the same, to be copied at once
	took  room
}

// add makes the slot of a topic that has none.
func (h *shelf) add(tenant, topic string) *Slot {
	s := &Slot{tenant: tenant, topic: topic, at: len(h.all)}
	h.slots[topic], h.all = s, append(h.all, s)
	return s
}

func (h *shelf) remove(s *Slot) {
	last := len(h.all) - 1
	h.all[last].at, h.all[s.at] = s.at, h.all[last]
	h.all[last] = nil
	h.all = h.all[:last]
	delete(h.slots, s.topic)
}
