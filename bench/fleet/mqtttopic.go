package fleet

import (
	"bytes"
	"strconv"
	"strings"
)

// topic is a topic or a filter with the number of a device in it, or without.
type topic struct {
	before, after string
	numbered      bool
	scratch       []byte
}

// topicOf reads one; {n} is the number.
func topicOf(s string) (t topic) {
	t.before, t.after, t.numbered = strings.Cut(s, "{n}")
	return t
}

func (t *topic) none() bool { return t.before == "" && !t.numbered }

// of is the topic of device n, valid until the next call.
func (t *topic) of(n int) []byte {
	t.scratch = append(t.scratch[:0], t.before...)
	if t.numbered {
		t.scratch = strconv.AppendInt(t.scratch, int64(n), 10)
	}
	t.scratch = append(t.scratch, t.after...)
	return t.scratch
}

// publisher is the number of the device that a topic is of; false where its last level says
// none.
func publisher(name []byte) (n uint64, ok bool) {
	n, err := strconv.ParseUint(string(name[bytes.LastIndexByte(name, '/')+1:]), 10, 32)
	return n, err == nil
}

// delivered takes a message of a topic that device c subscribed to. Each publisher numbers what
// it sends, and who subscribes alone gets all of it; of a shared subscription it gets some.
func (l *loop) delivered(c *conn, name []byte, e *event, now int64) {
	if e.stamp > 0 {
		l.hists.record(Downlink, now-e.stamp)
	}
	l.tallies.lastDownlink = now
	l.counts[Delivered]++
	from, ok := publisher(name)
	if !ok || e.number == 0 {
		return
	}
	if c.work == nil {
		c.work = &work{}
	}
	if c.work.heard == nil {
		c.work.heard = make(map[uint64]uint64)
	}
	before := c.work.heard[from]
	switch {
	case e.number <= before:
		l.counts[DeliveriesDoubled]++
		return
	case before > 0 && e.number > before+1 && !l.mqtt.shares():
		l.counts[DeliveriesMissed] += int64(e.number - before - 1) //nolint:gosec // numbers of one run
	}
	c.work.heard[from] = e.number
}

// shares says whether devices share what they subscribed to.
func (m *mqtt) shares() bool { return strings.HasPrefix(m.filter.before, "$share/") }
