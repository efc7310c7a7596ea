package history

import (
	"encoding/json"
	"fmt"
)

// Types of the records that say when a connection of a device began and ended.
const (
	connected    = "connected"
	disconnected = "disconnected"
)

// visit is the begin or the end of one connection of a device.
type visit struct {
	device string
	epoch  uint64
	kind   string
}

func (e *Entry) visit() visit { return visit{e.Device, e.Epoch, e.Type} }

// isEvent says whether a record tells of a connection, and has nothing that the device sent.
func (e *Entry) isEvent() bool { return e.Type == connected || e.Type == disconnected }

// visits is what a reader has been told of connections so far.
type visits map[visit]bool

// next takes the next record, which has not come before, and says what is wrong with its place:
// a connection begins in front of all that came by it, and ends behind that. "" is nothing.
func (v visits) next(e *Entry) (wrong string) {
	if !v[visit{e.Device, e.Epoch, connected}] && e.Type != connected {
		wrong = "in front of the begin of its connection"
	}
	if v[visit{e.Device, e.Epoch, disconnected}] && !e.isEvent() {
		wrong = "behind the end of its connection"
	}
	if e.isEvent() {
		v[e.visit()] = true
	}
	return wrong
}

// Visits reads in a log when connections of devices began and ended: what each destination of
// a sink has to be told. One goroutine.
type Visits struct {
	devices map[string][]visit // of known ones, in the order of the log
	seen    visits
	broken  []Violation
}

// NewVisits makes a reader for the devices of these records.
func NewVisits(records []Record) *Visits {
	v := &Visits{devices: map[string][]visit{}, seen: visits{}}
	for _, r := range records {
		v.devices[r.Device] = nil
	}
	return v
}

// Line takes the next line of the log; line is borrowed until return. The error says that it is
// none.
func (v *Visits) Line(line []byte) error {
	var e Entry
	if err := json.Unmarshal(line, &e); err != nil {
		return fmt.Errorf("a line of the log, %.200q: %w", line, err)
	}
	all, known := v.devices[e.Device]
	if !known {
		return nil
	}
	if e.isEvent() && !v.seen[e.visit()] { // it may be there twice
		v.devices[e.Device] = append(all, e.visit())
	}
	if wrong := v.seen.next(&e); wrong != "" {
		v.broken = append(v.broken, Violation{Promise: Untold, Device: e.Device, Seq: e.Seq, Detail: fmt.Sprintf("epoch %d is in the log %s", e.Epoch, wrong)})
	}
	return nil
}

// Finish returns all violations. Call it once the log was read.
func (v *Visits) Finish() []Violation { return v.broken }

// Count is how many begins and ends of connections the log has.
func (v *Visits) Count() int { return len(v.seen) }
