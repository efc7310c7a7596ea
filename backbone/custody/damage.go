package custody

import (
	"fmt"
	"strings"
)

// Kind says what sort of damage it is. It labels a metric.
type Kind uint8

const (
	// Unreadable is a record whose bytes are not those that were written.
	Unreadable Kind = iota
	// Missing is records that are absent: a block is gone, empty or cut, or the log has a
	// gap.
	Missing
	// Short is a log that ends before what was acknowledged.
	Short
	// NoStream is a log that is gone, or whose description is.
	NoStream
	// OtherLog is a log that is not the one this node wrote.
	OtherLog
	// Restored is a data directory that was copied: what was acknowledged after the
	// copy was made is not in it.
	Restored
	// Miscounted is a log with fewer records than its sequences say.
	Miscounted
	// BadMark is a mark beside the log that cannot be read: nobody knows what was
	// acknowledged.
	BadMark

	// NumKinds is the number of kinds.
	NumKinds
)

var kindNames = [NumKinds]string{"unreadable", "missing", "short", "no_stream", "other_log", "restored", "miscounted", "bad_mark"}

// String returns the kind as the metric and the report spell it.
func (k Kind) String() string {
	if k < NumKinds {
		return kindNames[k]
	}
	return "unknown"
}

// MarshalText returns the bytes of String.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (k *Kind) UnmarshalText(b []byte) error {
	for i, name := range kindNames {
		if name == string(b) {
			*k = Kind(i) //nolint:gosec // of a few
			return nil
		}
	}
	return fmt.Errorf("custody: no such kind of damage: %q", b)
}

// Damage is one thing that differs from what was acknowledged.
type Damage struct {
	Kind   Kind   `json:"kind"`
	Stream string `json:"stream"`
	Block  uint32 `json:"block,omitempty"` // file N.blk; 0: none in particular
	// From and To are the first and the last position that is missing; 0: none is.
	From uint64 `json:"from,omitempty"`
	To   uint64 `json:"to,omitempty"`
	// Records is how many are missing, as far as known.
	Records uint64 `json:"records"`
	// Devices lists those known to have lost something. There may be others.
	Devices []string `json:"devices,omitempty"`
	Detail  string   `json:"detail"`
}

// String describes the damage in one line.
func (d *Damage) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", d.Kind, d.Detail)
	switch {
	case d.To > d.From:
		fmt.Fprintf(&b, ", positions %d to %d", d.From, d.To)
	case d.From > 0:
		fmt.Fprintf(&b, ", position %d", d.From)
	}
	if d.Records > 0 {
		fmt.Fprintf(&b, ", %d acknowledged records missing", d.Records)
	}
	if len(d.Devices) > 0 {
		fmt.Fprintf(&b, ", of %s", strings.Join(d.Devices, ", "))
	}
	if d.Block > 0 {
		fmt.Fprintf(&b, " (%s, block %d)", d.Stream, d.Block)
	}
	return b.String()
}

// Error says that acknowledged records are damaged and that nobody has decided what to do.
// Nothing was changed in the log.
type Error struct {
	Damages []Damage
	Copies  []string // where the damaged files were copied to
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "custody: the log is damaged: %s", e.Damages[0].String())
	if n := len(e.Damages) - 1; n > 0 {
		fmt.Fprintf(&b, "; and %d more", n)
	}
	if len(e.Copies) > 0 {
		fmt.Fprintf(&b, "; copied to %s", strings.Join(e.Copies, ", "))
	}
	return b.String()
}

// span is a range of positions, both ends included.
type span struct {
	From uint64 `json:"from"`
	To   uint64 `json:"to"`
}

func (s span) size() uint64 { return s.To - s.From + 1 }

// without returns spans less those that are known; both are in order.
func without(spans, known []span) (left []span) {
	for _, s := range spans {
		for _, k := range known {
			if k.To < s.From || k.From > s.To {
				continue
			}
			if k.From > s.From {
				left = append(left, span{s.From, k.From - 1})
			}
			if k.To >= s.To {
				s.From = s.To + 1
				break
			}
			s.From = k.To + 1
		}
		if s.From <= s.To {
			left = append(left, s)
		}
	}
	return left
}

// countWithin returns how many positions of spans lie within first to last.
func countWithin(spans []span, first, last uint64) (n uint64) {
	for _, s := range spans {
		if from, to := max(s.From, first), min(s.To, last); from <= to {
			n += to - from + 1
		}
	}
	return n
}
