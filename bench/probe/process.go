package probe

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// ticksPerSecond of /proc/PID/stat; fixed at 100 for user space on Linux.
const ticksPerSecond = 100

// Process is what one process has cost so far. Sums of Process values are
// meaningful; the difference of two gives a phase.
type Process struct {
	// UserS and SystemS are CPU seconds, in steps of 10 ms. The kernel knows the
	// sum exactly and splits it by sampling, so the split needs seconds of load.
	UserS   float64 `json:"cpu_user_s"`
	SystemS float64 `json:"cpu_system_s"`
	// RSS is resident memory in bytes from smaps_rollup, which is exact where
	// VmRSS lags behind. Anonymous is the part that is not file pages.
	RSS       int64 `json:"rss_bytes"`
	Anonymous int64 `json:"anonymous_bytes"`
	// PeakRSS is VmHWM, the highest ever in bytes, or RSS where VmHWM lags behind it.
	PeakRSS int64 `json:"peak_rss_bytes"`
	// FDs is the number of open descriptors; Threads that of kernel threads.
	FDs     int64 `json:"fds"`
	Threads int64 `json:"threads"`
	// Waits and Preemptions are voluntary and involuntary context switches of all
	// threads that live now.
	Waits       int64 `json:"voluntary_switches"`
	Preemptions int64 `json:"involuntary_switches"`
}

// CPUS is user and system time together, in seconds.
func (p Process) CPUS() float64 { return p.UserS + p.SystemS }

// Add adds what another process has cost.
func (p *Process) Add(o Process) {
	p.UserS += o.UserS
	p.SystemS += o.SystemS
	p.RSS += o.RSS
	p.Anonymous += o.Anonymous
	p.PeakRSS += o.PeakRSS
	p.FDs += o.FDs
	p.Threads += o.Threads
	p.Waits += o.Waits
	p.Preemptions += o.Preemptions
}

// CPU reads only the CPU times of pid: cheap enough for many readings a second.
func CPU(pid int) (p Process, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return p, err
	}
	// The name in parentheses may hold spaces: fields count from the last ')'.
	_, rest, ok := strings.Cut(string(b[bytes.LastIndexByte(b, ')')+1:]), " ")
	f := strings.Fields(rest)
	if !ok || len(f) < 18 {
		return p, fmt.Errorf("probe: /proc/%d/stat: %q", pid, b)
	}
	user, err1 := strconv.ParseInt(f[11], 10, 64)
	system, err2 := strconv.ParseInt(f[12], 10, 64)
	threads, err3 := strconv.ParseInt(f[17], 10, 64)
	if err1 != nil || err2 != nil || err3 != nil {
		return p, fmt.Errorf("probe: /proc/%d/stat: %q", pid, b)
	}
	p.UserS, p.SystemS, p.Threads = float64(user)/ticksPerSecond, float64(system)/ticksPerSecond, threads
	return p, nil
}

// ReadProcess reads everything about pid. With many threads or descriptors it
// costs milliseconds.
func ReadProcess(pid int) (Process, error) {
	p, err := CPU(pid)
	if err != nil {
		return p, err
	}
	rollup := fields(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	status := fields(fmt.Sprintf("/proc/%d/status", pid))
	p.RSS, p.Anonymous = rollup["Rss"]<<10, rollup["Anonymous"]<<10
	p.PeakRSS = status["VmHWM"] << 10
	if p.RSS == 0 {
		p.RSS, p.Anonymous = status["VmRSS"]<<10, status["RssAnon"]<<10
	}
	p.PeakRSS = max(p.PeakRSS, p.RSS)
	if d, err := os.Open(fmt.Sprintf("/proc/%d/fd", pid)); err == nil {
		names, _ := d.Readdirnames(-1)
		p.FDs = int64(len(names))
		_ = d.Close()
	}
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	for _, t := range tasks {
		s := fields(t)
		p.Waits += s["voluntary_ctxt_switches"]
		p.Preemptions += s["nonvoluntary_ctxt_switches"]
	}
	return p, nil
}

// ResetPeak makes PeakRSS of pid begin anew; it needs the same user or root.
func ResetPeak(pid int) error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0o200)
}

// fields reads "Name: 123 kB" lines; a file that cannot be read has none.
func fields(path string) map[string]int64 {
	m := make(map[string]int64)
	f, err := os.Open(path)
	if err != nil {
		return m
	}
	defer func() { _ = f.Close() }()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		name, rest, ok := strings.Cut(sc.Text(), ":")
		if v := strings.Fields(rest); ok && len(v) > 0 {
			if n, err := strconv.ParseInt(v[0], 10, 64); err == nil {
				m[name] = n
			}
		}
	}
	return m
}

// Delta is what a process used between two readings, and where it stood at the
// end.
func Delta(before, after Process) Process {
	d := after
	d.UserS -= before.UserS
	d.SystemS -= before.SystemS
	d.Waits -= before.Waits
	d.Preemptions -= before.Preemptions
	return d
}

// Settled reads pid until its RSS moves by less than half a percent between two
// readings, until patience ends or ctx does, and returns the last reading.
func Settled(ctx context.Context, pid int, patience time.Duration) (Process, error) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	end := time.After(patience)
	last, err := ReadProcess(pid)
	for err == nil {
		select {
		case <-ctx.Done():
			return last, ctx.Err()
		case <-end:
			return last, nil
		case <-tick.C:
		}
		var p Process
		if p, err = ReadProcess(pid); err != nil {
			break
		}
		moved := p.RSS - last.RSS
		last = p
		if max(moved, -moved)*200 < p.RSS {
			break
		}
	}
	return last, err
}

// QuickRSS is resident memory in bytes from statm: cheap, but it lags behind
// by up to a few pages per thread.
func QuickRSS(pid int) int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	f := strings.Fields(string(b))
	if len(f) < 2 {
		return 0
	}
	n, err := strconv.ParseInt(f[1], 10, 64)
	if err != nil {
		return 0
	}
	return n * int64(os.Getpagesize())
}
