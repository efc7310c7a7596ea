package custody

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"edgeloop/backbone/blocks"
)

// check is one look at a log on the disk, which it does not change.
type check struct {
	// Immutable after construction.
	o    *Options
	full bool // also what an orderly stop left as it is
	live bool // a node is writing

	fresh   bool // there is no log yet
	adopted bool // a log without a mark, made by a version that kept none
	mark    mark
	turn    uint64 // of the mark
	man     manifest
	scan    scanner
	list    []*found // all blocks of the log, in order; of those not looked at what the manifest says
	read    int      // blocks that were read
	damages []Damage
	lapses  []Damage // what a node that acknowledges before it syncs lost with the power
	files   []string // that are damaged
	first   uint64   // the oldest record on the disk; top+1 if there is none
	top     uint64   // as far as the log has come on the disk
}

func (c *check) msgs() string { return filepath.Join(c.o.Streams, c.o.Log, "msgs") }

// run looks at everything. If ctx ends first, it has changed nothing.
func (c *check) run(ctx context.Context) error {
	c.scan.stream, c.scan.dir = c.o.Log, c.msgs()
	if err := c.readMark(); err != nil || c.fresh {
		return err
	}
	if c.streamGone() {
		return nil
	}
	for _, name := range append([]string{c.o.Log}, c.man.Streams...) {
		c.checkMeta(name)
	}
	if err := c.readBlocks(ctx); err != nil {
		return err
	}
	if c.adopted {
		c.adopt()
	}
	c.judge()
	return c.checkOthers()
}

func (c *check) readMark() (err error) {
	c.mark, c.turn, err = readMark(c.o.Dir)
	_, none := os.Stat(filepath.Join(c.o.Streams, c.o.Log))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.fresh = errors.Is(none, fs.ErrNotExist)
		c.adopted = !c.fresh
	case errors.Is(err, errMark):
		c.adopted = none == nil
		c.damage(Damage{Kind: BadMark, Stream: c.o.Log, Detail: "the mark of what was acknowledged cannot be read"}, filepath.Join(c.o.Dir, markName))
	case err != nil:
		return err
	default:
		at, err := placeOf(filepath.Join(c.o.Dir, markName))
		if err != nil {
			return err
		}
		if c.mark.place.copied(at) {
			c.damage(Damage{Kind: Restored, Stream: c.o.Log, Detail: fmt.Sprintf(
				"the data directory was copied or restored: what was acknowledged after that, behind position %d, is not in it", c.mark.last)})
		}
	}
	c.mark.first = max(c.mark.first, 1)
	c.man, err = readManifest(c.o.Dir)
	c.mark.first = max(c.mark.first, c.man.First)
	return err
}

func (c *check) damage(d Damage, files ...string) {
	c.damages = append(c.damages, d)
	c.files = append(c.files, files...)
}

// streamGone says whether the log is gone although there was one.
func (c *check) streamGone() bool {
	if c.adopted {
		return false
	}
	list, err := blocks.List(c.msgs())
	if err == nil && len(list) > 0 {
		return false
	}
	if c.mark.last > 0 {
		c.damage(Damage{
			Kind: NoStream, Stream: c.o.Log, From: c.mark.first, To: c.mark.last,
			Records: c.mark.last - c.mark.first + 1 - countWithin(c.man.Gaps, c.mark.first, c.mark.last),
			Detail:  "the log is gone as a whole: " + c.msgs() + " holds no block",
		})
	}
	return true
}

// checkMeta looks at the store's description of a stream, without which the store does not
// recognise it.
func (c *check) checkMeta(name string) {
	dir := filepath.Join(c.o.Streams, name)
	meta, err := os.ReadFile(filepath.Join(dir, "meta.inf"))
	sum, errSum := os.ReadFile(filepath.Join(dir, "meta.sum"))
	detail := ""
	switch {
	case err != nil || errSum != nil:
		detail = "the stream's description cannot be read: " + errors.Join(err, errSum).Error()
	case strings.TrimSpace(string(sum)) != blocks.MetaSum(name, meta):
		detail = "the stream's description is damaged: meta.inf and meta.sum do not agree"
	default:
		return
	}
	if c.live {
		return // the store may be replacing it
	}
	c.damage(Damage{Kind: NoStream, Stream: name, Detail: detail}, filepath.Join(dir, "meta.inf"), filepath.Join(dir, "meta.sum"))
}

