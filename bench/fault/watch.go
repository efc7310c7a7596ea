package fault

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"
)

// watcher follows how much memory and how many descriptors a process holds.
type watcher struct {
	// Immutable after construction.
	pid  int
	stop chan struct{}
	wg   sync.WaitGroup

	// Owned by the watcher's goroutine until end.
	peak peak
}

// peak is what a process held when it was first looked at, and at most.
type peak struct {
	rest, most int64 // resident bytes
	fds        int   // descriptors at most
}

// watch begins to follow a process, until end. The kernel's own mark of the most
// memory is reset, so that no moment is missed between two looks.
func watch(pid int) *watcher {
	w := &watcher{pid: pid, stop: make(chan struct{})}
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0) // without it, the looks have to do
	u, _ := readUsage(pid)                                                    // zero if it has just died
	w.peak = peak{rest: u.rss, most: u.rss, fds: u.fds}
	reset := highWater(pid) < u.rss+u.rss/4
	w.wg.Go(func() {
		ticker := time.NewTicker(50 * ms)
		defer ticker.Stop()
		for {
			if u, err := readUsage(pid); err == nil {
				w.peak.most, w.peak.fds = max(w.peak.most, u.rss), max(w.peak.fds, u.fds)
			}
			if reset {
				w.peak.most = max(w.peak.most, highWater(pid))
			}
			select {
			case <-w.stop:
				return
			case <-ticker.C:
			}
		}
	})
	return w
}

// end stops looking, and says what was seen.
func (w *watcher) end() peak {
	close(w.stop)
	w.wg.Wait()
	return w.peak
}

// highWater is the most resident bytes since the mark was reset; 0 if it is gone.
func highWater(pid int) int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(b) {
		if fields := bytes.Fields(line); len(fields) > 1 && string(fields[0]) == "VmHWM:" {
			kib, _ := strconv.ParseInt(string(fields[1]), 10, 64) // the kernel's own
			return kib << 10
		}
	}
	return 0
}
