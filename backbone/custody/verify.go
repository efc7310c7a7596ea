package custody

import (
	"context"
	"time"
)

// Verdict is what a log was found to be.
type Verdict struct {
	Log         string // its identity; "": none yet
	Blocks      int
	Bytes       int64
	First, Last uint64 // positions there are
	Known       uint64 // how far it was acknowledged
	Lost        uint64 // records that are known to be lost, from earlier damage
	Damages     []Damage
	Undecided   []Report
	Took        time.Duration
}

// Sound says that nothing is missing and nothing undecided.
func (v *Verdict) Sound() bool { return len(v.Damages) == 0 && len(v.Undecided) == 0 }

// Verify reads the whole log and changes nothing. live: a node is writing it.
func Verify(o Options, live bool) (*Verdict, error) {
	began := time.Now()
	c := &check{o: &o, full: true, live: live}
	if err := c.run(context.Background()); err != nil {
		return nil, err
	}
	v := &Verdict{
		Log: c.mark.log, Blocks: len(c.list), First: max(c.first, c.mark.first), Last: c.top, Known: c.mark.last,
		Lost: countWithin(c.man.Gaps, c.first, c.top), Damages: append(c.damages, c.lapses...),
	}
	for _, b := range c.list {
		v.Bytes += b.Size
	}
	all, err := Reports(o.Dir)
	for i := range all {
		if all[i].Accepted == nil {
			v.Undecided = append(v.Undecided, all[i])
		}
	}
	v.Took = time.Since(began)
	return v, err
}
