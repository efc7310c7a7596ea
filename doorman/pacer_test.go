package doorman_test

import (
	"testing"
	"time"

	"edgeloop/doorman"
)

// Some may come at once, and then one each time a share of the minute is over; one that has
// to wait is told how long, and has it no worse for having asked.
func TestPacer_Take(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	m := doorman.NewPacer(1000, now)
	rate := doorman.PerMinute(30) // one in 2 s, five at once
	key, other := doorman.KeyOf(m, "a"), doorman.KeyOf(m, "b")
	for i := range 5 {
		if wait := m.Take(key, rate, now); wait != 0 {
			t.Fatalf("number %d waits %s", i, wait)
		}
	}
	for range 3 {
		if wait := m.Take(key, rate, now); wait != 2*time.Second {
			t.Fatalf("the sixth waits %s, want 2s", wait)
		}
	}
	if wait := m.Take(other, rate, now); wait != 0 {
		t.Errorf("another waits %s", wait)
	}
	now = now.Add(2 * time.Second)
	if wait := m.Take(key, rate, now); wait != 0 {
		t.Errorf("after 2s it waits %s", wait)
	}
	if wait := m.Take(key, rate, now); wait != 2*time.Second {
		t.Errorf("the next waits %s, want 2s", wait)
	}
	passed := 0
	for range 600 { // a minute, ten times a second
		if now = now.Add(100 * time.Millisecond); m.Take(key, rate, now) == 0 {
			passed++
		}
	}
	if passed != 30 {
		t.Errorf("%d came in a minute, want 30", passed)
	}
	now, passed = now.Add(time.Hour), 0
	for range 100 {
		if m.Take(key, rate, now) == 0 {
			passed++
		}
	}
	if passed != 5 {
		t.Errorf("after an hour %d came at once, want 5", passed)
	}
	if wait := m.Take(key, doorman.PerMinute(0), now); wait != 0 {
		t.Errorf("without a bound it waits %s", wait)
	}
	if wait := m.Take(doorman.KeyOf(m, "c"), doorman.PerMinute(1<<40), now); wait != 0 {
		t.Errorf("with a huge bound it waits %s", wait)
	}
}

// Many keys take the memory of a few. One without debt is forgotten first, then the one with
// the least; nobody waits for want of room.
func TestPacer_Full(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	m := doorman.NewPacer(512, now)
	rate := doorman.PerMinute(6) // one in 10 s, one at once
	for i := range 20_000 {
		if wait := m.Take(doorman.KeyOf(m, i), rate, now); wait != 0 {
			t.Fatalf("key %d waits %s", i, wait)
		}
	}
	if n := m.Forgotten(); n < 19_000 {
		t.Errorf("%d with debt were forgotten, want all but 512", n)
	}
	before := m.Forgotten()
	now = now.Add(10 * time.Second)
	for i := range 100 {
		m.Take(doorman.KeyOf(m, i), rate, now)
	}
	if n := m.Forgotten(); n != before {
		t.Errorf("%d were forgotten who had debt, though there were many without", n-before)
	}
	heavy, slow := doorman.KeyOf(m, "heavy"), doorman.PerMinute(1)
	m.Take(heavy, slow, now)
	for i := range 5_000 {
		m.Take(doorman.KeyOf(m, -i), rate, now.Add(time.Second))
	}
	if m.Take(heavy, slow, now.Add(time.Second)) == 0 {
		t.Error("who has most debt was forgotten for those who have less")
	}
}

func TestAllocs_Pacer(t *testing.T) {
	now := time.Now()
	m := doorman.NewPacer(512, now)
	m.Take(1, doorman.PerMinute(60), now)
	if n := testing.AllocsPerRun(100, func() { m.Take(1, doorman.PerMinute(60), now) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
