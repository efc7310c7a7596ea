package api

import (
	"strconv"
	"strings"
	"time"
)

// TailQuery selects records of the log.
type TailQuery struct {
	// Tenant and Device select; empty selects all.
	Tenant, Device string
	// All starts at the oldest record that is kept.
	All bool
	// Since starts at the first record received at or after this time; the zero
	// value, without All and After, starts with what arrives from now on.
	Since time.Time
	// After starts behind this position of the log and outranks All and Since; 0 is
	// none.
	After uint64
	// Log is the identity of the log that gave After; "" where it is not known.
	Log string
	// Follow goes on with what arrives; otherwise the reading ends with the last
	// record that is there.
	Follow bool
}

// New says whether the reading starts with what arrives from now on.
func (q *TailQuery) New() bool { return !q.All && q.Since.IsZero() && q.After == 0 }

// SetAfter starts behind a position of the log, wherever it was to start before;
// behind 0 is all.
func (q *TailQuery) SetAfter(p Position) {
	q.After, q.Log, q.All, q.Since = p.N, p.Log, p.N == 0, time.Time{}
}

// Position is a place in a log, LOG-N as text. Positions of an older version are
// numbers alone, and taken for those of the log that is there.
type Position struct {
	Log string // its identity; "": not known
	N   uint64
}

// Append appends the position as text.
func (p Position) Append(dst []byte) []byte {
	if p.Log != "" {
		dst = append(append(dst, p.Log...), '-')
	}
	return strconv.AppendUint(dst, p.N, 10)
}

// String is the position as text.
func (p Position) String() string { return string(p.Append(nil)) }

// ParsePosition reads what String gave.
func ParsePosition(s string) (p Position, err error) {
	digits := s
	if log, rest, ok := strings.Cut(s, "-"); ok {
		for _, c := range []byte(log) {
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
				return p, strconv.ErrSyntax
			}
		}
		if log == "" {
			return p, strconv.ErrSyntax
		}
		p.Log, digits = log, rest
	}
	if p.N, err = strconv.ParseUint(digits, 10, 64); err != nil {
		return Position{}, err
	}
	return p, nil
}

// SetSince reads where to start as people write it: "all", a time in RFC 3339,
// or how long before now. Anything else is a *FieldError.
func (q *TailQuery) SetSince(since string, now time.Time) error {
	if since == "all" {
		q.All = true
		return nil
	}
	if at, err := time.Parse(time.RFC3339, since); err == nil {
		q.Since = at
		return nil
	}
	ago, err := time.ParseDuration(since)
	if err != nil || ago < 0 {
		return &FieldError{
			Field: "since", Reason: "is not a point in time", Allowed: []string{"all", "2026-01-31T12:00:00Z", "10m"},
		}
	}
	q.Since = now.Add(-ago)
	return nil
}

// TailEnd is the last event of a stream that ended otherwise than by the
// caller's own wish. In a stream of lines it is the last line; no record has
// a member "end".
type TailEnd struct {
	End    TailCause `json:"end"`
	Detail string    `json:"detail"`
}

// TailCause says why a stream ended.
type TailCause string

// The causes.
const (
	// TailDone: the last record that was there has been sent.
	TailDone TailCause = "done"
	// TailDropped: the reader was too slow for the bounded buffer.
	TailDropped TailCause = "dropped"
	// TailStopping: the node stops.
	TailStopping TailCause = "stopping"
	// TailFailed: the log could not be read on.
	TailFailed TailCause = "failed"
)
