package custody

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"reflect"
	"slices"
	"time"

	"go.uber.org/zap"

	"edgeloop/backbone/blocks"
	"edgeloop/internal/pause"
)

const (
	// restFactor is how many seconds the patrol rests for each second of work, so
	// that it takes less than a hundredth of a core.
	restFactor  = 150
	restMost    = 10 * time.Second // after one piece
	syncEvery   = time.Second      // the mark
	lookEvery   = 10 * time.Second // the store is asked what it counts
	surveyEvery = 6                // looks from one survey of the files to the next
	roundEvery  = time.Minute      // least time between two rounds
)

// Watch syncs the mark and compares the store's counts with what is known, until ctx ends.
// look asks the store for its state, deleted for the positions that it has deleted.
func (k *Keeper) Watch(ctx context.Context, look func(context.Context) (State, error), deleted func() ([]uint64, error)) {
	k.setOpened()
	sync, ask := time.NewTicker(syncEvery), time.NewTicker(lookEvery)
	defer sync.Stop()
	defer ask.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-sync.C:
			if err := k.mark.sync(); err != nil {
				k.o.Logger.Warn("cannot sync the mark of what was acknowledged", zap.Error(err))
			}
			k.reread()
			n--
			continue
		case <-ask.C:
		}
		last := k.last.Load() // before the store is asked: it has that much at least
		s, err := look(ctx)
		if err == nil {
			err = k.Compare(s, last, deleted, n%surveyEvery == 0)
		}
		if err != nil && ctx.Err() == nil {
			k.o.Logger.Debug("cannot compare the log", zap.Error(err))
		}
	}
}

func (k *Keeper) setOpened() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.opened = true
}

// reread notices what somebody has decided meanwhile.
func (k *Keeper) reread() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.reports) == 0 {
		return
	}
	all, err := Reports(k.o.Dir)
	if err != nil {
		return
	}
	for i := range all {
		if all[i].Accepted != nil {
			k.reports = slices.DeleteFunc(k.reports, func(r Report) bool { return r.path == all[i].path })
		}
	}
	k.recountLocked()
	if len(k.reports) == 0 {
		k.o.Logger.Warn("going on with a damaged log, as decided")
	}
}

// Compare compares the store's state with what is known; last is the position that was
// acknowledged before the store was asked.
func (k *Keeper) Compare(s State, last uint64, deleted func() ([]uint64, error), files bool) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	var found []Damage
	if s.Identity != k.man.Log && s.Identity != k.strange {
		k.strange = s.Identity // said once
		found = append(found, Damage{Kind: OtherLog, Stream: k.o.Log, Detail: "the log was made anew while the node was running"})
	}
	if s.Last < last && !k.cut {
		k.cut = true // the committer takes nothing more, see backbone.ErrDisk
		found = append(found, k.short(s.Last, last))
	}
	k.mark.first.Store(max(s.First, 1))
	missing, copies, err := k.missingLocked(s, deleted)
	if err != nil {
		return err
	}
	found = append(found, missing...)
	changed := len(missing) > 0 || k.man.MaxBytes != s.MaxBytes || k.man.MaxAge != s.MaxAge
	k.man.MaxBytes, k.man.MaxAge = s.MaxBytes, s.MaxAge
	if files {
		gone, err := survey(k.o.Log, k.msgs(), &k.man, last)
		if err != nil {
			return err
		}
		found, changed = append(found, k.vanishedLocked(gone, s)...), true
	}
	if changed {
		err = k.man.write(k.o.Dir)
	}
	return errors.Join(err, k.reportLocked(found, copies))
}

// vanishedLocked returns the blocks that are gone although retention has not reached them.
func (k *Keeper) vanishedLocked(gone []blockInfo, s State) (found []Damage) {
	for _, b := range gone {
		lost := span{max(b.First, s.First, k.man.First), b.Last}
		if b.First == 0 || lost.From > lost.To {
			continue
		}
		for _, l := range without([]span{lost}, k.man.Gaps) {
			found = append(found, Damage{
				Kind: Missing, Stream: k.o.Log, Block: b.Index, From: l.From, To: l.To, Records: l.size(), Detail: "the block is gone",
			})
			k.man.addGaps(l)
		}
	}
	return found
}

