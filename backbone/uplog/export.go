package uplog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"edgeloop/backbone/blocks"
	"edgeloop/backbone/custody"
	"edgeloop/backbone/names"
	"edgeloop/backbone/reader"
	"edgeloop/backbone/servers"
)

// Closed is the log of a node that is not running, read from its files.
type Closed struct {
	// Identity of the log; "": it was made by a version that kept none.
	Identity string
	// First and Last are the positions that there are, as far as acknowledged; Last 0:
	// nobody knows.
	First, Last uint64
	// Bad counts the places that Each could not read.
	Bad int

	dir  string // of the blocks
	lock *os.File
	buf  []byte // of one block
	seen uint64 // the last position that was read
}

// OpenClosed opens the log under cfg.DataDir and changes nothing. No node starts on it until
// Close. servers.ErrInUse: one is running.
func OpenClosed(cfg Config) (*Closed, error) {
	f, err := os.Open(cfg.DataDir)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, errors.Join(fmt.Errorf("%w: %s", servers.ErrInUse, cfg.DataDir), f.Close())
	}
	// A file system without locks is read as it is.
	c := &Closed{dir: servers.BlocksDir(cfg.DataDir, names.StreamUp), lock: f}
	c.Identity, c.First, c.Last, err = custody.Marked(cfg.DataDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(err, f.Close())
	}
	return c, nil
}

// Close lets a node start again.
func (c *Closed) Close() error { return c.lock.Close() }

// Each calls fn with the records behind a position, in the order of the log, each as one JSON
// object without a line break, borrowed until fn returns. It holds one block in memory. An
// error of fn ends it and is returned. What was never acknowledged is not given.
func (c *Closed) Each(after uint64, fn func(position uint64, line []byte) error) error {
	list, err := blocks.List(c.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	c.seen = 0
	for _, block := range list {
		if err := c.block(block, max(after, c.First-min(c.First, 1)), fn); err != nil {
			return err
		}
	}
	return nil
}

func (c *Closed) block(index uint32, after uint64, fn func(position uint64, line []byte) error) error {
	f, err := os.Open(blocks.Path(c.dir, index))
	if err != nil {
		return err
	}
	c.buf, err = readInto(c.buf, f)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	r := blocks.NewReader(names.StreamUp, index, c.buf)
	for {
		rec, err := r.Next()
		var bad *blocks.BadError
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.As(err, &bad):
			if c.Last == 0 || c.seen < c.Last { // else a killed node was writing it
				c.Bad++
			}
			continue
		case err != nil:
			return err
		case c.Last > 0 && rec.Seq > c.Last:
			return nil
		}
		c.seen = max(c.seen, rec.Seq)
		if rec.Kind != blocks.Message || rec.Seq <= after {
			continue
		}
		subject := textOf(rec.Subject)
		if _, _, ok := names.Split(subject, names.Up); !ok && !names.IsEvents(subject) {
			continue // a mark of a node
		}
		if reader.IsSession(rec.Data) {
			continue
		}
		if err := fn(rec.Seq, rec.Data); err != nil {
			return err
		}
	}
}
