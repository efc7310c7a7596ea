package gateway_test

import (
	"slices"
	"strconv"

	"pgregory.net/rapid"

	"edgeloop/gateway"
)

// roam lets the device send something to another node, which takes it over. There
// the device was told what is durable, so what is pending here it sends again, or
// something else under the same sequence.
func (m *sessionModel) roam(t *rapid.T) {
	if m.held != nil || m.now != nil && len(m.now.unread) > 0 {
		t.Skip("how much of it is read is left to chance")
	}
	if old := m.now; old != nil {
		m.n.gateway.Heard(gateway.Presence{Tenant: "default", Device: m.device, Epoch: m.epoch + 1, Online: true}, 1)
		m.wantEnd(t, old, 4409)
		m.now = nil
		m.await(t, "the device to be gone", func() bool { return m.n.gateway.Stats().Online == 0 })
	}
	seq := m.durableSeq() + rapid.Uint64Range(1, 3).Draw(t, "above")
	m.messages++
	r := stepped{seq: seq, high: seq, data: strconv.Itoa(m.messages)}
	m.log.foreign(r)
	m.taken = slices.Insert(m.taken, m.durable, r)
	m.durable++
	m.ahead, m.accepted = m.durable < len(m.taken), max(m.accepted, seq)
}

// overtaken is what becomes of all records that are pending, and of the
// connection, when another node was ahead of them.
func (m *sessionModel) overtaken(t *rapid.T) {
	m.log.commit(-1)
	m.taken, m.ahead = m.taken[:m.durable], false
	m.accepted = m.durableSeq()
	if m.now != nil {
		m.wantEnd(t, m.now, 1011)
		m.now = nil
	}
	m.await(t, "the device to be gone", func() bool { return m.n.gateway.Stats().Online == 0 })
}
