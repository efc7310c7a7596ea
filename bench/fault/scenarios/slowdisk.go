package scenarios

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"edgeloop/bench/fault/faults"
	"edgeloop/bench/fault/history"
	"edgeloop/bench/fault/life"
	"edgeloop/bench/fault/node"
)

// setupSlowDisk puts the node's data on an image, and the node into a control group
// (version 1 or 2) whose writes to that image can be slowed down.
func setupSlowDisk(ctx context.Context, l *life.Life) error {
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
	device, err := l.Image.Device()
	if err != nil {
		return err
	}
	l.Throttle = &faults.Throttle{Group: group, Version: version, Device: device}
	l.Node.Wrap = []string{"sh", "-c", `echo $$ > "$0/cgroup.procs"; exec "$@"`, group}
	return l.Throttle.Set(0, 0)
}

// actSlowDisk makes the disk slow: first in bytes, then in writes. Acknowledgements
// become as slow; nobody is cut, pings are answered, memory is bounded.
func actSlowDisk(ctx context.Context, l *life.Life) error {
	for i := range l.Options.Rounds {
		if err := l.Load(ctx); err != nil {
			return err
		}
		bytes, writes := 128<<10, 0
		if i%2 == 1 {
			bytes, writes = 0, 4
		}
		before, err := node.ReadUsage(l.Node.PID())
		if err != nil {
			return err
		}
		p, err := l.Crew.NewPinger(ctx, l.URL, l.Rng.Uint64())
		if err != nil {
			return err
		}
		l.Journal.Inject("the disk takes %d bytes, %d writes a second", bytes, writes)
		if err := l.Throttle.Set(bytes, writes); err != nil {
			return err
		}
		var worst time.Duration
		var pings int
		err = unhurt(ctx, l, func(ctx context.Context) error {
			worst, pings = pingFor(ctx, l, p, 8*time.Second)
			return nil
		})
		p.Close()
		if err != nil {
			return err
		}
		l.Note("at %d bytes, %d writes a second %d pings were answered, the slowest after %d ms", bytes, writes, pings, worst.Milliseconds())
		if pings == 0 || worst > slowPong {
			l.Journal.Break(history.Violation{Promise: history.Dropped, Detail: fmt.Sprintf("%d pings were answered on a slow disk, the slowest after %s", pings, worst)})
		}
		after, err := node.ReadUsage(l.Node.PID())
		if err != nil {
			return err
		}
		if after.RSS > before.RSS+life.MoreRSS {
			l.Journal.Break(history.Violation{Promise: history.Resources, Detail: fmt.Sprintf("%d MiB on a slow disk, %d MiB before", after.RSS>>20, before.RSS>>20)})
		}
		if err := l.Throttle.Set(0, 0); err != nil {
			return err
		}
		l.Journal.Inject("the disk is fast again")
		if err := l.Recover(ctx); err != nil {
			return err
		}
	}
	return l.Rebase()
}
