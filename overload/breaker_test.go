package overload_test

import (
	"errors"
	"testing"
	"time"

	"edgeloop/overload"
)

// Calls that fail three times in a row are no longer made, but for one each two seconds, and
// are all made again once that one has succeeded.
func TestBreaker(t *testing.T) {
	var b overload.Breaker
	away := errors.New("away")
	now := time.Minute
	for i := range 2 {
		b.Done(now, away)
		if !b.Allows(now) {
			t.Fatalf("no call after %d failures", i+1)
		}
	}
	b.Done(now, nil)
	for range 3 {
		if !b.Allows(now) {
			t.Fatal("failures before a success count")
		}
		b.Done(now, away)
	}
	for range 5 {
		if b.Allows(now + 1900*time.Millisecond) {
			t.Fatal("a call to who is away")
		}
		now += 2 * time.Second
		if !b.Allows(now) || b.Allows(now) {
			t.Fatal("not one probe")
		}
		b.Done(now, away)
	}
	now += 2 * time.Second
	if !b.Allows(now) {
		t.Fatal("no probe")
	}
	b.Done(now, nil)
	for range 10 {
		if !b.Allows(now) {
			t.Fatal("no calls although one has succeeded")
		}
	}
}
