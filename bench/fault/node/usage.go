package node

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"
)

// Usage is what the process holds: resident memory and descriptors.
type Usage struct {
	RSS int64
	FDs int
}

// ReadUsage reads what a process holds now.
func ReadUsage(pid int) (u Usage, err error) {
	names, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return u, err
	}
	u.FDs = len(names)
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return u, err
	}
	fields := bytes.Fields(b)
	if len(fields) < 2 {
		return u, fmt.Errorf("statm: %q", b)
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	u.RSS = pages * int64(os.Getpagesize())
	return u, err
}

// Watcher follows how much memory and how many descriptors a process holds.
type Watcher struct {
	// Immutable after construction.
	pid  int
	stop chan struct{}
	wg   sync.WaitGroup

	// Owned by the watcher's goroutine until end.
	peak Peak
}

// Peak is what a process held at first, and at most.
type Peak struct {
	Rest, Most int64 // resident bytes
	FDs        int   // descriptors at most
}

// Watch follows a process until End. It resets the kernel's own high-water mark of memory, so that
// it misses nothing between two readings.
func Watch(pid int) *Watcher {
	w := &Watcher{pid: pid, stop: make(chan struct{})}
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0) // without it, the readings have to do
	u, _ := ReadUsage(pid)                                                    // zero if it has just died
	w.peak = Peak{Rest: u.RSS, Most: u.RSS, FDs: u.FDs}
	reset := highWater(pid) < u.RSS+u.RSS/4
	w.wg.Go(func() {
		ticker := time.NewTicker(50 * time.Millisecond)
		defer ticker.Stop()
		for {
			if u, err := ReadUsage(pid); err == nil {
				w.peak.Most, w.peak.FDs = max(w.peak.Most, u.RSS), max(w.peak.FDs, u.FDs)
			}
			if reset {
				w.peak.Most = max(w.peak.Most, highWater(pid))
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

// End stops and returns the peak.
func (w *Watcher) End() Peak {
	close(w.stop)
	w.wg.Wait()
	return w.peak
}

// highWater is the most resident bytes since the mark was reset; 0 if the process is gone.
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
