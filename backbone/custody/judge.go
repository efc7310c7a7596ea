package custody

import (
	"fmt"
	"os"

	"edgeloop/backbone/blocks"
)

// judge compares what the blocks hold with what was acknowledged.
func (c *check) judge() {
	lost := c.holes()
	moving := c.live && (c.man.MaxAge > 0 || c.man.MaxBytes > 0) // retention is at work meanwhile
	if c.first > c.mark.first && c.mark.first > 0 && !moving {
		if front := (span{c.mark.first, min(c.first-1, c.mark.last)}); front.From <= front.To && !c.retained(front) {
			lost = append([]span{front}, lost...)
		}
	}
	short := span{c.top + 1, c.mark.last}
	if c.top < c.mark.last {
		lost = append(lost, short)
	}
	for _, s := range without(lost, c.man.Gaps) {
		if s.To = min(s.To, c.mark.last); s.From > s.To {
			continue // was never acknowledged
		}
		d := c.explain(s)
		if d.Kind == Short && c.mark.lax && c.mark.boot != bootID() {
			d.Detail = "the machine went down with records that were acknowledged and not yet synced (--durability=process)"
			c.lapses = append(c.lapses, d)
			c.man.addGaps(s)
			continue
		}
		c.damage(d, c.fileOf(d.Block)...)
	}
	c.judgeRest()
}

// explain returns the damage behind positions that are lost.
func (c *check) explain(s span) Damage {
	d := Damage{Kind: Missing, Stream: c.o.Log, From: s.From, To: s.To, Records: s.size()}
	for i, b := range c.list {
		for k := range b.bad {
			bad := &b.bad[k]
			if from, to := c.around(i, bad); s.From <= to && s.To >= from {
				d.Kind, d.Block = Unreadable, b.Index
				d.Devices = append(d.Devices, names(bad.device)...)
				d.Detail = fmt.Sprintf("bytes %d to %d: %s", bad.from, bad.to, bad.reason)
				return d
			}
		}
	}
	for i := range c.man.Blocks {
		was := &c.man.Blocks[i]
		if was.First == 0 || s.From > was.Last || s.To < was.First {
			continue
		}
		d.Block = was.Index
		info, err := os.Stat(blocks.Path(c.msgs(), was.Index))
		switch {
		case err != nil:
			d.Detail = "the block is gone"
		case info.Size() < was.Size:
			d.Detail = fmt.Sprintf("the block had %d bytes and has %d", was.Size, info.Size())
		default:
			d.Detail = "the block does not hold what it held"
		}
		break
	}
	if s.From > c.top {
		d.Kind = Short
		if d.Detail == "" {
			d.Detail = fmt.Sprintf("the log ends at position %d, %d was acknowledged", c.top, c.mark.last)
		}
	}
	if d.Detail == "" {
		d.Detail = "the log goes on behind a gap"
	}
	return d
}

// around returns which positions bad bytes of block i may have held.
func (c *check) around(i int, bad *badBytes) (from, to uint64) {
	from, to = bad.after+1, bad.before-1
	if bad.after == 0 {
		from = c.mark.first
		for k := i - 1; k >= 0; k-- {
			if c.list[k].Last > 0 {
				from = c.list[k].Last + 1
				break
			}
		}
	}
	if bad.before == 0 {
		to = max(c.mark.last, c.top)
		for _, b := range c.list[i+1:] {
			if b.First > 0 {
				to = b.First - 1
				break
			}
		}
	}
	return from, to
}

// judgeRest reports bad bytes that lost no record, except those that a killed node leaves at
// the end.
func (c *check) judgeRest() {
	for i, b := range c.list {
		for k := range b.bad {
			bad := &b.bad[k]
			from, to := c.around(i, bad)
			if from <= min(to, c.mark.last) || from > c.mark.last {
				continue // a loss, new or known; or never acknowledged
			}
			c.damage(Damage{
				Kind: Unreadable, Stream: c.o.Log, Block: b.Index,
				Detail: fmt.Sprintf("bytes %d to %d, with which no record is lost: %s", bad.from, bad.to, bad.reason),
			}, c.fileOf(b.Index)...)
		}
	}
}

func (c *check) fileOf(block uint32) []string {
	if block == 0 {
		return nil
	}
	return []string{blocks.Path(c.msgs(), block)}
}

// retained says whether retention may have taken the oldest records: because they were older
// than it allows, or because all records together were larger than it allows.
func (c *check) retained(front span) bool {
	for i, b := range c.list {
		for k := range b.bad {
			if from, to := c.around(i, &b.bad[k]); front.From <= to && front.To >= from {
				return false // it is there, and bad
			}
		}
	}
	whole, size, newest := false, int64(0), int64(0)
	for i := range c.man.Blocks {
		if b := &c.man.Blocks[i]; b.First > 0 && b.First >= front.From && b.Last <= front.To {
			whole, size, newest = true, size+b.Size, max(newest, b.LastTime)
		}
	}
	if c.man.MaxAge > 0 && (!whole || ageOf(newest) >= c.man.MaxAge) {
		return true
	}
	if c.man.MaxBytes == 0 {
		return false
	}
	if !whole {
		// Blocks that the manifest does not know in full count as large as they can be.
		const largest = 8 << 20
		size = largest
	}
	for _, b := range c.list {
		size += b.Size
	}
	return size > c.man.MaxBytes
}
