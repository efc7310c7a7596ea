package uplog

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"edgeloop/backbone/blocks"
	"edgeloop/backbone/servers"
)

// blockSync makes what the store has written to a stream's message blocks safe
// against the loss of power.
//
// The store appends to DIR/N.blk and goes on with N+1; each message is written
// when its answer comes, so syncing from N on, as far as there are files, covers
// it. That the blocks grew by what was stored shows that they were the right
// ones; otherwise all of them are synced.
type blockSync struct {
	// Immutable after construction.
	dir   string
	flush func(*os.File) error // fdatasync, but in tests

	// Owned by the goroutine that syncs.
	block *os.File // the newest known; nil: none yet
	index uint32   // of it
	size  int64    // of it, when last synced
}

func newBlockSync(dir string) *blockSync {
	return &blockSync{dir: dir, flush: func(f *os.File) error { return syscall.Fdatasync(int(f.Fd())) }}
}

// sync returns when the last atLeast bytes stored, or more, are on the disk. The next
// block is looked for before this one is synced for the last time: what the store
// still writes to this one while it is synced is not taken for done because the
// next has grown.
func (s *blockSync) sync(atLeast int64) error {
	grown := int64(0)
	for s.block != nil {
		next, err := s.openNext()
		if err != nil {
			return err
		}
		n, err := s.syncBlock()
		if err != nil {
			return closing(next, err)
		}
		grown += n
		if next == nil {
			break
		}
		if err := s.advance(next); err != nil {
			return err
		}
	}
	if grown < atLeast {
		return s.syncAll()
	}
	return nil
}

func (s *blockSync) syncBlock() (grown int64, err error) {
	info, err := s.block.Stat()
	if err != nil {
		return 0, err
	}
	if err := s.flush(s.block); err != nil {
		return 0, fmt.Errorf("sync %s: %w", s.block.Name(), err)
	}
	grown, s.size = info.Size()-s.size, info.Size()
	return grown, nil
}

// openNext opens the block behind this one; nil if there is none yet.
func (s *blockSync) openNext() (*os.File, error) {
	f, err := os.Open(blocks.Path(s.dir, s.index+1))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return f, err
}

// advance goes on to the next block.
func (s *blockSync) advance(next *os.File) error {
	if err := servers.SyncPath(s.dir); err != nil { // before the block is closed: this may be tried again
		return closing(next, err)
	}
	if err := s.block.Close(); err != nil {
		return closing(next, err)
	}
	s.block, s.index, s.size = next, s.index+1, 0
	return nil
}

// closing closes f, which may be nil, because of err.
func closing(f *os.File, err error) error {
	if f == nil {
		return err
	}
	return errors.Join(err, f.Close())
}

// syncAll syncs all blocks there are and goes on from the newest.
func (s *blockSync) syncAll() error {
	if err := servers.SyncBlocks(s.dir, servers.SyncPath); err != nil {
		return err
	}
	list, err := blocks.List(s.dir)
	if err != nil {
		return err
	}
	if err := s.close(); err != nil || len(list) == 0 {
		return err
	}
	newest := list[len(list)-1]
	if s.block, err = os.Open(blocks.Path(s.dir, newest)); err != nil {
		s.block = nil
		return err
	}
	s.index, s.size = newest, 0
	_, err = s.syncBlock()
	return err
}

// close lets go of the block; the next sync looks at all of them.
func (s *blockSync) close() error {
	if s.block == nil {
		return nil
	}
	f := s.block
	s.block = nil
	return f.Close()
}
