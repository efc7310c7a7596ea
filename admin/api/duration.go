package api

import (
	"encoding/json"
	"fmt"
	"time"
)

// Duration is a time span that JSON spells as Go does: "5s", "1h30m".
// A bare number is refused, because nobody can tell which unit it has.
type Duration time.Duration

// MarshalJSON writes the span as a Go duration string.
func (d Duration) MarshalJSON() ([]byte, error) {
	return json.Marshal(time.Duration(d).String())
}

// UnmarshalJSON reads a Go duration string.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("a duration is a string such as \"5s\", not %s", b)
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("%q is not a duration such as \"5s\" or \"1h30m\"", s)
	}
	*d = Duration(v)
	return nil
}

// String spells the span as Go does.
func (d Duration) String() string { return time.Duration(d).String() }
