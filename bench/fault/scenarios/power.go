package scenarios

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"edgeloop/bench/fault/faults"
	"edgeloop/bench/fault/life"
	"edgeloop/internal/pause"
)

// setupPower puts the node's data on an image.
func setupPower(_ context.Context, l *life.Life) error {
	im := &faults.Image{Path: filepath.Join(filepath.Dir(l.Node.Dir), "disk.0"), Mount: l.Node.Dir}
	if err := os.MkdirAll(im.Mount, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(im.Path, nil, 0o600); err != nil {
		return err
	}
	if err := os.Truncate(im.Path, 2<<30); err != nil {
		return err
	}
	if err := faults.Command("mkfs.ext4", "-q", "-E", "lazy_itable_init=1,lazy_journal_init=1", im.Path); err != nil {
		return err
	}
	l.Image = im
	l.Defer(func() { _ = unix.Unmount(im.Mount, unix.MNT_DETACH) })
	l.Defer(l.Node.Kill)
	return im.Attach()
}

// cutPower has the node's disk lose its power: the image as it is becomes the new disk.
// The node must be stopped; it is dead afterwards.
func cutPower(im *faults.Image, l *life.Life, next string) error {
	if err := faults.Command("cp", "--sparse=always", im.Path, next); err != nil {
		return err
	}
	l.Kill("with the power")
	if err := faults.Command("umount", im.Mount); err != nil {
		return err
	}
	if err := os.Remove(im.Path); err != nil {
		return err
	}
	im.Path = next
	return im.Attach()
}

// actPower cuts the power under load.
func actPower(ctx context.Context, l *life.Life) error {
	for i := range l.Options.Rounds {
		if err := l.Load(ctx); err != nil {
			return err
		}
		l.Journal.Inject("the power is cut")
		l.Node.Signal(syscall.SIGSTOP)
		if err := pause.For(ctx, 50*time.Millisecond); err != nil { // a sync under way ends, its answer is not sent
			return err
		}
		before := unwritten(l)
		if err := cutPower(l.Image, l, fmt.Sprintf("%s.%d", filepath.Join(filepath.Dir(l.Node.Dir), "disk"), i+1)); err != nil {
			return err
		}
		l.Note("power cut %d: %d KiB waited in the page cache of the machine", i+1, before>>10)
		if err := l.Boot(ctx); err != nil {
			return err
		}
		if err := l.Recover(ctx); err != nil {
			return err
		}
	}
	return l.Rebase()
}

// unwritten is how many bytes the machine has not written back, all disks taken
// together.
func unwritten(l *life.Life) (bytes int64) {
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
