package gateway

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"edgeloop/eventloop"
)

// clocks are the two that expiry goes by.
type clocks struct {
	elapsed time.Duration
	wall    time.Time
}

func (c *clocks) now() (time.Duration, time.Time) { return c.elapsed, c.wall }

// pass lets time go by on both.
func (c *clocks) pass(d time.Duration) {
	c.elapsed += d
	c.wall = c.wall.Add(d)
}

func (l *link) isExpired() bool {
	return eventloop.CloseCode(l.flags.Load()>>closeShift) == eventloop.CloseTokenExpired //nolint:gosec // 16 bits
}

// A connection ends with its token by the clock on the wall, whatever happens to
// that clock meanwhile.
func TestExpiry_ClockIsSet(t *testing.T) {
	const year = 365 * 24 * time.Hour
	start := time.Date(2026, 11, 21, 9, 0, 0, 3e8, time.UTC)
	for name, tt := range map[string]struct {
		before time.Duration // the clock is set by so much before the token comes
		token  time.Duration // valid for so long, by the clock as it is then
		after  time.Duration // the clock is set by so much 5 s after it came
		closed time.Duration // after so much time, at most 2 s later; 0: not within two hours
	}{
		"not at all":                               {0, 100 * time.Second, 0, 100 * time.Second},
		"back":                                     {0, 100 * time.Second, -time.Hour, time.Hour + 100*time.Second},
		"back before the token came":               {-time.Hour, 100 * time.Second, 0, 100 * time.Second},
		"back by days before the token came":       {-90 * time.Hour, time.Hour, 0, time.Hour},
		"forward":                                  {0, time.Hour, 50 * time.Minute, 10 * time.Minute},
		"forward over the end":                     {0, time.Hour, 2 * time.Hour, 5 * time.Second},
		"forward before the token came":            {time.Hour, 100 * time.Second, 0, 100 * time.Second},
		"forward by a little":                      {0, 100 * time.Second, 400 * time.Millisecond, 99600 * time.Millisecond},
		"back by a little":                         {0, 100 * time.Second, -400 * time.Millisecond, 100400 * time.Millisecond},
		"woke in 1970, then set, the token is old": {-56 * year, 56*year - time.Hour, 56 * year, 5 * time.Second},
		"woke in 1970, then set":                   {-56 * year, 56*year + time.Hour, 56 * year, time.Hour},
		"never was right":                          {-56 * year, 56 * year, 0, 0},
		"the end is in 8,000 years":                {0, math.MaxInt64, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			c := &clocks{wall: start}
			e, l := newExpiryBy(c.now), new(link)
			step := func() {
				c.pass(time.Second)
				e.advance()
			}
			step()
			c.wall = c.wall.Add(tt.before)
			step()
			at := c.wall.Add(tt.token).Truncate(time.Second)
			if tt.token == math.MaxInt64 {
				at = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
			}
			e.set(l, at)
			came := c.elapsed
			for !l.isExpired() && c.elapsed < came+2*time.Hour {
				if c.elapsed == came+5*time.Second {
					c.wall = c.wall.Add(tt.after)
				}
				step()
			}
			switch took := c.elapsed - came; {
			case !l.isExpired() && tt.closed > 0:
				t.Errorf("is open after %s, by a clock that says %s; its token expired at %s", took, c.wall, at)
			case l.isExpired() && c.wall.Before(at):
				t.Errorf("closed after %s, %s before its token expired", took, at.Sub(c.wall))
			case l.isExpired() && (tt.closed == 0 || took < tt.closed-time.Second || took > tt.closed+2*time.Second):
				t.Errorf("closed after %s, want %s", took, tt.closed)
			}
			if l.isExpired() && (e.wheel.Len() != 0 || l.timer != noTimer) {
				t.Errorf("%d timers are left", e.wheel.Len())
			}
		})
	}
}

// A clock that is set again and again, connections that come, refresh and go:
// none is closed while its token is good, and none stays two seconds longer.
func TestExpiry_Model(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		millis := func(least, most int, what string) time.Duration {
			return time.Duration(rapid.IntRange(least, most).Draw(rt, what)) * time.Millisecond
		}
		c := &clocks{wall: time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC).Add(millis(0, 999, "phase"))}
		e := newExpiryBy(c.now)
		untilTick := func() time.Duration { return time.Second - c.elapsed%time.Second }
		type connection struct {
			*link
			end time.Time
		}
		var open []*connection
		give := func(o *connection) {
			o.end = c.wall.Add(millis(1, 20000, "valid"))
			e.set(o.link, o.end)
		}
		for range rapid.IntRange(1, 100).Draw(rt, "steps") {
			which := 0
			act := rapid.IntRange(0, 9).Draw(rt, "act")
			if act >= 8 && len(open) > 0 {
				which = rapid.IntRange(0, len(open)-1).Draw(rt, "which")
			}
			switch {
			case act < 4:
				c.pass(untilTick())
				e.advance()
				open = slices.DeleteFunc(open, func(o *connection) bool {
					left := o.end.Sub(c.wall)
					if o.isExpired() && left > 0 || !o.isExpired() && left <= -2*time.Second {
						rt.Fatalf("closed is %v %s before the end", o.isExpired(), left)
					}
					return o.isExpired()
				})
			case act == 4:
				c.pass(untilTick() / 2)
			case act == 5:
				c.wall = c.wall.Add(millis(-40000, 40000, "set"))
			case act < 8:
				open = append(open, &connection{link: new(link)})
				give(open[len(open)-1])
			case act == 8 && len(open) > 0:
				give(open[which])
			case act == 9 && len(open) > 0:
				e.remove(open[which].link)
				e.set(open[which].link, c.wall) // a late refresh
				open = slices.Delete(open, which, which+1)
			}
		}
		if got := e.wheel.Len(); got != len(open) {
			rt.Fatalf("%d timers for %d connections", got, len(open))
		}
	})
}

// The two clocks of a real node agree: nothing is worked out anew all the time.
func TestExpiry_RealClock(t *testing.T) {
	e := newExpiry(time.Now())
	zero := e.zero
	e.advance()
	if !e.zero.Equal(zero) {
		t.Errorf("the clock seems to have been set by %s", e.zero.Sub(zero))
	}
}
