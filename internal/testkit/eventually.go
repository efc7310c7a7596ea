package testkit

import (
	"testing"
	"time"
)

// Eventually checks cond every few milliseconds until it is true, and fails the test if limit passes
// first. what completes the sentence "still waiting
// for ...". It calls t.Fatal, so only the test's own goroutine may call it.
func Eventually(t testing.TB, limit time.Duration, what string, cond func() bool) {
	t.Helper()
	if cond() {
		return
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	for {
		select {
		case <-tick.C:
			if cond() {
				return
			}
		case <-deadline.C:
			if cond() { // where the machine stood still until the limit, nobody has looked yet
				return
			}
			t.Fatalf("after %s still waiting for %s", limit, what)
		}
	}
}

// Receive takes one value from c, and fails the test when limit has passed or
// c is closed first.
func Receive[T any](t testing.TB, limit time.Duration, what string, c <-chan T) T {
	t.Helper()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	select {
	case v, ok := <-c:
		if !ok {
			t.Fatalf("%s: closed", what)
		}
		return v
	case <-deadline.C:
		select { // both may have come while the machine stood still
		case v, ok := <-c:
			if ok {
				return v
			}
		default:
		}
		t.Fatalf("after %s still waiting for %s", limit, what)
	}
	panic("unreachable: Fatalf does not return")
}
