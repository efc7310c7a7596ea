package mqttapi

import (
	"cmp"
	"slices"

	"edgeloop/backbone/store"
	"edgeloop/mqttproto"
)

// shelf is what is retained of one tenant. It is guarded by the mu of its Retained.
type shelf struct {
	kept   map[string]*kept // by topic
	coming map[string]room  // what messages on their way will take
	took   room             // of both
}

// kept is the retained message of a topic. Immutable.
type kept struct {
	position uint64
	line     []byte
}

// room is what some retained messages take.
type room struct {
	n, bytes int
}

func (r room) plus(o room) room  { return room{r.n + o.n, r.bytes + o.bytes} }
func (r room) minus(o room) room { return room{r.n - o.n, r.bytes - o.bytes} }

// within says whether r fits into one of parts of most.
func (r room) within(most room, parts int) bool {
	return r.n <= most.n/parts && r.bytes <= most.bytes/parts
}

// retainedExtra is what a retained message takes besides topic and record, bytes.
const retainedExtra = 128

func sizeOf(topic string, bytes int) room { return room{1, len(topic) + bytes + retainedExtra} }

// of is what the message of a topic takes.
func (s *shelf) of(topic string) room {
	if k := s.kept[topic]; k != nil {
		return sizeOf(topic, len(k.line))
	}
	return room{}
}

// more is what a message of so many bytes takes beyond what its topic has.
func (s *shelf) more(topic string, bytes int) room {
	d := sizeOf(topic, bytes).minus(s.of(topic).plus(s.coming[topic]))
	return room{max(0, d.n), max(0, d.bytes)}
}

// reserve keeps room for a message that is on its way.
func (s *shelf) reserve(topic string, more room) {
	s.coming[topic] = s.coming[topic].plus(more)
	s.took = s.took.plus(more)
}

// remove takes the message of a topic out, and what was reserved for it.
func (s *shelf) remove(topic string) (was room) {
	was = s.of(topic).plus(s.coming[topic])
	delete(s.kept, topic)
	delete(s.coming, topic)
	s.took = s.took.minus(was)
	return was
}

func (s *shelf) put(topic string, k *kept) (now room) {
	now = sizeOf(topic, len(k.line))
	s.kept[topic] = k
	s.took = s.took.plus(now)
	return now
}

// match are the messages that a filter matches, the oldest first.
func (s *shelf) match(filter string) (all []store.RetainedMessage) {
	for topic, k := range s.kept {
		if mqttproto.Match(filter, topic) {
			all = append(all, store.RetainedMessage{Topic: topic, Position: k.position, Line: k.line})
		}
	}
	slices.SortFunc(all, func(a, b store.RetainedMessage) int { return cmp.Compare(a.Position, b.Position) })
	return all
}
