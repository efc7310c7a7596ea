package devicemgr

import "time"

// remembered is the list of offline sessions in the order in which they left, a ring of
// neighbours in a slab.
type remembered[L any] struct {
	// Guarded by mu of the Manager.

	places slab[neighbours[L]]
	head   uint32 // its newer is the session that left first, its older the last
	n      int
	looked uint64 // how often a session was considered for forgetting
}

// neighbours is a session's place among the remembered.
type neighbours[L any] struct {
	session      *Session[L]
	older, newer uint32
}

func (r *remembered[L]) init() {
	r.head = r.places.put(neighbours[L]{})
	head := r.places.at(r.head)
	head.older, head.newer = r.head, r.head
}

// firstLocked is the session that left first.
func (r *remembered[L]) firstLocked() *Session[L] {
	return r.places.at(r.places.at(r.head).newer).session
}

// addLocked puts s at the end, as the one that left last.
func (r *remembered[L]) addLocked(s *Session[L]) {
	last := r.places.at(r.head).older
	s.place = r.places.put(neighbours[L]{s, last, r.head})
	r.places.at(last).newer, r.places.at(r.head).older = s.place, s.place
	r.n++
}

func (r *remembered[L]) removeLocked(s *Session[L]) {
	was := *r.places.at(s.place)
	r.places.at(was.older).newer, r.places.at(was.newer).older = was.newer, was.older
	r.places.drop(s.place)
	s.place = 0
	r.n--
}

// forgetSteps is how many sessions one departure considers. A session that is passed over
// goes to the end of the list, so many of them cost each departure no more.
const forgetSteps = 4

// forgetSurplusLocked limits the remembered sessions to MaxOffline. It passes over a session
// with messages on their way to the log: a new session would not know of them and take
// the same messages a second time. What the log takes in at once bounds their number; as
// they become idle, later departures catch up.
func (m *Manager[L]) forgetSurplusLocked() {
	r := &m.remembered
	for range forgetSteps {
		if r.n <= m.cfg.MaxOffline {
			return
		}
		r.looked++
		s := r.firstLocked()
		if m.forgetLocked(s, false) {
			m.stats.Forgotten++
			continue
		}
		r.removeLocked(s)
		r.addLocked(s)
	}
}

// forgetLocked drops s. It keeps a busy one unless evenBusy. A session that stays is
// unchanged: its lane and its connection do not notice.
func (m *Manager[L]) forgetLocked(s *Session[L], evenBusy bool) bool {
	if !s.seal(evenBusy) {
		return false
	}
	m.floor = max(m.floor, s.epoch.Swap(forgotten))
	m.remembered.removeLocked(s)
	m.dropLocked(s)
	return true
}

// A Memory is what was known of a device in an earlier life of the node.
type Memory struct {
	Epoch, Durable uint64
	Seen           time.Time
}

// Remember adds an offline device, behind those that have left; false if it has a session
// or there is no room. The log is asked all the same when it comes back (Session.Loaded).
func (m *Manager[L]) Remember(k Key, was Memory) bool {
	hash := m.Hash(k)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.remembered.n >= m.cfg.MaxOffline || m.shard(hash).findLocked(hash, k) != nil {
		return false
	}
	s := m.addLocked(hash, k)
	s.epoch.Store(max(was.Epoch, s.epoch.Load(), 1))
	s.SetDurable(was.Durable)
	s.Touch(was.Seen)
	m.remembered.addLocked(s)
	return true
}
