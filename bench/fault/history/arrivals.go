package history

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Arrivals compares what arrived at one destination of a sink with the records of the devices:
// everything acknowledged is there, in each device's order, between begin and end of its
// connection, or with the dead letters when it was refused, and never both. What comes twice has the position of the first time, so that who
// drops it by its position is left with the log. One goroutine.
type Arrivals struct {
	name    string
	records map[string]Record
	refused func(device string, seq uint64) bool
	visits  *Visits // of which the destination has to be told; nil: of none
	tracks  map[string]*arrived
	told    visits // by what came
	log     string // that positions name
	lines   int
	repeats int
	broken  []Violation
}

// arrived is where one device stands at the destination.
type arrived struct {
	last    uint64            // highest sequence so far
	top     uint64            // highest position so far
	at      map[uint64]coming // by sequence
	letters map[uint64]bool
	events  map[uint64]visit // by position
	buried  map[visit]bool   // events with the dead letters
}

// coming is how a record came the first time.
type coming struct{ position, epoch uint64 }

// NewArrivals makes a checker for the destination of a name. refused says whether the
// destination refused a record, alone and for good; events have sequence 0. It has to be told of
// all visits in the log, unless that is nil.
func NewArrivals(name string, records []Record, log *Visits, refused func(device string, seq uint64) bool) *Arrivals {
	a := &Arrivals{name: name, records: make(map[string]Record, len(records)), visits: log, refused: refused, tracks: map[string]*arrived{}, told: visits{}}
	for _, r := range records {
		a.records[r.Device] = r
	}
	return a
}

// Lines is the number of records that came, and Repeats how many of them had come before.
func (a *Arrivals) Lines() int { return a.lines }

// Repeats is how many records came again.
func (a *Arrivals) Repeats() int { return a.repeats }

// sent is the part of a record at a destination that is checked.
type sent struct {
	Entry
	Position string
}

// Line takes the next record as it came; line is borrowed until return. The error says that it
// is none.
func (a *Arrivals) Line(line []byte) error {
	var s sent
	if err := json.Unmarshal(line, &s); err != nil {
		return fmt.Errorf("record %d at %s, %.200q: %w", a.lines+1, a.name, line, err)
	}
	a.lines++
	position, ok := a.position(&s)
	if !ok {
		return nil
	}
	t := a.track(s.Device)
	if s.isEvent() {
		a.event(t, &s.Entry, position)
		return nil
	}
	switch first, again := t.at[s.Seq]; {
	case again && first != coming{position, s.Epoch}:
		a.fail(Doubled, &s.Entry, "came as position %d of epoch %d, and again as %d of %d: nobody can tell that it is the same", first.position, first.epoch, position, s.Epoch)
	case again:
		a.repeats++
	case s.Seq < t.last:
		a.fail(Reordered, &s.Entry, "came after seq %d, for the first time", t.last)
		t.at[s.Seq] = coming{position, s.Epoch}
	default:
		t.last, t.at[s.Seq] = s.Seq, coming{position, s.Epoch}
		a.next(t, &s.Entry, position)
	}
	return nil
}

// event takes that a connection began or ended. What has another position is another record.
func (a *Arrivals) event(t *arrived, e *Entry, position uint64) {
	switch first, again := t.events[position]; {
	case again && first != e.visit():
		a.fail(Forged, e, "%s of epoch %d came with position %d, as %s of epoch %d did", e.Type, e.Epoch, position, first.kind, first.epoch)
	case again:
		a.repeats++
	default:
		t.events[position] = e.visit()
		a.next(t, e, position)
	}
}

// next judges the place of what comes for the first time.
func (a *Arrivals) next(t *arrived, e *Entry, position uint64) {
	if t.top >= position {
		a.fail(Reordered, e, "has position %d, and came behind %d of its device", position, t.top)
	}
	t.top = max(t.top, position)
	if a.visits == nil {
		return
	}
	// A begin that the log does not have, Visits judges.
	if wrong := a.told.next(e); wrong != "" && a.visits.seen[visit{e.Device, e.Epoch, connected}] {
		a.fail(Untold, e, "epoch %d came %s", e.Epoch, wrong)
	}
}

