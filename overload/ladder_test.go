package overload_test

import (
	"testing"
	"time"

	"edgeloop/overload"
)

// A climb is a ladder and the looks at it, a second apart.
type climb struct {
	t      *testing.T
	ladder overload.Ladder
	now    time.Time
}

func newClimb(t *testing.T) *climb {
	return &climb{t: t, now: time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)}
}

// look takes in a measurement of one cause n times.
func (c *climb) look(n int, cause overload.Cause, measured float64) {
	for range n {
		c.now = c.now.Add(overload.Every)
		var m overload.Measurement
		m[cause] = measured
		c.ladder.Look(c.now, m)
	}
}

func (c *climb) want(s overload.State) overload.Standing {
	c.t.Helper()
	got := c.ladder.Now()
	if got.State != s {
		c.t.Fatalf("%s: the node is %s (by %s), want %s", c.now.Format(time.TimeOnly), got.State, got.Cause, s)
	}
	return got
}

// What is bad for a moment refuses nobody, and what is bad for three looks in a row does:
// to the least bad of them.
func TestLadder_GoesUpAfterThreeLooks(t *testing.T) {
	c := newClimb(t)
	c.want(overload.Well)
	c.look(2, overload.Memory, 0.99)
	c.look(1, overload.Memory, 0)
	c.look(2, overload.Memory, 0.99)
	c.want(overload.Well)
	c.look(1, overload.Memory, 0.86)
	got := c.want(overload.Strained)
	if got.Cause != overload.Memory || got.Measured != 0.86 || !got.Since.Equal(c.now) {
		t.Errorf("it stands at %+v", got)
	}
	c.look(3, overload.Memory, 0.99)
	c.want(overload.Overloaded)
	c = newClimb(t)
	c.look(1, overload.Memory, 0.86)
	c.look(2, overload.Memory, 0.99)
	c.want(overload.Strained)
}

// A node goes back one state after the other, each after five looks below what the state
// takes to leave, and in the end it is well again.
func TestLadder_GoesBackByItself(t *testing.T) {
	c := newClimb(t)
	c.look(3, overload.Memory, 0.95)
	c.want(overload.Overloaded)
	for _, s := range []overload.State{overload.Overloaded, overload.Strained, overload.Busy} {
		c.look(4, overload.Memory, 0)
		c.want(s)
		c.look(1, overload.Memory, 0)
	}
	c.want(overload.Well)
	if got := c.ladder.Stats().Entered; got != [overload.NumStates]uint64{1, 1, 1, 1} {
		t.Errorf("states were entered %v times", got)
	}
}

// What goes up and down around a bound does not open and shut the door with it.
func TestLadder_HoldsBetweenTheBounds(t *testing.T) {
	c := newClimb(t)
	c.look(3, overload.Memory, 0.86)
	for range 50 {
		c.look(4, overload.Memory, 0.5)
		c.look(1, overload.Memory, 0.80) // above nine tenths of 0.85
	}
	c.want(overload.Strained)
	if got := c.ladder.Stats().Entered[overload.Strained]; got != 1 {
		t.Errorf("entered %d times", got)
	}
}

// The worst cause decides, and one that is over leaves the node where the others have it.
func TestLadder_TheWorstCauseDecides(t *testing.T) {
	c := newClimb(t)
	for range 3 {
		c.now = c.now.Add(overload.Every)
		c.ladder.Look(c.now, overload.Measurement{overload.Log: 4, overload.Processor: 3})
	}
	got := c.want(overload.Strained)
	if got.Cause != overload.Log || got.Levels[overload.Processor] != overload.Busy {
		t.Errorf("it stands at %+v", got)
	}
	c.look(20, overload.Processor, 3)
	if got := c.want(overload.Busy); got.Cause != overload.Processor {
		t.Errorf("it stands at %+v", got)
	}
}

// However long a log stands still or messages wait, devices that are known get in.
func TestLadder_WhatIsHeldBackLeadsNoFurther(t *testing.T) {
	for cause, most := range map[overload.Cause]overload.State{
		overload.Processor: overload.Overloaded, overload.Memory: overload.Overloaded,
		overload.Log: overload.Strained, overload.Messages: overload.Busy, overload.Handshakes: overload.Busy,
	} {
		c := newClimb(t)
		c.look(1000, cause, 1e9)
		c.want(most)
	}
}

// In each state the loads of its rung and of those below are refused, and counted.
func TestLadder_RefusesByRungs(t *testing.T) {
	for s := range overload.NumStates {
		s := overload.State(s) //nolint:gosec // small
		c := newClimb(t)
		c.look(3, overload.Memory, map[overload.State]float64{overload.Busy: 0.8, overload.Strained: 0.9, overload.Overloaded: 1}[s])
		c.want(s)
		for l := range overload.NumLoads {
			l := overload.Load(l) //nolint:gosec // small
			refused := c.ladder.Refuses(l)
			if refused != (l.Rung() <= s) || c.ladder.Stats().Refused[l] != map[bool]uint64{true: 1}[refused] {
				t.Errorf("%s: %s refused: %t, counted %d", s, l, refused, c.ladder.Stats().Refused[l])
			}
			if l.Rung() == overload.Well {
				t.Errorf("%s is refused always", l)
			}
		}
	}
}

// Those who ask need no ladder, and asking costs nothing.
func TestLadder_Refuses_Allocs(t *testing.T) {
	var none *overload.Ladder
	if none.Refuses(overload.Stranger) || none.Now().State != overload.Well || none.Stats() != (overload.Stats{}) {
		t.Error("no ladder refuses")
	}
	c := newClimb(t)
	c.look(3, overload.Memory, 1)
	if n := testing.AllocsPerRun(100, func() { c.ladder.Refuses(overload.Stranger) }); n != 0 {
		t.Errorf("asking allocates %v times", n)
	}
}

// Each value of the enums has a name of its own: they label metrics.
func TestNames(t *testing.T) {
	seen := map[string]bool{}
	note := func(name string) {
		if name == "" || name == "unknown" || seen[name] {
			t.Errorf("the name %q", name)
		}
		seen[name] = true
	}
	for i := range overload.NumStates {
		note(overload.State(i).String()) //nolint:gosec // small
	}
	for i := range overload.NumCauses {
		note(overload.Cause(i).String()) //nolint:gosec // small
	}
	for i := range overload.NumLoads {
		note(overload.Load(i).String()) //nolint:gosec // small
	}
	if overload.State(200).String() != "unknown" || overload.Cause(200).String() != "unknown" || overload.Load(200).String() != "unknown" {
		t.Error("a value that is not of the list has a name")
	}
}
