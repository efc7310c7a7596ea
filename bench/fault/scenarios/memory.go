package scenarios

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"edgeloop/bench/fault/history"
	"edgeloop/bench/fault/life"
)

// memoryLimit is what the node's control group may use, page cache included.
const memoryLimit = 192 << 20

// setupMemory gives the node little memory, and a GOMEMLIMIT far below it: what it
// writes is page cache of the same group.
func setupMemory(_ context.Context, l *life.Life) error { return limitMemory(l, memoryLimit, 120<<20) }

// limitMemory puts the node into a control group of its own (version 1 or 2), with
// a GOMEMLIMIT for itself.
func limitMemory(l *life.Life, most, gomemlimit int64) error {
	root, limit := "/sys/fs/cgroup/memory", "memory.limit_in_bytes"
	if _, err := os.Stat(root); err != nil {
		root, limit = "/sys/fs/cgroup", "memory.max"
	}
	group := filepath.Join(root, fmt.Sprintf("edgefault-%d", os.Getpid()))
	if err := os.Mkdir(group, 0o755); err != nil {
		return fmt.Errorf("make a control group: %w", err)
	}
	l.Defer(func() { _ = os.Remove(group) }) // empty once the node is dead
	l.Defer(l.Node.Kill)
	if err := os.WriteFile(filepath.Join(group, limit), []byte(strconv.FormatInt(most, 10)), 0); err != nil {
		return fmt.Errorf("limit the control group: %w", err)
	}
	l.Node.Wrap = []string{"sh", "-c", fmt.Sprintf(`echo $$ > "$0/cgroup.procs"; export GOMEMLIMIT=%d; exec "$@"`, gomemlimit), group}
	return nil
}

// actMemory streams large messages into a node that has little memory, with a
// storm in each round. It must not be killed for taking too much.
func actMemory(ctx context.Context, l *life.Life) error {
	for range l.Options.Rounds {
		if err := l.Load(ctx); err != nil {
			return err
		}
		l.Journal.Inject("all devices are cut")
		l.Crew.CutAll()
		l.Result.Faults++
		if !l.Node.Alive() {
			l.Journal.Break(history.Violation{Promise: history.Died, Detail: fmt.Sprintf("killed at a limit of %d MiB: %v", memoryLimit>>20, l.Node.State())})
			return errors.New("fault: the node ran out of memory")
		}
		if err := l.Recover(ctx); err != nil {
			return err
		}
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", l.Node.PID()))
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(status)) {
		if strings.HasPrefix(line, "VmHWM") {
			l.Note("limit %d MiB with page cache, GOMEMLIMIT 120 MiB; %s", memoryLimit>>20, strings.Join(strings.Fields(line), " "))
		}
	}
	return nil
}
