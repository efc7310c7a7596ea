package devicemgr

// remembered is the list of the sessions that are offline, in the order in
// which they left. It is linked through the sessions themselves.
type remembered struct {
	// Guarded by mu of the Manager.

	head   Session // head.newer is the one that left first, head.older the last
	n      int
	looked uint64 // how often one was looked at for being forgotten
}

func (r *remembered) init() { r.head.newer, r.head.older = &r.head, &r.head }

// add puts s at the end of those that left last.
func (r *remembered) add(s *Session) {
	last := r.head.older
	s.older, s.newer = last, &r.head
	last.newer, r.head.older = s, s
	r.n++
}

func (r *remembered) remove(s *Session) {
	s.older.newer, s.newer.older = s.newer, s.older
	s.older, s.newer = nil, nil
	r.n--
}

// forgetSteps is how many sessions one departure looks at. Each that was passed over
// goes to the end of the list, so a crowd of them costs each departure the same.
const forgetSteps = 4

// forgetSurplusLocked keeps the remembered sessions to MaxOffline. One with
// messages on their way to the log is passed over: a session made anew would
// not know of them, and take the same messages a second time. Their number is
// bounded by what the log takes in at once; as they become idle, the departures
// that follow catch up.
func (m *Manager) forgetSurplusLocked() {
	r := &m.remembered
	for range forgetSteps {
		if r.n <= m.cfg.MaxOffline {
			return
		}
		r.looked++
		s := r.head.newer
		if m.forgetLocked(s, false) {
			m.stats.Forgotten++
			continue
		}
		r.remove(s)
		r.add(s)
	}
}

// forgetLocked drops s, unless it is busy and that matters. A session that stays is
// not touched: its lane and its connection see nothing of having been looked at.
func (m *Manager) forgetLocked(s *Session, evenBusy bool) bool {
	if !s.seal(evenBusy) {
		return false
	}
	m.floor = max(m.floor, s.epoch.Swap(forgotten))
	m.remembered.remove(s)
	m.dropLocked(s)
	return true
}
