package fault

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// image is a disk of the node's own: an ext4 file system in a file. What is in the
// file is what the file system has written to its disk; what it only holds in
// memory is not. A copy of the file is the disk after the power was cut.
//
// It drops what was never written back; it does not drop what the disk took but
// was not told to flush, so a missing flush after a write goes unnoticed.
type image struct {
	path, mount string
}

// setupPower puts the node's data on an image.
func setupPower(_ context.Context, l *Life) error {
	im := &image{path: filepath.Join(filepath.Dir(l.Node.Dir), "disk.0"), mount: l.Node.Dir}
	if err := os.MkdirAll(im.mount, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(im.path, nil, 0o600); err != nil {
		return err
	}
	if err := os.Truncate(im.path, 2<<30); err != nil {
		return err
	}
	if err := command("mkfs.ext4", "-q", "-E", "lazy_itable_init=1,lazy_journal_init=1", im.path); err != nil {
		return err
	}
	l.image = im
	l.Defer(func() { _ = unix.Unmount(im.mount, unix.MNT_DETACH) })
	l.Defer(l.Node.Kill)
	return im.attach()
}

func (im *image) attach() error { return command("mount", "-o", "loop", im.path, im.mount) }

// cut has the node's disk lose its power: the image as it is becomes the new disk.
// The node must be stopped; it is dead afterwards.
func (im *image) cut(l *Life, next string) error {
	if err := command("cp", "--sparse=always", im.path, next); err != nil {
		return err
	}
	l.Kill("with the power")
	if err := command("umount", im.mount); err != nil {
		return err
	}
	if err := os.Remove(im.path); err != nil {
		return err
	}
	im.path = next
	return im.attach()
}

// actPower cuts the power under load.
func actPower(ctx context.Context, l *Life) error {
	for i := range l.Options.Rounds {
		if err := l.load(ctx); err != nil {
			return err
		}
		l.Journal.Inject("the power is cut")
		l.Node.Signal(syscall.SIGSTOP)
		if err := pause(ctx, 50*time.Millisecond); err != nil { // a sync under way ends, its answer is not sent
			return err
		}
		before := l.unwritten()
		if err := l.image.cut(l, fmt.Sprintf("%s.%d", filepath.Join(filepath.Dir(l.Node.Dir), "disk"), i+1)); err != nil {
			return err
		}
		l.Note("power cut %d: %d KiB waited in the page cache of the machine", i+1, before>>10)
		if err := l.boot(ctx); err != nil {
			return err
		}
		if err := l.recover(ctx); err != nil {
			return err
		}
	}
	return l.rebase()
}

// unwritten is how many bytes the machine has not written back, all disks taken
// together.
func (l *Life) unwritten() (bytes int64) {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if _, err := fmt.Sscanf(line, "Dirty: %d kB", &bytes); err == nil {
			return bytes << 10
		}
	}
	return 0
}
