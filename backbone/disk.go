package backbone

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// ErrInUse says that another process has the data directory open.
var ErrInUse = errors.New("backbone: the data directory is in use by another process")

// DiskFullError says that less than DiskReserve bytes are free.
type DiskFullError struct{ Free, Reserve int64 }

func (e *DiskFullError) Error() string {
	return fmt.Sprintf("backbone: %d bytes free on the disk, %d must stay free", e.Free, e.Reserve)
}

// diskGate gives a function that fails while less than reserve is free at path.
func diskGate(path string, reserve int64) func() error {
	return func() error {
		var s syscall.Statfs_t
		if err := syscall.Statfs(path, &s); err != nil {
			return fmt.Errorf("free space of %s: %w", path, err)
		}
		if free := int64(s.Bavail) * s.Bsize; free < reserve {
			return &DiskFullError{Free: free, Reserve: reserve}
		}
		return nil
	}
}

// lockDir takes dir for this process, until the file is closed or the process
// ends. Two servers on one store would destroy it.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %s", ErrInUse, dir), f.Close())
	}
	return f, nil
}

// syncTree syncs every file and directory under root. What a killed process has
// left in the page cache is on the disk afterwards.
func syncTree(root string) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed by the store meanwhile
		}
		if err != nil {
			return err
		}
		if !d.IsDir() && !d.Type().IsRegular() {
			return nil
		}
		return syncPath(path)
	})
}

func syncPath(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// blockSync makes what the store has written to a stream's message blocks safe
// against the loss of power.
//
// The store appends to DIR/N.blk and goes on with N+1; each message is written
// when its answer comes, so syncing from N on, as far as there are files, covers
// it. That the blocks grew by what was stored shows that they were the right
// ones; otherwise all of them are synced.
type blockSync struct {
	// Immutable after construction.
	dir string

	// Owned by the goroutine that syncs.
	block *os.File // the newest known; nil: none yet
	index int      // of it
	size  int64    // of it, when last synced
}

const blockSuffix = ".blk"

// sync returns when the last atLeast bytes stored, or more, are on the disk.
func (s *blockSync) sync(atLeast int64) error {
	grown := int64(0)
	for s.block != nil {
		n, err := s.syncBlock()
		if err != nil {
			return err
		}
		grown += n
		if ok, err := s.advance(); err != nil {
			return err
		} else if !ok {
			break
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
	if err := syscall.Fdatasync(int(s.block.Fd())); err != nil {
		return 0, fmt.Errorf("sync %s: %w", s.block.Name(), err)
	}
	grown, s.size = info.Size()-s.size, info.Size()
	return grown, nil
}

// advance goes on to the next block, if there is one.
func (s *blockSync) advance() (bool, error) {
	f, err := os.Open(s.path(s.index + 1))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := syncPath(s.dir); err != nil { // before the block is closed: this may be tried again
		return false, errors.Join(err, f.Close())
	}
	if err := s.block.Close(); err != nil {
		return false, errors.Join(err, f.Close())
	}
	s.block, s.index, s.size = f, s.index+1, 0
	return true, nil
}

// syncAll syncs all blocks there are and goes on from the newest.
func (s *blockSync) syncAll() error {
	if err := syncTree(s.dir); err != nil {
		return err
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	newest := 0
	for _, e := range entries {
		digits, ok := strings.CutSuffix(e.Name(), blockSuffix)
		if n, err := strconv.Atoi(digits); ok && err == nil {
			newest = max(newest, n)
		}
	}
	if err := s.close(); err != nil || newest == 0 {
		return err
	}
	if s.block, err = os.Open(s.path(newest)); err != nil {
		s.block = nil
		return err
	}
	s.index, s.size = newest, 0
	_, err = s.syncBlock()
	return err
}

func (s *blockSync) path(index int) string {
	return filepath.Join(s.dir, strconv.Itoa(index)+blockSuffix)
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
