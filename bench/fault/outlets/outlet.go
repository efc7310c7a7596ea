package outlets

import (
	"bytes"
	"context"
	"fmt"
	"time"
)

// An Outlet is one destination of a sink of the same name.
type Outlet interface {
	Name() string
	// Keys are those of the sink in the configuration, behind its name, as `type: file, dir: …`.
	Keys() string
	// Read calls each with every record that came, in the order in which the outlet got them, as
	// far as it knows an order: a Redis knows that of each device. at is when it got the record,
	// zero if nobody knows. line is borrowed until return.
	Read(ctx context.Context, each func(at time.Time, line []byte) error) error
	// Refused says whether the outlet refused this record, alone and for good.
	Refused(device string, seq uint64) bool
	Close()
}

// never is Refused of an outlet that refuses nothing.
type never struct{}

// Refused implements Outlet.
func (never) Refused(string, uint64) bool { return false }

// eachLine calls each with the lines of b, without the breaks.
func eachLine(name string, b []byte, each func(line []byte) error) error {
	for line := range bytes.Lines(b) {
		whole := bytes.TrimSuffix(line, []byte{'\n'})
		if len(whole) == len(line) {
			return fmt.Errorf("%s ends within a line: %.200q", name, line)
		}
		if err := each(whole); err != nil {
			return err
		}
	}
	return nil
}
