package main

import (
	"syscall"
	"testing"
)

// TestServe_NoCore: however large a core file may be where a node is started, it leaves none,
// nor hands one to a program: a limit of 1 byte is below any, and tells the kernel so.
func TestServe_NoCore(t *testing.T) {
	var before, during syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_CORE, &before); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Setrlimit(syscall.RLIMIT_CORE, &before) })
	open := syscall.Rlimit{Cur: before.Max, Max: before.Max}
	if err := syscall.Setrlimit(syscall.RLIMIT_CORE, &open); err != nil {
		t.Fatal(err)
	}
	r := serve(t)
	err := syscall.Getrlimit(syscall.RLIMIT_CORE, &during)
	r.stop(t, exitOK)
	if err != nil || during.Cur != min(1, before.Max) || during.Max != before.Max {
		t.Errorf("the limit is %+v, was %+v: %v", during, before, err)
	}
}
