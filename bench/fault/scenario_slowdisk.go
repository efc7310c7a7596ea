package fault

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// setupSlowDisk puts the node's data on an image, and the node into a control group
// (version 1 or 2) whose writes to that image can be slowed down.
func setupSlowDisk(ctx context.Context, l *Life) error {
	if err := setupPower(ctx, l); err != nil {
		return err
	}
	root, version := "/sys/fs/cgroup/blkio", 1
	if _, err := os.Stat(root); err != nil {
		root, version = "/sys/fs/cgroup", 2
	}
	group := filepath.Join(root, fmt.Sprintf("edgefault-%d", os.Getpid()))
	if err := os.Mkdir(group, 0o755); err != nil {
		return fmt.Errorf("make a control group: %w", err)
	}
	l.Defer(func() { _ = os.Remove(group) }) // empty once the node is dead
	l.Defer(l.Node.Kill)
	device, err := l.image.device()
	if err != nil {
		return err
	}
	l.throttle = &throttle{group: group, version: version, device: device}
	l.Node.Wrap = []string{"sh", "-c", `echo $$ > "$0/cgroup.procs"; exec "$@"`, group}
	return l.throttle.set(0, 0)
}

// device is the number of the image's block device, as "major:minor".
func (im *image) device() (string, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); len(f) > 4 && f[4] == im.mount {
			return f[2], nil
		}
	}
	return "", fmt.Errorf("fault: %s is not mounted", im.mount)
}

// throttle is a control group that writes to one device slowly.
type throttle struct {
	group, device string
	version       int
}

// set limits bytes and writes a second; 0 lifts the limit.
func (t *throttle) set(bytes, writes int) error {
	if t.version == 2 {
		word := func(n int) string {
			if n == 0 {
				return "max"
			}
			return fmt.Sprint(n)
		}
		return os.WriteFile(filepath.Join(t.group, "io.max"), fmt.Appendf(nil, "%s wbps=%s wiops=%s", t.device, word(bytes), word(writes)), 0)
	}
	err := os.WriteFile(filepath.Join(t.group, "blkio.throttle.write_bps_device"), fmt.Appendf(nil, "%s %d", t.device, bytes), 0)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(t.group, "blkio.throttle.write_iops_device"), fmt.Appendf(nil, "%s %d", t.device, writes), 0)
}

// actSlowDisk makes the disk slow: first in bytes, then in writes. Acknowledgements
// become as slow; nobody is cut, pings are answered, memory is bounded.
func actSlowDisk(ctx context.Context, l *Life) error {
	for i := range l.Options.Rounds {
		if err := l.load(ctx); err != nil {
			return err
		}
		bytes, writes := 128<<10, 0
		if i%2 == 1 {
			bytes, writes = 0, 4
		}
		before, err := readUsage(l.Node.PID())
		if err != nil {
			return err
		}
		p, err := l.newPinger(ctx)
		if err != nil {
			return err
		}
		l.Journal.Inject("the disk takes %d bytes, %d writes a second", bytes, writes)
		if err := l.throttle.set(bytes, writes); err != nil {
			return err
		}
		var worst time.Duration
		var pings int
		err = l.unhurt(ctx, func(ctx context.Context) error {
			worst, pings = l.pingFor(ctx, p, 8*time.Second)
			return nil
		})
		p.wire.cut()
		if err != nil {
			return err
		}
		l.Note("at %d bytes, %d writes a second %d pings were answered, the slowest after %d ms", bytes, writes, pings, worst.Milliseconds())
		if pings == 0 || worst > slowPong {
			l.Journal.Break(Violation{Promise: Dropped, Detail: fmt.Sprintf("%d pings were answered on a slow disk, the slowest after %s", pings, worst)})
		}
		after, err := readUsage(l.Node.PID())
		if err != nil {
			return err
		}
		if after.rss > before.rss+moreRSS {
			l.Journal.Break(Violation{Promise: Resources, Detail: fmt.Sprintf("%d MiB on a slow disk, %d MiB before", after.rss>>20, before.rss>>20)})
		}
		if err := l.throttle.set(0, 0); err != nil {
			return err
		}
		l.Journal.Inject("the disk is fast again")
		if err := l.recover(ctx); err != nil {
			return err
		}
	}
	return l.rebase()
}
