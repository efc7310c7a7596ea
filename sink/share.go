package sink

import "edgeloop/backbone/store"

// maxShare is how many dead letters of a sink one device may take while the destination takes
// what others send: without it one device would fill them, and the sink stood still for all.
const maxShare = store.MaxLetters / 10

// shares is who has had how many dead letters since the sink began, or since they were sent
// again. Owned by the sender of a sink.
type shares struct {
	letters map[owner]int // of those that had one
	// well: of the devices within their share, the last one that had an answer was confirmed.
	// Where the destination refuses all, none is, and the letters keep what they can.
	well bool
}

type owner struct{ tenant, device string }

func ownerOf(r *Record) owner { return owner{r.Tenant, r.Device} }

// confirmed notes what the destination has taken.
func (s *shares) confirmed(records []Record) {
	for i := range records {
		if s.letters[ownerOf(&records[i])] < maxShare {
			s.well = true
			return
		}
	}
}

// over says whether a refused record is of a device that has had its share, and that alone
// is at fault.
func (s *shares) over(r *Record) bool {
	if s.letters[ownerOf(r)] >= maxShare {
		return s.well
	}
	s.well = false
	return false
}

// buried notes a letter.
func (s *shares) buried(r *Record) {
	if s.letters == nil || len(s.letters) >= store.MaxLetters { // so many devices are no single one's fault
		s.letters = map[owner]int{}
	}
	s.letters[ownerOf(r)]++
}

// forget gives each device its share anew.
func (s *shares) forget() { *s = shares{} }