// Patrol reads all blocks again and again, slowly, until ctx ends.
func (k *Keeper) Patrol(ctx context.Context) {
	for {
		began := time.Now()
		if !k.Round(ctx, restFactor) {
			return
		}
		k.took.Store(uint64(time.Since(began))) //nolint:gosec // a duration
		k.lastPass.Store(uint64(time.Now().Unix()))
		k.passes.Add(1)
		if pause.For(ctx, roundEvery) != nil {
			return
		}
	}
}

// Round reads all blocks once and rests rest times as long as it works. It returns false if
// ctx ended first.
func (k *Keeper) Round(ctx context.Context, rest int) bool {
	s := scanner{}
	since := time.Now()
	s.tick = func(n int) {
		k.read.Add(uint64(n)) //nolint:gosec // a length
		_ = pause.For(ctx, min(time.Since(since)*time.Duration(rest), restMost))
		since = time.Now()
	}
	for _, name := range append([]string{k.o.Log}, k.present()...) {
		s.stream, s.dir = name, filepath.Join(k.o.Streams, name, "msgs")
		list, err := blocks.List(s.dir)
		if err != nil {
			continue // said by the survey, or gone with the stream
		}
		for i, index := range list {
			b, err := s.scan(index)
			if ctx.Err() != nil {
				return false
			}
			if err != nil {
				if !errors.Is(err, fs.ErrNotExist) {
					k.o.Logger.Warn("cannot read a block of the log", zap.Error(err))
				}
				continue
			}
			if err := k.visited(name, b, i == len(list)-1); err != nil {
				k.o.Logger.Warn("cannot record damage", zap.Error(err))
			}
		}
	}
	return ctx.Err() == nil
}

// visited judges what a block holds.
func (k *Keeper) visited(stream string, b *found, newest bool) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if newest { // a write may be under way
		b.bad = slices.DeleteFunc(b.bad, func(bad badBytes) bool { return bad.before == 0 })
		b.Bad = len(b.bad) > 0
	}
	o := k.o
	o.Log = stream
	c := &check{o: &o, list: []*found{b}}
	c.scan.stream, c.scan.dir = stream, filepath.Join(o.Streams, stream, "msgs")
	if stream != k.o.Log {
		if len(b.bad) == 0 {
			return nil
		}
		c.strangers(stream, b, newest)
		return k.reportLocked(k.unheard(c.damages), c.files)
	}
	k.neighboursLocked(c, b)
	was := k.man.block(b.Index)
	changed := was == nil || *was != b.blockInfo
	k.man.put(b.blockInfo)
	c.man = k.man
	c.judge()
	found := k.unheard(c.damages)
	for i := range found {
		if d := &found[i]; d.From > 0 {
			k.man.addGaps(span{d.From, d.To})
		}
	}
	var err error
	if changed || len(found) > 0 {
		err = k.man.write(k.o.Dir)
	}
	return errors.Join(err, k.reportLocked(found, c.files))
}

// neighboursLocked infers from the blocks before and behind what a block should hold.
func (k *Keeper) neighboursLocked(c *check, b *found) {
	c.mark.first, c.mark.last = b.First, b.Last
	if was := k.man.block(b.Index - 1); was != nil && was.Last > 0 {
		c.mark.first = max(was.Last+1, k.mark.first.Load())
	}
	if next := k.man.block(b.Index + 1); next != nil && next.First > 0 {
		c.mark.last = max(next.First-1, b.Last)
	}
	c.first, c.top = b.First, c.mark.last
	if c.first < k.mark.first.Load() || c.mark.first == 0 {
		c.mark.first = b.First // retention has begun with it
	}
}

// unheard leaves out the damage that is reported already and still there: nobody has decided
// about it, or the node has not gone on since, or it cannot be read and stays where it is.
func (k *Keeper) unheard(found []Damage) []Damage {
	all, err := Reports(k.o.Dir)
	if err != nil {
		return found
	}
	return slices.DeleteFunc(slices.Clone(found), func(d Damage) bool {
		for i := range all {
			if d.Kind != Unreadable && all[i].Accepted != nil && all[i].Applied {
				continue
			}
			for n := range all[i].Damages {
				if reflect.DeepEqual(d, all[i].Damages[n]) {
					return true
				}
			}
		}
		return false
	})
}
