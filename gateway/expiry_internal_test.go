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

// loop stands for a loop with its wheel: each connection is come to when it said, at a
// tick of one second. Between two ticks it has its own ideas, so it asks sooner than need
// be; it is a heartbeat here.
type loop struct {
	*clocks
	g    *Gateway
	due  map[*link]time.Duration
	beat time.Duration
}

func newLoop(c *clocks) *loop {
	return &loop{c, &Gateway{expiry: newExpiry(c.now)}, map[*link]time.Duration{}, 30 * time.Second}
}

// give lets a connection come, or takes another token of one.
func (p *loop) give(l *link, at time.Time) {
	l.voice = &voice{g: p.g}
	l.expires.Store(expiryOf(at))
	p.look(l)
}

func (p *loop) look(l *link) {
	wait := l.tokenOnLoop(p.beat)
	delete(p.due, l)
	if !l.isExpired() {
		p.due[l] = p.elapsed.Truncate(time.Second) + max(1, (wait+time.Second-1)/time.Second)*time.Second
	}
}

// advance is one tick of all.
func (p *loop) advance() {
	set := p.g.expiry.wasSet()
	for l, at := range p.due {
		if set || at <= p.elapsed {
			p.look(l)
		}
	}
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
			p, l := newLoop(c), new(link)
			step := func() {
				c.pass(time.Second)
				p.advance()
			}
			step()
			c.wall = c.wall.Add(tt.before)
			step()
			at := c.wall.Add(tt.token).Truncate(time.Second)
			if tt.token == math.MaxInt64 {
				at = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
			}
			p.give(l, at)
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
		p := newLoop(c)
		p.beat = millis(1, 60000, "heartbeat")
		untilTick := func() time.Duration { return time.Second - c.elapsed%time.Second }
		type connection struct {
			*link
			end time.Time
		}
		var open []*connection
		give := func(o *connection) {
			o.end = c.wall.Add(millis(1, 20000, "valid"))
			p.give(o.link, o.end)
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
				p.advance()
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
				delete(p.due, open[which].link)
				open = slices.Delete(open, which, which+1)
			}
		}
	})
}

// The two clocks of a real node agree: connections are not looked at all the time.
func TestExpiry_RealClock(t *testing.T) {
	e := newExpiry(clocksSince(time.Now()))
	if zero := e.zero; e.wasSet() {
		t.Errorf("the clock seems to have been set by %s", e.zero.Sub(zero))
	}
}

// The end of a token is one word: rounded up, and none for what is further away than that
// can say.
func TestExpiry_Of(t *testing.T) {
	for at, want := range map[time.Time]uint32{
		{}:                             0,
		time.Unix(-5, 0):               1,
		time.Unix(1000, 0):             1000,
		time.Unix(1000, 1):             1001,
		time.Unix(math.MaxUint32-1, 0): math.MaxUint32 - 1,
		time.Unix(math.MaxUint32, 0):   0,
		time.Unix(1<<40, 0):            0,
	} {
		if got := expiryOf(at); got != want {
			t.Errorf("%v: %d, want %d", at, got, want)
		}
	}
}
