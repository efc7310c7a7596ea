package tlsrec

import (
	"testing"
	"time"
)

// Who speaks often keeps its ciphers, who is silent for some seconds has none, and speaks
// with new ones; there is a bound, and who is gone is nowhere.
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
	crowd := func() { // enough of them for the place of each that does not speak often
		for range newcomersMost {
			cache.keep(&records{live: &ciphers{}})
		}
	}
	for i := range oftenTimes {
		speak(first, "x")
		if crowd(); live(first) != (i == oftenTimes-1) {
			t.Errorf("after it spoke %d times it has its ciphers: %v", i+1, live(first))
		}
	}
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
		cache.keep(&records{live: &ciphers{}, makes: oftenTimes, made: cache.sweeps})
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
	if len(cache.held) > 0 || cap(cache.held) > 0 || live(first) || live(second) || cache.newcomers != [newcomersMost]*records{} {
		t.Errorf("%d of %d are left, %v", len(cache.held), cap(cache.held), cache.newcomers)
	}
	speak(first, "at last")
	first.session.Close()
	if len(cache.held) > 0 || cache.newcomers != [newcomersMost]*records{} {
		t.Error("who is gone is kept")
	}
}

// However many idle devices answer the heartbeats, a few of them have ciphers at a time;
// one that speaks each second has its own for good.
func TestCache_IdleDevices(t *testing.T) {
	cache := &Cache{}
	speak := func(r *records) (made bool) {
		if r.spoke = true; r.live == nil {
			r.live, made = &dummy, true
			cache.keep(r)
		}
		return made
	}
	const silence = 30 * time.Second
	idle, busy := make([]records, 9000), &records{}
	perSecond := len(idle) / int(silence/time.Second)
	made := 0
	for second := range 95 {
		from := second % 30 * perSecond
		for i := range idle[from : from+perSecond] {
			speak(&idle[from+i])
			speak(&idle[from+max(0, i-newcomersMost/2)]) // its answer, a little later
		}
		if speak(busy) && second > oftenTimes {
			made++
		}
		cache.Sweep(time.Duration(second) * time.Second)
		have := 0
		for i := range idle {
			if idle[i].live != nil {
				have++
			}
		}
		if have > newcomersMost {
			t.Fatalf("after %d s %d idle devices have ciphers", second, have)
		}
	}
	if made > 0 {
		t.Errorf("one that speaks each second had its ciphers made %d times again", made)
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
