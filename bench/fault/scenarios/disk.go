package scenarios

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"edgeloop/bench/fault/life"
	"edgeloop/internal/pause"
)

// onTmpfs puts the node's data on a small disk of its own.
func onTmpfs(size string) func(context.Context, *life.Life) error {
	return func(_ context.Context, l *life.Life) error {
		if err := os.MkdirAll(l.Node.Dir, 0o700); err != nil {
			return err
		}
		if err := unix.Mount("edgefault", l.Node.Dir, "tmpfs", 0, "size="+size); err != nil {
			return fmt.Errorf("mount a tmpfs: %w", err)
		}
		l.Defer(func() { _ = unix.Unmount(l.Node.Dir, unix.MNT_DETACH) })
		l.Defer(l.Node.Kill)
		return nil
	}
}

// actFull fills the disk to the last byte, keeps it full for a while, makes room,
// and at last lets the log itself fill the disk. Devices are held back, not cut.
func actFull(ctx context.Context, l *life.Life) error {
	filler := filepath.Join(l.Node.Dir, "filler")
	for range l.Options.Rounds {
		l.Journal.Inject("the disk is full")
		if err := fill(filler); err != nil {
			return err
		}
		l.Result.Faults++
		if err := pause.For(ctx, time.Second+l.UpTo(2*time.Second)); err != nil {
			return err
		}
		if l.Rng.IntN(3) == 0 {
			l.Kill("on the full disk")
			if err := l.Node.Start(); err != nil {
				return err
			}
			_ = pause.For(ctx, time.Second)
			if !l.Node.Alive() {
				l.Note("started on the full disk, the node ended: %s", lastLine(l.Node.LogTail(400)))
			}
		}
		if err := os.Remove(filler); err != nil {
			return err
		}
		l.Journal.Inject("there is room again")
		if !l.Node.Alive() {
			if err := l.Boot(ctx); err != nil {
				return err
			}
		}
		if err := l.Recover(ctx); err != nil {
			return err
		}
	}
	l.Journal.Inject("the log fills the disk")
	var s unix.Statfs_t
	if err := l.Await(ctx, 60*time.Second, "the log to fill its disk up to the reserve", func() bool {
		return unix.Statfs(l.Node.Dir, &s) == nil && int64(s.Bavail)*s.Bsize < 70<<20 //nolint:gosec,unconvert // a disk's size
	}); err != nil {
		return err
	}
	if err := pause.For(ctx, 2*time.Second); err != nil {
		return err
	}
	status, answer, err := l.Node.Call(ctx, "GET", "/readyz", nil)
	l.Note("on the full disk: readyz %d %.120s %v", status, answer, err)
	if err := unix.Mount("edgefault", l.Node.Dir, "tmpfs", unix.MS_REMOUNT, "size=2g"); err != nil {
		return err
	}
	l.Journal.Inject("the disk was made larger")
	if err := l.Recover(ctx); err != nil {
		return err
	}
	return l.Rebase()
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

// fill writes a file until the disk is full.
func fill(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for block := make([]byte, 1<<20); len(block) > 0; {
		n, err := f.Write(block)
		switch {
		case errors.Is(err, unix.ENOSPC):
			block = block[:len(block)/4]
		case err != nil:
			return fmt.Errorf("fill the disk, %d bytes written: %w", n, err)
		}
	}
	return nil
}

// actReadOnly starts the node on a disk that cannot be written: it must say so and
// end, and find everything when the disk is well again.
func actReadOnly(ctx context.Context, l *life.Life) error {
	for range l.Options.Rounds {
		if err := l.Load(ctx); err != nil {
			return err
		}
		l.Kill("before the disk becomes read-only")
		if err := unix.Mount("edgefault", l.Node.Dir, "tmpfs", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
			return err
		}
		l.Result.Faults++
		if err := l.Node.Start(); err != nil {
			return err
		}
		if err := l.Await(ctx, 10*time.Second, "the node to give up on a read-only disk", func() bool { return !l.Node.Alive() }); err != nil {
			return err
		}
		if l.Node.Alive() {
			l.Kill("on the read-only disk")
		}
		said := lastLine(l.Node.LogTail(400))
		if !strings.Contains(said, "read-only") {
			l.Note("on a read-only disk the node said %q", said)
		}
		if err := unix.Mount("edgefault", l.Node.Dir, "tmpfs", unix.MS_REMOUNT, ""); err != nil {
			return err
		}
		if err := l.Boot(ctx); err != nil {
			return err
		}
		if err := l.Recover(ctx); err != nil {
			return err
		}
	}
	return l.Rebase()
}

// actTorn kills the node and leaves behind the log what a write that was under way
// would: some bytes that are no record, zeros, or the beginning of a record.
func actTorn(ctx context.Context, l *life.Life) error {
	for range l.Options.Rounds {
		if err := l.Load(ctx); err != nil {
			return err
		}
		l.Kill("to tear the log's tail")
		path, err := NewestBlock(l.Node.Dir)
		if err != nil {
			return err
		}
		what, err := Tear(l, path)
		if err != nil {
			return err
		}
		l.Journal.Inject("torn: %s", what)
		l.Result.Faults++
		if err := l.Boot(ctx); err != nil {
			return err
		}
		if err := l.Recover(ctx); err != nil {
			return err
		}
	}
	return l.Rebase()
}

// Tear appends 1 to 700 bytes to a block, about one record and a half.
func Tear(l *life.Life, path string) (what string, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	n := 1 + l.Rng.IntN(700)
	tail := make([]byte, n)
	switch what = "zeros"; l.Rng.IntN(3) {
	case 0:
		what = "random bytes"
		for i := range tail {
			tail[i] = byte(l.Rng.Uint32())
		}
	case 1:
		what = "the beginning of a record"
		tail = b[:min(n, len(b)/2, 120)]
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return "", err
	}
	_, err = f.Write(tail)
	return fmt.Sprintf("%d bytes, %s, behind %d bytes of %s", len(tail), what, len(b), filepath.Base(path)), errors.Join(err, f.Close())
}

// NewestBlock finds the log's block that was written last. The log is the largest
// of the node's streams.
func NewestBlock(dir string) (path string, err error) {
	blocks := map[string]int64{} // bytes by folder
	newest := map[string]string{}
	times := map[string]time.Time{}
	err = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(p) != ".blk" {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		folder := filepath.Dir(p)
		blocks[folder] += info.Size()
		if info.ModTime().After(times[folder]) {
			times[folder], newest[folder] = info.ModTime(), p
		}
		return nil
	})
	best := int64(-1)
	for folder, size := range blocks {
		if size > best {
			best, path = size, newest[folder]
		}
	}
	if path == "" && err == nil {
		err = fmt.Errorf("no block of a log under %s", dir)
	}
	return path, err
}
