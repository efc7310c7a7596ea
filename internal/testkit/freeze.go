package testkit

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// Freeze stops a process with SIGSTOP and returns when all its threads stand. The
// signal alone returns at once, and on a busy machine the threads run on for some
// milliseconds: long enough to answer what the test sends next.
func Freeze(t testing.TB, p *os.Process) {
	t.Helper()
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	tasks := filepath.Join("/proc", strconv.Itoa(p.Pid), "task", "*", "stat")
	Eventually(t, 30*time.Second, "every thread of the process to stand", func() bool {
		stats, err := filepath.Glob(tasks)
		for _, stat := range stats {
			// "pid (name) state ...", proc_pid_stat(5); a name may hold anything.
			text, gone := os.ReadFile(stat)
			if end := bytes.LastIndex(text, []byte(") ")); gone == nil && (end < 0 || text[end+2] != 'T') {
				return false
			}
		}
		return err == nil && len(stats) > 0
	})
}

// Thaw lets a process that was frozen go on.
func Thaw(t testing.TB, p *os.Process) {
	t.Helper()
	if err := p.Signal(syscall.SIGCONT); err != nil {
		t.Error(err)
	}
}
