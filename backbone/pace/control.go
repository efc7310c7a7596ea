package pace

import (
	"math"
	"slices"
	"time"
)

const (
	// window is for how long devices are looked at before the rate changes.
	window = 200 * time.Millisecond
	// longest is a window's end, however few acknowledgements it had.
	longest = time.Second
	// fewest acknowledgements say something in their mean. With fewer in longest, and none that
	// is waited for, devices are idle.
	fewest = 16
	// stale is after how long what was known of devices is of no use.
	stale = 3 * time.Second
	// restEvery is after how many windows readers rest, to see how devices do without them, once
	// rests of that are known; before that they rest sooner.
	restEvery = 24
	rests     = 3
	// rarer is how much less often they rest while they read no more than they must.
	rarer = 3

	// margin times what the log grows by is what each may read at least, and least records a
	// second. Rests take a fortieth of it.
	margin = 1.25
	least  = 1000.0

	// slower and faster are how the rate changes from window to window. It grows by a quarter in a
	// second: what devices feel of it is seen a window later, and by then it must not be much more.
	slower = 0.8
	halved = 0.5 // where they mind much
	faster = 1.05
	// Devices mind where acknowledgements take longer by so great a part, and by slack whatever they
	// take. It is small, for the slowest of them feel a reader three or four times as much.
	part  = 8
	slack = time.Millisecond / 2
)

// sample is what was seen at a time.
type sample struct {
	at   time.Time
	end  uint64        // of the log
	acks uint64        // so far
	took time.Duration // all of them together
	// waiting: some are on their way.
	waiting bool
}

type phase uint8

const (
	working  phase = iota // at the rate
	settling              // nobody reads, and what was read is on its way out
	resting               // nobody reads, and devices are looked at
)

// control is the rate and what it follows from. The lock of its Pacer guards it.
type control struct {
	phase   phase
	rate    float64         // records a second that each may read; +Inf: no limit
	rested  []time.Duration // what an acknowledgement took, in the mean, in the last rests; none: not known
	takes   time.Duration   // what it takes of late; half of it is the last window's, so that one slow write is no reason
	windows int             // since they rested
	from    sample          // the present window began
	used    uint64          // in it, by the one that read most

	brings float64 // records a second that the log grows by
	growth sample  // since when it is looked at
}

// grow follows how fast the log grows. It is told of all readers.
func (c *control) grow(now sample) {
	d := now.at.Sub(c.growth.at)
	switch {
	case c.growth.at.IsZero() || d > stale || now.end < c.growth.end:
		c.brings = 0
	case d < window:
		return
	case c.brings == 0:
		c.brings = float64(now.end-c.growth.end) / d.Seconds()
	default:
		c.brings = (c.brings + float64(now.end-c.growth.end)/d.Seconds()) / 2
	}
	c.growth = now
}

// floor is what each may read a second at least.
func (c *control) floor() float64 { return max(least, margin*c.brings) }

// look follows how devices do. It is told of readers that catch up.
func (c *control) look(now sample) {
	d, n := now.at.Sub(c.from.at), now.acks-c.from.acks
	switch {
	case c.from.at.IsZero() || d > stale || now.acks < c.from.acks: // nobody was catching up
		c.phase, c.rate, c.windows, c.rested = resting, c.floor(), 0, nil
	case d < window, n < fewest && d < longest && (n > 0 || now.waiting):
		return
	case n < fewest && !now.waiting: // idle
		c.phase, c.rate = working, math.Inf(1)
	case math.IsInf(c.rate, 1): // not any more
		c.phase, c.rate = settling, c.floor()
	case c.phase == settling:
		c.phase = resting
	default:
		mean := d // at least, where none came
		if n > 0 {
			mean = (now.took - c.from.took) / time.Duration(n) //nolint:gosec // what came in seconds
		}
		c.judge(mean, float64(c.used)/d.Seconds())
	}
	c.from, c.used = now, 0
}

// judge changes the rate, knowing what an acknowledgement took in the mean and how fast the
// fastest reader was.
func (c *control) judge(mean time.Duration, used float64) {
	c.windows++
	c.takes = (c.takes + mean) / 2
	grown, base := c.rate*faster, c.base()
	mind := c.takes > base+max(base/part, slack)
	switch {
	case c.phase == resting:
		c.rested = append(c.rested, mean)[max(0, len(c.rested)+1-rests):]
		c.takes, c.phase, c.windows = c.base(), working, 0
	case mind && c.takes > 2*base:
		c.rate *= halved
	case mind:
		c.rate *= slower
	case 2*used > grown: // else it is not the rate that holds them
		c.rate = grown
	}
	every := restEvery * len(c.rested) / rests
	if c.rate <= c.floor() {
		c.rate = c.floor()
		every *= rarer
	}
	if c.windows >= every && 2*used > c.rate {
		c.phase = settling
	}
}

// base is what an acknowledgement takes while readers rest: the middle of the last rests, so that
// one that was quieter or busier than others says nothing; of two the shorter.
func (c *control) base() time.Duration {
	if len(c.rested) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(c.rested))[(len(c.rested)-1)/2]
}

// far is how many records behind the end a reader is that has to catch up; near is where that ends.
// A reader that has less than 2 s of what comes in front of it was only held up.
func (c *control) far() uint64 { return uint64(max(10_000, 2*c.brings)) }

func (c *control) near() uint64 { return uint64(max(5_000, c.brings/2)) }
