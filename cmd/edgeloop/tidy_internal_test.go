package main

import (
	"testing"
	"time"
)

// rounds plays what a node carries, look by look, and returns when memory was
// given back.
func rounds(looks int, at func(look int) load) (due []int) {
	var t tidier
	now := time.Unix(0, 0)
	for i := range looks {
		now = now.Add(tidyEvery)
		if t.due(now, at(i)) {
			due = append(due, i)
			t.made(time.Second) // as long as that of many devices
		}
	}
	return due
}

// How soon the next round may be follows from what the last one cost.
func TestTidier_RestsByTheCostOfARound(t *testing.T) {
	for took, want := range map[time.Duration]time.Duration{
		5 * time.Millisecond:  tidyLeast,
		50 * time.Millisecond: 10 * time.Second,
		2 * time.Second:       tidyRest,
	} {
		var tidy tidier
		storm := func(n uint64) load { return load{open: n, moved: n, held: 20 << 20, goal: 25 << 20} }
		look := time.Unix(0, 0)
		next := func(devices uint64) time.Time {
			for range 100 {
				look = look.Add(tidyEvery)
				if tidy.due(look, storm(devices)) {
					return look
				}
			}
			t.Fatal("no round in 100 looks")
			return look
		}
		first := next(1000)
		tidy.made(took)
		if got := next(3000).Sub(first); got < want || got > max(want, 3*tidyEvery)+tidyEvery {
			t.Errorf("behind a round of %s the next one is %s later, want about %s", took, got, want)
		}
	}
}

// A steady node is left to the runtime: its heap grows from what is alive to the
// goal and falls back, and devices come and go evenly.
func TestTidier_LeavesASteadyNodeAlone(t *testing.T) {
	const hour = int(time.Hour / tidyEvery)
	const mib = 1 << 20
	for name, at := range map[string]func(int) load{
		"at rest": func(i int) load {
			return load{open: 10_000, held: 100*mib + uint64(i%50)*2*mib, goal: 200 * mib}
		},
		"under load": func(i int) load {
			return load{open: 10_000, inFlight: uint64(10+i%3) * mib, held: 100*mib + uint64(i%50)*2*mib, goal: 200 * mib}
		},
		"devices come and go": func(i int) load {
			return load{open: 10_000, moved: uint64(i) * 500, held: 150 * mib, goal: 200 * mib}
		},
		"a device now and then": func(i int) load {
			return load{open: 10_000, moved: uint64(i), held: 150 * mib, goal: 200 * mib}
		},
	} {
		t.Run(name, func(t *testing.T) {
			if due := rounds(hour, at); len(due) > 1 || (len(due) == 1 && due[0] > 10) { // one when it has filled up
				t.Errorf("memory was given back at looks %v", due)
			}
		})
	}
}

// What a peak took is given back once, within a minute of its end.
func TestTidier_GivesAPeakBackOnce(t *testing.T) {
	const mib = 1 << 20
	const begins, ends, looks = 100, 110, 1000
	for name, at := range map[string]func(int) load{
		"a storm of connects": func(i int) load {
			came := uint64(min(max(i-begins, 0), ends-begins)) * 1500
			return load{open: came, moved: came, held: 200 * mib, goal: 250 * mib}
		},
		"a mass disconnect": func(i int) load {
			gone := uint64(min(max(i-begins, 0), 2)) * 5000
			return load{open: 10_000 - gone, moved: 10_000 + gone, held: 200 * mib, goal: 250 * mib}
		},
		"a flood of messages": func(i int) load {
			l := load{open: 10_000, held: 300 * mib, goal: 400 * mib}
			if i >= begins && i < ends {
				l.inFlight = 200 * mib
			}
			return l
		},
		"a heap that has been collected": func(i int) load {
			l := load{open: 10_000, held: 600 * mib, goal: 600 * mib}
			if i >= ends {
				l.goal = 200 * mib
			}
			return l // and stays large, because it is fragmented
		},
	} {
		t.Run(name, func(t *testing.T) {
			due := rounds(looks, at)
			if len(due) > 0 && due[0] < 10 {
				due = due[1:] // it has filled up when the node started
			}
			if len(due) != 1 || due[0] < ends-9 || due[0] > ends+30 {
				t.Errorf("memory was given back at looks %v, want once soon after look %d", due, ends)
			}
		})
	}
}

// A storm that ends soon after a round is not forgotten when the next one may be made.
func TestTidier_RemembersASecondStorm(t *testing.T) {
	const mib = 1 << 20
	due := rounds(200, func(i int) load {
		came := uint64(min(max(i-100, 0), 1))*500 + uint64(min(max(i-104, 0), 1))*1000
		return load{open: came, moved: came, held: 20 * mib, goal: 25 * mib}
	})
	if len(due) != 2 || due[0] > 105 || due[1] > 120 {
		t.Errorf("memory was given back at looks %v, want soon after 101 and after 105", due)
	}
}
