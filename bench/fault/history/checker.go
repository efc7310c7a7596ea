package history

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Promise names what a violation broke.
type Promise string

// The promises that are checked.
const (
	Lost       Promise = "lost"         // acknowledged, not in the log
	Doubled    Promise = "doubled"      // one (device, sequence) twice in the log
	Reordered  Promise = "reordered"    // a lower sequence after a higher one
	Hole       Promise = "hole"         // a sequence is missing below a later one
	Forged     Promise = "forged"       // in the log or acknowledged, never sent, or other bytes
	RolledBack Promise = "rolled back"  // a welcome below what was acknowledged
	OldEpoch   Promise = "old epoch"    // a session's epoch is not above the last one
	TwoLives   Promise = "two sessions" // a device has two live sessions
	Presence   Promise = "presence"     // the node's list differs from the connected devices
	Command    Promise = "command"      // delivered twice, or not to a device that stayed
	Dropped    Promise = "dropped"      // a connected device was hurt by others
	Slowed     Promise = "slowed"       // a well-behaved device waited for long because of others
	LetIn      Promise = "let in"       // an attacker got what is not for him
	Shed       Promise = "shed"         // refused in a state in which it is not to be, or not refused
	Stuck      Promise = "stuck"        // what was sent never settles
	Resources  Promise = "resources"    // memory or descriptors do not come back
	Silent     Promise = "silent"       // damage goes unreported
	Buried     Promise = "buried"       // with the dead letters and not refused, or refused and not only there
	Untold     Promise = "untold"       // the begin or end of a connection is missing, or not where it belongs
	Died       Promise = "died"         // the node ended, panicked or did not stop well
)

// Violation is one broken promise.
type Violation struct {
	Promise Promise
	Device  string // "" if it concerns the whole node
	Seq     uint64 // 0 if it concerns no message
	Detail  string
}

// String is the violation in one line.
func (v Violation) String() string {
	s := string(v.Promise) + ":"
	if v.Device != "" {
		s += " " + v.Device
	}
	if v.Seq != 0 {
		s += fmt.Sprintf(" seq %d", v.Seq)
	}
	return s + " " + v.Detail
}

// Entry is the checked part of a log line.
type Entry struct {
	Type   string
	Device string
	Epoch  uint64
	Seq    uint64
	Data   struct {
		Device string `json:"d"`
		Seq    uint64 `json:"n"`
	}
}

// Checker compares a log with the records of the devices. It reads the log as a stream and
// keeps only where each device stands. One goroutine.
type Checker struct {
	records map[string]Record
	tracks  map[string]*track
	lines   int
	broken  []Violation
}

// track is where one device stands in the log.
type track struct {
	last    uint64              // highest sequence so far
	line    int                 // where that was
	epoch   uint64              // of the last line
	missing map[uint64]struct{} // below last and not seen yet
}

// NewChecker makes a checker for these records.
func NewChecker(records []Record) *Checker {
	c := &Checker{records: make(map[string]Record, len(records)), tracks: make(map[string]*track, len(records))}
	for _, r := range records {
		c.records[r.Device] = r
	}
	return c
}

// Lines is the number of log lines taken so far.
func (c *Checker) Lines() int { return c.lines }

// Line takes the next line of the log; line is borrowed until return. It returns an error if
// line is not a log line.
func (c *Checker) Line(line []byte) error {
	var e Entry
	if err := json.Unmarshal(line, &e); err != nil {
		return fmt.Errorf("line %d of the log, %.200q: %w", c.lines+1, line, err)
	}
	c.Entry(e)
	return nil
}

// Entry takes the next entry of the log.
func (c *Checker) Entry(e Entry) {
	c.lines++
	if strings.HasPrefix(e.Device, Hostile) {
		return // nothing was acknowledged to it
	}
	r, known := c.records[e.Device]
	if known && e.isEvent() {
		return // Visits judges it
	}
	if !known || e.Seq == 0 || e.Seq > r.Sent {
		c.fail(Forged, e, "on line %d of the log, sent were 1..%d", c.lines, r.Sent)
		return
	}
	if e.Data.Device != e.Device || e.Data.Seq != e.Seq {
		c.fail(Forged, e, "on line %d of the log holds the data of %s seq %d", c.lines, e.Data.Device, e.Data.Seq)
	}
	t := c.tracks[e.Device]
	if t == nil {
		t = &track{missing: map[uint64]struct{}{}}
		c.tracks[e.Device] = t
	}
	if e.Epoch < t.epoch {
		c.fail(OldEpoch, e, "on line %d of the log is of epoch %d, the line before it of %d", c.lines, e.Epoch, t.epoch)
	}
	t.epoch = e.Epoch
	switch _, gap := t.missing[e.Seq]; {
	case e.Seq > t.last:
		for s := t.last + 1; s < e.Seq; s++ {
			t.missing[s] = struct{}{}
		}
		t.last, t.line = e.Seq, c.lines
	case gap:
		delete(t.missing, e.Seq)
		c.fail(Reordered, e, "on line %d of the log, after seq %d on line %d", c.lines, t.last, t.line)
	default:
		c.fail(Doubled, e, "on line %d of the log again; the device stood at %d, line %d", c.lines, t.last, t.line)
	}
}

// Sent compares the highest sequence that the log holds of a device with what the device has
// sent by now. Call it once the log has been read.
func (c *Checker) Sent(device string, sent uint64) {
	if t := c.tracks[device]; t != nil && t.last > sent {
		c.fail(Forged, Entry{Device: device, Seq: t.last}, "on line %d of the log, sent were 1..%d", t.line, sent)
	}
}

// Hostile begins the names of devices that keep no record.
const Hostile = "x-"

// Finish returns all violations. Call it once the log has been read.
func (c *Checker) Finish() []Violation {
	for _, name := range slices.Sorted(maps.Keys(c.records)) {
		r, t := c.records[name], c.tracks[name]
		if t == nil {
			t = &track{}
		}
		for _, seq := range slices.Sorted(maps.Keys(t.missing)) {
			p := Hole
			if seq <= r.Acked {
				p = Lost
			}
			c.fail(p, Entry{Device: name, Seq: seq}, "is not in the log, which goes on to %d; acknowledged is up to %d", t.last, r.Acked)
		}
		if t.last < r.Acked {
			c.fail(Lost, Entry{Device: name, Seq: t.last + 1}, "is not in the log, which ends at %d; acknowledged is up to %d", t.last, r.Acked)
		}
	}
	return c.broken
}

func (c *Checker) fail(p Promise, e Entry, format string, args ...any) {
	c.broken = append(c.broken, Violation{Promise: p, Device: e.Device, Seq: e.Seq, Detail: fmt.Sprintf(format, args...)})
}
