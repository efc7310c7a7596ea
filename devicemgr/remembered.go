package devicemgr

// remembered is the list of the sessions that are offline, in the order in
// which they left. It is linked through the sessions themselves.
type remembered struct {
	// Guarded by mu of the Manager.

	head Session // head.newer is the one that left first, head.older the last
	n    int
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

// forgetSurplusLocked keeps the remembered sessions to MaxOffline. One with
// messages on their way to the log is passed over: a session made anew would
// not know of them, and take the same messages a second time. Their number is
// bounded by what the log takes in at once.
func (m *Manager) forgetSurplusLocked() {
	r := &m.remembered
	s := r.head.newer
	for r.n > m.cfg.MaxOffline && s != &r.head {
		next := s.newer
		if m.forgetLocked(s, false) {
			m.stats.Forgotten++
		}
		s = next
	}
}

// forgetLocked drops s, unless it is busy and that matters. The lane of a device
// raises the accepted sequence and then looks at the epoch; this marks the epoch
// and then looks at the sequence. So of a message that is being accepted now, one
// of the two takes notice: either s stays, or the message is not accepted here.
func (m *Manager) forgetLocked(s *Session, evenBusy bool) bool {
	epoch := s.epoch.Swap(forgotten)
	if !evenBusy && s.busy() {
		s.epoch.Store(epoch)
		return false
	}
	m.floor = max(m.floor, epoch)
	m.remembered.remove(s)
	m.dropLocked(s)
	return true
}
