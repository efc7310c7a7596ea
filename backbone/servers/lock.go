package servers

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// ErrInUse says that another process has the data directory open.
var ErrInUse = errors.New("backbone: the data directory is in use by another process")

// ErrMoved says that the data directory is not the one any more that the node has
// opened: it was moved away, or another was put in its place.
var ErrMoved = errors.New("backbone: the data directory was moved or replaced")

// dirLock keeps other processes out of the data directory until it is closed or the
// process ends. Two servers on one store would destroy it.
//
// The directories themselves are locked: their locks go with what the store writes
// to, whatever is removed, moved or made anew beside it. The file names the holder;
// it is locked for older nodes, which know no other lock, and for file systems that
// lock no directories.
type dirLock struct {
	// Immutable after construction.
	held []*os.File
	dirs []lockedDir
}

type lockedDir struct {
	path string
	info os.FileInfo
}

// lockFile is in the directory of the store.
const lockFile = "lock"

// lockDirs locks dirs, and the file in the last of them.
func lockDirs(node string, dirs ...string) (l *dirLock, err error) {
	l = &dirLock{}
	defer func() {
		if err != nil {
			l, err = nil, errors.Join(err, l.close())
		}
	}()
	file := filepath.Join(dirs[len(dirs)-1], lockFile)
	for _, dir := range dirs {
		if err := l.lockDir(dir, file); err != nil {
			return l, err
		}
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return l, err
	}
	l.held = append(l.held, f)
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return l, inUse(dirs[0], file)
	}
	return l, errors.Join(f.Truncate(0), writeHolder(f, node))
}

func writeHolder(f *os.File, node string) error {
	_, err := fmt.Fprintf(f, "process %d, node %s\n", os.Getpid(), node)
	return err
}

func (l *dirLock) lockDir(dir, file string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	l.held = append(l.held, f)
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return inUse(dir, file)
	}
	// Others say that this file system has no such locks, as NFS does of what is open
	// for reading only: the file is locked all the same.
	info, err := f.Stat()
	if err != nil {
		return err
	}
	l.dirs = append(l.dirs, lockedDir{dir, info})
	return nil
}

// inUse says who holds dir, as far as the file tells.
func inUse(dir, file string) error {
	const most = 200
	holder := ""
	if f, err := os.Open(file); err == nil {
		text, _ := io.ReadAll(io.LimitReader(f, most)) // what cannot be read is not said
		_ = f.Close()
		if holder = strings.TrimSpace(string(text)); holder != "" {
			holder = " (" + holder + ")"
		}
	}
	return fmt.Errorf("%w%s: %s", ErrInUse, holder, dir)
}

// check says whether the paths still lead to the directories that are locked.
func (l *dirLock) check() error {
	for _, d := range l.dirs {
		info, err := os.Stat(d.path)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrMoved, err)
		}
		if !os.SameFile(info, d.info) {
			return fmt.Errorf("%w: %s", ErrMoved, d.path)
		}
	}
	return nil
}

func (l *dirLock) close() error {
	var errs []error
	for _, f := range l.held {
		// Closing alone leaves the lock with a child that was forked and has not begun
		// its program. What was not locked here is not unlocked by this.
		_ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN)
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}
