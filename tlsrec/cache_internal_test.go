package tlsrec

import (
	"testing"
	"time"
)

// Who speaks keeps its ciphers, who is silent for some seconds has none, and speaks with
// new ones; there is a bound, and who is gone is nowhere.
func TestCache_ForThoseWhoSpeak(t *testing.T) {
	ca, _, own := twoServers(t)
	cache := &Cache{}
	first, second := conduct(t, own, ca), conduct(t, own, ca)
	for _, c := range []*client{first, second} {
		c.session.Keep(cache)
	}
	speak := func(c *client, text string) {
		t.Helper()
		if s := c.say(t, c.sealOne(nil, typeApplication, []byte(text))); s.plain != text {
			t.Errorf("it makes of it %+v", s)
		}
	}
	live := func(c *client) bool { return c.session.own.live != nil }
	speak(second, "x")
	for i := range 5 {
		speak(first, "x")
		ciphers := first.session.own.live
		cache.Sweep(time.Duration(i+1) * cachedFor)
		cache.Sweep(time.Duration(i+1)*cachedFor + cachedFor/2) // not due
		if first.session.own.live != ciphers {
			t.Error("who speaks has its ciphers made again")
		}
		if want := i == 0; live(second) != want {
			t.Errorf("after %d sweeps who is silent has its ciphers: %v", i+1, !want)
		}
	}
	speak(second, "again")

	for range cachedMost {
		cache.keep(&records{live: &ciphers{}})
	}
	if len(cache.held) != cachedMost {
		t.Errorf("%d are kept", len(cache.held))
	}
	for i, r := range cache.held {
		if int(r.place) != i+1 || r.live == nil {
			t.Fatalf("at %d is one of %d", i, r.place)
		}
	}
	speak(first, "whether it has its ciphers or not")
	speak(second, "likewise")
	for i := 6; i < 8; i++ {
		cache.Sweep(time.Duration(i) * cachedFor)
	}
	if len(cache.held) > 0 || cap(cache.held) > 0 || live(first) || live(second) {
		t.Errorf("%d of %d are left", len(cache.held), cap(cache.held))
	}
	speak(first, "at last")
	first.session.Close()
	if len(cache.held) > 0 {
		t.Error("who is gone is kept")
	}
}

// With more who speak in turn than there is room for, most of the room still serves.
func TestCache_MoreThanItHolds(t *testing.T) {
	cache := &Cache{}
	all := make([]records, cachedMost*5/4)
	made := 0
	for turn := range 20 {
		for i := range all {
			if all[i].live == nil {
				if all[i].live = &dummy; turn > 4 {
					made++
				}
				cache.keep(&all[i])
			}
		}
	}
	if share := float64(made) / float64(15*len(all)); share > 0.25 {
		t.Errorf("%.0f %% of records need new ciphers", 100*share)
	}
}

var dummy ciphers
