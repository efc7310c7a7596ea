package custody

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"edgeloop/backbone/blocks"
)

// heal keeps the store from losing more than is lost already. Left alone, the store cuts a
// block off at the first bad record and gives the positions of a lost end out again. So
// heal replaces bad bytes by records that declare their positions erased; where the end is
// missing, the last of these says how far the log had come.
func (c *check) heal() error {
	healed := false
	for i, b := range c.list {
		for k := range b.bad {
			ok, err := c.fill(i, &b.bad[k])
			if err != nil {
				return err
			}
			healed = healed || ok
		}
	}
	sealed, err := c.seal()
	if err != nil {
		return err
	}
	if !healed && !sealed && len(c.damages) == 0 {
		return nil
	}
	// The store's own summary would be believed before the blocks are.
	err = os.Remove(filepath.Join(c.msgs(), "index.db"))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return err
}

// fill replaces bad bytes that held acknowledged records.
func (c *check) fill(i int, bad *badBytes) (bool, error) {
	from, to := c.around(i, bad)
	room := bad.to - bad.from
	to = min(to, max(c.mark.last, from))
	if from > c.mark.last || to < from || bad.before == 0 && i == len(c.list)-1 {
		return false, nil // never acknowledged, or none is missing, or the end: see seal
	}
	count := to - from + 1
	if count > uint64(room/blocks.MinSize) { //nolint:gosec // of a block
		return false, nil
	}
	index := c.list[i].Index
	var patch []byte
	for seq := from; seq < to; seq++ {
		patch = blocks.AppendErased(patch, c.o.Log, index, seq, blocks.MinSize)
	}
	patch = blocks.AppendErased(patch, c.o.Log, index, to, room-len(patch))
	return true, writeAt(blocks.Path(c.msgs(), index), patch, int64(bad.from), -1)
}

// seal makes the log go on behind what was acknowledged if its end is missing.
func (c *check) seal() (bool, error) {
	if c.top >= c.mark.last {
		return false, nil
	}
	for i := len(c.list) - 1; i >= 0; i-- {
		b := c.list[i]
		if b.First == 0 {
			continue // the store lets go of it
		}
		end := int64(b.end)
		if b.end == 0 { // as the manifest says, and it has not changed since
			end = b.Size
		}
		patch := blocks.AppendErased(nil, c.o.Log, b.Index, c.mark.last, blocks.MinSize)
		return true, writeAt(blocks.Path(c.msgs(), b.Index), patch, end, end)
	}
	return false, nil
}

// writeAt writes b at an offset, after truncating the file to cut unless that is negative, and
// syncs the file.
func writeAt(path string, b []byte, at, cut int64) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	if cut >= 0 {
		err = f.Truncate(cut)
	}
	if err == nil {
		_, err = f.WriteAt(b, at)
	}
	return errors.Join(err, f.Sync(), f.Close())
}
