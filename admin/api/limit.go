package api

import (
	"encoding/json"
	"fmt"
	"time"
)

// LimitKind says how the value of a limit is written.
type LimitKind string

// The kinds of limits.
const (
	LimitCount    LimitKind = "count"    // a whole number of things
	LimitBytes    LimitKind = "bytes"    // a whole number of bytes
	LimitRate     LimitKind = "rate"     // a whole number per second
	LimitDuration LimitKind = "duration" // nanoseconds; in JSON a Go duration string
)

// Limit is one bound of the node.
type Limit struct {
	// Name as in the flags, with underscores: "max_connections".
	Name string
	Kind LimitKind
	// Value now, and the least and greatest that are allowed, both included.
	Value, Min, Max int64
	// Given by flags, environment and file: what Value is when the API has not
	// Changed it, and what it is again after null.
	Given   int64
	Changed bool
	// Changeable while the node runs; the others are fixed at the start.
	Changeable bool
	// Help is one sentence: what the limit bounds and what happens at it.
	Help string
}

// Limits is the body of GET /v1/limits.
type Limits struct {
	Limits []Limit `json:"limits"`
}

// JSONValue is v as JSON spells it for this kind: a number, or a duration string.
func (k LimitKind) JSONValue(v int64) any {
	if k == LimitDuration {
		return time.Duration(v).String()
	}
	return v
}

// Parse reads a JSON value of this kind; the error says what is expected.
func (k LimitKind) Parse(raw json.RawMessage) (int64, error) {
	if k == LimitDuration {
		var d Duration
		err := d.UnmarshalJSON(raw)
		return int64(d), err
	}
	var n int64
	if err := json.Unmarshal(raw, &n); err != nil || string(raw) == "null" {
		return 0, fmt.Errorf("%s is not a whole number", raw)
	}
	return n, nil
}

type limitJSON struct {
	Name       string          `json:"name"`
	Kind       LimitKind       `json:"kind"`
	Value      json.RawMessage `json:"value"`
	Min        json.RawMessage `json:"min"`
	Max        json.RawMessage `json:"max"`
	Given      json.RawMessage `json:"given,omitempty"`
	Changed    bool            `json:"changed"`
	Changeable bool            `json:"changeable"`
	Help       string          `json:"help,omitempty"`
}

// MarshalJSON writes value, min and max as JSONValue does.
func (l Limit) MarshalJSON() ([]byte, error) {
	out := limitJSON{Name: l.Name, Kind: l.Kind, Changed: l.Changed, Changeable: l.Changeable, Help: l.Help}
	for _, f := range []struct {
		to *json.RawMessage
		v  int64
	}{{&out.Value, l.Value}, {&out.Min, l.Min}, {&out.Max, l.Max}, {&out.Given, l.Given}} {
		b, err := json.Marshal(l.Kind.JSONValue(f.v))
		if err != nil {
			return nil, err
		}
		*f.to = b
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (l *Limit) UnmarshalJSON(b []byte) error {
	var in limitJSON
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	*l = Limit{Name: in.Name, Kind: in.Kind, Changed: in.Changed, Changeable: in.Changeable, Help: in.Help}
	for _, f := range []struct {
		to  *int64
		raw json.RawMessage
	}{{&l.Value, in.Value}, {&l.Min, in.Min}, {&l.Max, in.Max}, {&l.Given, in.Given}} {
		if f.raw == nil && f.to == &l.Given {
			continue // of an older node
		}
		v, err := in.Kind.Parse(f.raw)
		if err != nil {
			return fmt.Errorf("limit %s: %w", in.Name, err)
		}
		*f.to = v
	}
	return nil
}
