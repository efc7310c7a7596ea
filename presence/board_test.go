package presence_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"edgeloop/internal/testkit"
	"edgeloop/presence"
	"edgeloop/sink/keys"
)

func TestMain(m *testing.M) { testkit.Leaks(m) }

// wall is a target whose keys end.
type wall struct {
	mu     sync.Mutex
	away   bool
	ends   map[string]time.Time
	writes int
	ttl    time.Duration
}

func (w *wall) Put(_ context.Context, states []presence.State) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.away {
		return 0, errors.New("nobody answers")
	}
	if len(states) > 500 {
		return 0, errors.New("too many at once")
	}
	for _, s := range states {
		w.writes++
		if delete(w.ends, s.Device); s.Online {
			w.ends[s.Device] = time.Now().Add(w.ttl)
		}
	}
	return 0, nil
}

func (w *wall) Close() {}

// says who is here.
func (w *wall) says() map[string]bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := map[string]bool{}
	for d, end := range w.ends {
		if time.Now().Before(end) {
			out[d] = true
		}
	}
	return out
}

// is has the target be away, or back with nothing of what it had, and gives the number of
// writes until then.
func (w *wall) is(away bool) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.away = away
	if away {
		clear(w.ends)
	}
	return w.writes
}

const ttl = 2 * time.Minute

func begin(t *testing.T) (*wall, *presence.Board) {
	w := &wall{ends: map[string]time.Time{}, ttl: ttl}
	specs, err := presence.Parse([]any{map[string]any{"name": "wall", "type": "memory"}},
		map[string]presence.Kind{"memory": func(*keys.Map, time.Duration) presence.Target { return w }})
	if err != nil {
		t.Fatal(err)
	}
	return w, presence.Start(specs[0], nil)
}

func state(n int, epoch uint64, online bool) presence.State {
	return presence.State{Tenant: "t", Device: fmt.Sprint("d", n), Epoch: epoch, Online: online}
}

// A device that is here stays here, at two writes a device and time to live, in pieces; one that went is gone at
// once; an older connection's end changes nothing, and of who is at another node nothing is said.
func TestBoard_KeepsWhoIsHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const devices = 10_000
		w, b := begin(t)
		for n := range devices {
			b.Tell(state(n, 7, true))
		}
		synctest.Wait()
		first := w.is(false)
		if first != devices || len(w.says()) != devices {
			t.Fatalf("%d writes tell of %d devices", first, len(w.says()))
		}
		for range 20 {
			time.Sleep(ttl / 4)
			synctest.Wait()
			if got := len(w.says()); got != devices {
				t.Fatalf("it tells of %d devices", got)
			}
		}
		if again := w.is(false) - first; again < 9*devices || again > 11*devices {
			t.Errorf("%d writes in 5 times its time to live: want 2 a device and time to live", again)
		}
		b.Tell(state(1, 6, false))
		b.Tell(state(2, 7, false))
		synctest.Wait()
		if got := w.says(); !got["d1"] || got["d2"] {
			t.Errorf("it tells of d1: %t, d2: %t", got["d1"], got["d2"])
		}
		elsewhere := state(3, 7, false)
		elsewhere.Elsewhere = true
		before := w.is(false)
		b.Tell(elsewhere)
		synctest.Wait()
		if after := w.is(false); after != before || !w.says()["d3"] {
			t.Errorf("of a device of another node there are %d writes", after-before)
		}
		time.Sleep(ttl)
		if w.says()["d3"] {
			t.Error("it sets a device that another node has")
		}
		if err := b.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A server away for long costs no memory but for the devices here and 65,536 that went; when it is back
// it is told of all who are here, and of no other.
func TestBoard_TellsAllAgainAfterAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, b := begin(t)
		want := map[string]bool{}
		for n := range 100 {
			b.Tell(state(n, 1, true))
			want[fmt.Sprint("d", n)] = true
		}
		synctest.Wait()
		w.is(true)
		for n := range 70_000 {
			b.Tell(state(1000+n, 2, true))
			b.Tell(state(1000+n, 2, false))
		}
		time.Sleep(time.Hour)
		if c := b.Status(); c.Connected || c.Counts.Dropped != 70_000-1<<16 || c.Counts.Failures < 100 || c.Counts.Failures > 3600 {
			t.Errorf("after an hour it says %+v", c)
		}
		w.is(false)
		time.Sleep(time.Minute / 2)
		synctest.Wait()
		if got := w.says(); !maps.Equal(got, want) || !b.Status().Connected {
			t.Errorf("it tells of %d devices, want %d", len(got), len(want))
		}
		w.is(true) // for a moment: what it had is gone
		b.Tell(state(5, 1, false))
		synctest.Wait()
		w.is(false)
		time.Sleep(time.Second)
		synctest.Wait()
		if delete(want, "d5"); !maps.Equal(w.says(), want) {
			t.Errorf("a second later it tells of %d devices, want %d", len(w.says()), len(want))
		}
		w.is(true)
		b.Tell(state(6, 1, true))
		synctest.Wait()
		w.is(false)
		if err := b.Stop(t.Context()); err != nil || !w.says()["d6"] {
			t.Errorf("it ends without telling what waited: %v", err)
		}
	})
}

// What is wrong is said before anything starts.
func TestParse_Refused(t *testing.T) {
	kinds := map[string]presence.Kind{"memory": func(*keys.Map, time.Duration) presence.Target { return nil }}
	for say, list := range map[string][]any{
		"presence[0]":       {7},
		"presence.a.type":   {map[string]any{"name": "a", "type": "x"}},
		"presence.a.ttl":    {map[string]any{"name": "a", "type": "memory", "ttl": "1s"}},
		"presence.a.other":  {map[string]any{"name": "a", "type": "memory", "other": 1}},
		"presence[0].name":  {map[string]any{"name": "-", "type": "memory"}},
		"at most 4":         {1, 2, 3, 4, 5},
		"is there twice":    {map[string]any{"name": "a", "type": "memory"}, map[string]any{"name": "a", "type": "memory"}},
		"presence[0].type:": {map[string]any{}},
	} {
		if _, err := presence.Parse(list, kinds); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%v: it says %v, without %q", list, err, say)
		}
	}
}