// Letter takes a dead letter: the record and the position with which it is kept.
func (a *Arrivals) Letter(position string, record []byte) error {
	s := sent{Position: position}
	if err := json.Unmarshal(record, &s.Entry); err != nil {
		return fmt.Errorf("a dead letter of %s, %.200q: %w", a.name, record, err)
	}
	if _, ok := a.position(&s); !ok {
		return nil
	}
	if t := a.track(s.Device); s.isEvent() {
		t.buried[s.visit()] = true
	} else {
		t.letters[s.Seq] = true
	}
	return nil
}

// position judges a record by itself, and reads its position.
func (a *Arrivals) position(s *sent) (n uint64, ok bool) {
	if !a.genuine(s) {
		a.fail(Forged, &s.Entry, "came with the data of %s seq %d, sent were 1..%d", s.Data.Device, s.Data.Seq, a.records[s.Device].Sent)
		return 0, false
	}
	dash := strings.LastIndexByte(s.Position, '-')
	n, err := strconv.ParseUint(s.Position[dash+1:], 10, 64)
	if dash < 1 || err != nil || a.log != "" && s.Position[:dash] != a.log {
		a.fail(Forged, &s.Entry, "came with the position %q, others with those of %q", s.Position, a.log)
		return 0, false
	}
	a.log = s.Position[:dash]
	return n, true
}

// genuine says whether a record is one that a device sent, or that the destination has to be told.
func (a *Arrivals) genuine(s *sent) bool {
	r, known := a.records[s.Device]
	if s.isEvent() {
		return known && a.visits != nil && s.Seq == 0
	}
	return known && s.Seq > 0 && s.Seq <= r.Sent && s.Data.Device == s.Device && s.Data.Seq == s.Seq
}

func (a *Arrivals) track(device string) *arrived {
	t := a.tracks[device]
	if t == nil {
		t = &arrived{at: map[uint64]coming{}, letters: map[uint64]bool{}, events: map[uint64]visit{}, buried: map[visit]bool{}}
		a.tracks[device] = t
	}
	return t
}

// Finish returns all violations. Call it once everything was read.
func (a *Arrivals) Finish() []Violation {
	for _, name := range slices.Sorted(maps.Keys(a.records)) {
		t := a.track(name)
		for seq := uint64(1); seq <= max(t.last, a.records[name].Acked); seq++ {
			_, came := t.at[seq]
			refused, e := a.refused(name, seq), Entry{Device: name, Seq: seq}
			switch letter := t.letters[seq]; {
			case came && refused:
				a.fail(Buried, &e, "came, though the destination refused it")
			case came && letter, letter && !refused:
				a.fail(Buried, &e, "is with the dead letters, though the destination never refused it; it came: %t", came)
			case !came && !letter:
				a.fail(Lost, &e, "did not come and is no dead letter, refused: %t; the last to come is %d, acknowledged is up to %d", refused, t.last, a.records[name].Acked)
			}
		}
		a.untold(name, t)
	}
	return a.broken
}

// untold judges what a destination was not told of a device's connections.
func (a *Arrivals) untold(device string, t *arrived) {
	if a.visits == nil {
		return
	}
	refused := a.refused(device, 0)
	for _, v := range a.visits.devices[device] {
		switch e := (Entry{Device: device}); {
		case t.buried[v] && (a.told[v] || !refused):
			a.fail(Buried, &e, "%s of epoch %d is with the dead letters; refused: %t, it came: %t", v.kind, v.epoch, refused, a.told[v])
		case !t.buried[v] && !a.told[v]:
			a.fail(Lost, &e, "%s of epoch %d did not come and is no dead letter, refused: %t", v.kind, v.epoch, refused)
		}
	}
}

func (a *Arrivals) fail(p Promise, e *Entry, format string, args ...any) {
	a.broken = append(a.broken, Violation{Promise: p, Device: e.Device, Seq: e.Seq, Detail: "at " + a.name + ": " + fmt.Sprintf(format, args...)})
}