// readBlocks reads the blocks: after an unclean end all of them, because the store then reads
// all of them too and cuts off what it cannot read; after an orderly stop only those that
// have changed.
func (c *check) readBlocks(ctx context.Context) error {
	list, err := blocks.List(c.msgs())
	if err != nil {
		return err
	}
	all := c.full || !c.mark.clean || c.adopted
	if all && !c.live && len(list) > 0 {
		c.o.Logger.Info("reading the log, which was not closed in order")
	}
	for _, index := range list {
		if err := ctx.Err(); err != nil {
			return err
		}
		was := c.man.block(index)
		same := false
		if !all && was != nil && !was.Bad {
			if same, err = c.scan.same(was); err != nil {
				return err
			}
		}
		if same {
			c.list = append(c.list, &found{blockInfo: *was, top: was.Last})
			continue
		}
		b, err := c.scan.scan(index)
		if errors.Is(err, fs.ErrNotExist) {
			continue // taken by retention meanwhile
		}
		if err != nil {
			return err
		}
		c.read++
		c.list = append(c.list, b)
	}
	if n := len(c.list); c.live && n > 0 { // a write may be under way
		b := c.list[n-1]
		b.bad = slices.DeleteFunc(b.bad, func(bad badBytes) bool { return bad.before == 0 })
	}
	for _, b := range c.list {
		if c.first == 0 && b.First > 0 {
			c.first = b.First
		}
		c.top = max(c.top, b.top)
	}
	if c.first == 0 {
		c.first = c.top + 1
	}
	return nil
}

// adopt accepts a log without a mark as it is: a record that was lost before cannot be told
// from one that never existed.
func (c *check) adopt() {
	c.mark.first, c.mark.last, c.mark.log = c.first, 0, ""
	for i, b := range c.list {
		sound := b.Last
		if i == len(c.list)-1 && len(b.bad) > 0 && b.bad[len(b.bad)-1].before == 0 {
			sound = max(b.Last, b.bad[len(b.bad)-1].after)
		}
		c.mark.last = max(c.mark.last, sound)
	}
	holes := c.holes()
	for _, b := range c.list {
		for _, bad := range b.bad {
			holes = without(holes, []span{{bad.after + 1, bad.before - 1}})
		}
	}
	c.man.addGaps(holes...)
}

// holes returns the positions between the messages.
func (c *check) holes() (holes []span) {
	prev := uint64(0)
	for _, b := range c.list {
		if b.First == 0 {
			continue
		}
		if prev > 0 && b.First > prev+1 {
			holes = append(holes, span{prev + 1, b.First - 1})
		}
		holes = append(holes, b.holes...)
		prev = max(prev, b.Last)
	}
	return holes
}

// checkOthers looks at the streams beside the log. They delete messages anywhere, so only
// unreadable ones can be noticed.
func (c *check) checkOthers() error {
	for _, name := range c.man.Streams {
		s := scanner{stream: name, dir: filepath.Join(c.o.Streams, name, "msgs"), buf: c.scan.buf, tick: c.scan.tick}
		list, err := blocks.List(s.dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue // said of its description
		}
		if err != nil {
			return err
		}
		if c.mark.clean && !c.full {
			continue // small, and the patrol comes by
		}
		for i, index := range list {
			b, err := s.scan(index)
			if err != nil {
				continue // replaced by the store meanwhile
			}
			c.strangers(name, b, i == len(list)-1)
		}
	}
	return nil
}

// strangers reports what cannot be read in a block of a stream beside the log, except what a
// node leaves behind that was killed while it wrote.
func (c *check) strangers(stream string, b *found, newest bool) {
	path := blocks.Path(filepath.Join(c.o.Streams, stream, "msgs"), b.Index)
	for _, bad := range b.bad {
		if newest && bad.before == 0 {
			continue
		}
		c.damage(Damage{
			Kind: Unreadable, Stream: stream, Block: b.Index, Records: 1, Devices: names(bad.device),
			Detail: fmt.Sprintf("bytes %d to %d: %s", bad.from, bad.to, bad.reason),
		}, path)
	}
}

func names(device string) []string {
	if device == "" {
		return nil
	}
	return []string{device}
}

// ageOf is how long ago a record was stored.
func ageOf(stored int64) time.Duration { return time.Since(time.Unix(0, stored)) }
