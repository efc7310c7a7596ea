package servers

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"edgeloop/backbone/blocks"
)

// DiskFullError says that less than DiskReserve bytes are free.
type DiskFullError struct{ Free, Reserve int64 }

func (e *DiskFullError) Error() string {
	return fmt.Sprintf("backbone: %d bytes free on the disk, %d must stay free", e.Free, e.Reserve)
}

// diskFree gives a function that fails while less than reserve is free at path.
func diskFree(path string, reserve int64) func() error {
	return func() error {
		free, err := freeAt(path)
		if err != nil {
			return err
		}
		if free < reserve {
			return &DiskFullError{Free: free, Reserve: reserve}
		}
		return nil
	}
}

// freeAt is how many bytes are free for this process on the disk of path.
func freeAt(path string) (int64, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(path, &s); err != nil {
		return 0, fmt.Errorf("free space of %s: %w", path, err)
	}
	return int64(s.Bavail) * s.Bsize, nil //nolint:gosec // of a disk
}

// Disk is how many bytes are free on the disk of the server in this process, and how
// many of them must stay so; free is -1 for servers elsewhere, and where it cannot be
// asked.
func (s *Servers) Disk() (free, reserve int64) {
	if !s.Here() {
		return -1, 0
	}
	free, err := freeAt(StoreDir(s.cfg.DataDir))
	if err != nil {
		return -1, 0
	}
	return free, max(s.cfg.DiskReserve, 0)
}

// makeDir makes a directory and those above it, each so that its name is on the
// disk, too.
func makeDir(dir string) error {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := makeDir(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return SyncPath(parent)
}

// syncStore makes what an earlier process left of the streams safe against the loss of power,
// because that process may have been killed before it had synced. It syncs their files and every
// directory on the way to them. What else lies there is somebody else's and is not looked at. Each
// directory may be a symbolic link.
func syncStore(dataDir, storeDir string, sync func(path string) error) error {
	for _, dir := range []string{dataDir, storeDir} {
		if err := syncName(dir, sync); err != nil {
			return err
		}
	}
	for _, stream := range allStreams() {
		if err := syncStream(storeDir, stream, sync); err != nil {
			return err
		}
	}
	return nil
}

// syncStream does it for one stream, and the way to it.
func syncStream(storeDir, stream string, sync func(path string) error) error {
	dir := streamDir(storeDir, stream)
	way, err := filepath.Rel(storeDir, dir)
	if err != nil {
		return err
	}
	at := storeDir
	for _, step := range strings.Split(way, string(filepath.Separator)) {
		if err := syncName(filepath.Join(at, step), sync); err != nil {
			return err
		}
		at = filepath.Join(at, step)
	}
	for _, name := range []string{"meta.inf", "meta.sum"} {
		if err := sync(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	if err := syncName(filepath.Join(dir, msgsDir), sync); err != nil {
		return err
	}
	return SyncBlocks(filepath.Join(dir, msgsDir), sync)
}

// syncName syncs a directory and the one that holds its name: of a symbolic link,
// that of what it leads to. One that may not be read is synced with its file system.
func syncName(dir string, sync func(path string) error) error {
	target, err := filepath.EvalSymlinks(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if target, err = filepath.Abs(target); err != nil {
		return err
	}
	if err := sync(filepath.Dir(target)); errors.Is(err, fs.ErrPermission) {
		if err := syncDisk(target); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	return sync(target)
}

// syncDisk syncs the whole file system of a directory.
func syncDisk(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(f.Fd())), f.Close())
}

// SyncBlocks syncs what the store keeps of a stream's messages: the blocks, then
// what it notes of them, then their names.
func SyncBlocks(dir string, sync func(path string) error) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if _, block := blocks.Index(e.Name()); !block && filepath.Ext(e.Name()) != ".db" {
			continue
		}
		if err := sync(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return sync(dir)
}

// SyncPath syncs one file or directory, if it is there: the store may have removed
// it meanwhile.
func SyncPath(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
