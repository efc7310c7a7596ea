package gateway

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"edgeloop/backbone"
	"edgeloop/devicemgr"
	"edgeloop/internal/bytebuf"
)

// shelf is a WillStore in memory.
type shelf struct {
	mu sync.Mutex
	// Guarded by mu.
	kept  map[string]backbone.Will
	fails int // how many calls more fail
	calls int
	told  []string // devices with a Will to keep, each time

	// Immutable after construction.
	refuses string // a device
}

func (s *shelf) KeepWills(_ context.Context, put, over []backbone.Will) (undone []backbone.Will, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calls++; s.fails > 0 {
		s.fails--
		return append(put, over...), errors.New("the store is away")
	}
	for _, w := range put {
		if s.told = append(s.told, w.Device); w.Device == s.refuses {
			undone, err = append(undone, w), errors.New("it is not for the store")
			continue
		}
		s.kept[w.Device] = w
	}
	for _, w := range over {
		delete(s.kept, w.Device)
	}
	return undone, err
}

func (s *shelf) Wills(_ context.Context, fn func(backbone.Will)) error {
	s.mu.Lock()
	all := maps.Clone(s.kept)
	s.mu.Unlock()
	for _, w := range all {
		fn(w)
	}
	return nil
}

func (s *shelf) has(device string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, has := s.kept[device]
	return has
}

// keep runs what keeps Wills until the test ends, and notes what it publishes, and when.
func keep(t *testing.T, store *shelf) (s *wills, published chan string) {
	t.Helper()
	published = make(chan string, 10)
	began := time.Now()
	s = newWills(store, func(w *will) bool {
		published <- fmt.Sprint(w.of.Device, " ", time.Since(began))
		s.over(w)
		return true
	}, zap.NewNop())
	stopping, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		s.run(stopping)
	}()
	t.Cleanup(func() {
		s.stop()
		close(stopping)
		<-ended
	})
	return s, published
}

func of(device string, delay time.Duration) backbone.Will {
	return backbone.Will{Tenant: "t", Device: device, Delay: delay, Topic: "state", Payload: []byte("gone")}
}

// Each Will is published when its delay is over, and once; of a device that is back before it
// is not. Until then the store has it, and from then on not.
func TestWills_Delay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &shelf{kept: map[string]backbone.Will{}}
		s, published := keep(t, store)
		s.hold(of("late", 20*time.Second))
		s.hold(of("soon", 10*time.Second))
		s.hold(of("back", 10*time.Second))
		s.hold(of("twice", time.Second))
		s.hold(of("twice", 30*time.Second))
		time.Sleep(2 * willsApart)
		synctest.Wait()
		if !store.has("soon") || !store.has("back") || store.calls > 2 {
			t.Errorf("the store has %v after %d calls", store.kept, store.calls)
		}
		time.Sleep(9 * time.Second)
		if !s.take(devicemgr.Key{Tenant: "t", Device: "back"}) {
			t.Error("the Will of one that is back is not there")
		}
		for _, want := range []string{"soon 10s", "late 20s", "twice 30s"} {
			if got := <-published; got != want {
				t.Errorf("published %s, want %s", got, want)
			}
		}
		time.Sleep(2 * willsApart)
		synctest.Wait()
		if waiting, unsaved := s.counts(); waiting+unsaved+len(store.kept)+len(published) != 0 {
			t.Errorf("%d wait, %d are unsaved, the store has %v", waiting, unsaved, store.kept)
		}
	})
}

// Of what the store could not do it is told again, and of nothing else.
func TestWills_OnlyTheRestIsToldAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &shelf{kept: map[string]backbone.Will{}, refuses: "bad"}
		s, _ := keep(t, store)
		for _, device := range []string{"bad", "a", "b"} {
			s.hold(of(device, time.Hour))
		}
		time.Sleep(10 * willsAgain)
		synctest.Wait()
		if _, unsaved := s.counts(); unsaved != 1 || !store.has("a") || !store.has("b") {
			t.Errorf("%d are unsaved, the store has %v", unsaved, store.kept)
		}
		again := map[string]int{}
		for _, device := range store.told {
			again[device]++
		}
		if again["a"] != 1 || again["b"] != 1 || again["bad"] < 3 {
			t.Errorf("the store was told %v", again)
		}
		s.take(devicemgr.Key{Tenant: "t", Device: "bad"})
		time.Sleep(2 * willsAgain)
		synctest.Wait()
		if _, unsaved := s.counts(); unsaved != 0 {
			t.Errorf("%d are unsaved", unsaved)
		}
	})
}

// A Will whose worker panicked is published later, or is not where its device is back before.
func TestWills_Panic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		devices, err := devicemgr.New[link](devicemgr.Config{})
		if err != nil {
			t.Fatal(err)
		}
		g := &Gateway{logger: zap.NewNop(), devices: devices}
		g.memory.budget = bytebuf.NewBudget(1<<20, func() {})
		tries := make(chan string, 10)
		g.wills = newWills(nil, func(w *will) bool {
			if tries <- w.of.Device; len(tries) > 2 {
				g.wills.over(w)
				return true
			}
			b := g.errand(w.key(), &publishing{g: g, will: w})
			g.panicked(b, "injected", nil)
			return true
		}, zap.NewNop())
		g.wills.hold(of("a", time.Second))
		g.wills.hold(of("b", 2*time.Second))
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if !g.wills.take(devicemgr.Key{Tenant: "t", Device: "b"}) {
			t.Error("the Will of b does not wait")
		}
		time.Sleep(2 * willsLater)
		synctest.Wait()
		close(tries)
		var all []string
		for device := range tries {
			all = append(all, device)
		}
		if waiting, _ := g.wills.counts(); waiting != 0 || fmt.Sprint(all) != "[a b a]" {
			t.Errorf("published %v, %d wait", all, waiting)
		}
	})
}

// However often clients come and go, the store writes five times a second at most.
func TestWills_WritesApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &shelf{kept: map[string]backbone.Will{}}
		s, _ := keep(t, store)
		for i := range 100 {
			s.hold(of(fmt.Sprint(i), time.Hour))
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(2 * willsApart)
		synctest.Wait()
		if _, unsaved := s.counts(); unsaved != 0 || store.calls > 8 {
			t.Errorf("after 1.4 s %d are unsaved, with %d writes", unsaved, store.calls)
		}
	})
}

// A store that is away is told later. What it has at the next start waits for its whole delay
// again, and a device that comes then takes it out.
func TestWills_Restart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &shelf{kept: map[string]backbone.Will{}, fails: 2}
		first, _ := keep(t, store)
		first.hold(of("a", 10*time.Second))
		first.hold(of("b", 10*time.Second))
		time.Sleep(9 * time.Second)
		if !store.has("a") || !store.has("b") {
			t.Fatalf("the store has %v", store.kept)
		}
		first.stop() // as when the node ends

		second, published := keep(t, store)
		if err := second.load(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		if !second.take(devicemgr.Key{Tenant: "t", Device: "b"}) {
			t.Error("the Will of b is not there after a restart")
		}
		if got := <-published; got != "a 10s" {
			t.Errorf("published %s, want a 10s", got)
		}
		time.Sleep(2 * willsApart)
		synctest.Wait()
		if len(store.kept)+len(published) != 0 {
			t.Errorf("the store still has %v, %d more were published", store.kept, len(published))
		}
	})
}

// No more wait than may, by count and by bytes, of the node and of each tenant; a Will in the place
// of an older one always may, and room that is free again is used again.
func TestWills_Bounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := keep(t, &shelf{kept: map[string]backbone.Will{}})
		hold := func(tenant int, device string) bool {
			w := of(fmt.Sprint(tenant, "-", device), time.Hour)
			w.Tenant = fmt.Sprint(tenant)
			return s.hold(w) != nil
		}
		for tenant := range willsShare {
			for i := range willsMost / willsShare {
				if !hold(tenant, fmt.Sprint(i)) {
					t.Fatalf("no room for Will %d of tenant %d", i, tenant)
				}
			}
			if hold(tenant, "more") {
				t.Errorf("one too many of tenant %d waits", tenant)
			}
			if !hold(tenant, "0") {
				t.Error("no room in the place of an older one")
			}
		}
		if hold(willsShare, "a") {
			t.Error("one too many waits on the node")
		}
		if !s.take(devicemgr.Key{Tenant: "0", Device: "0-0"}) || hold(1, "more") || !hold(0, "more") {
			t.Error("the room of one that is back is not its tenant's")
		}
		large, _ := keep(t, &shelf{kept: map[string]backbone.Will{}})
		big := of("", time.Hour)
		big.Payload = make([]byte, willBytesMost/willsShare/2-len(big.Topic))
		for tenant := range willsShare + 1 {
			for i := range 3 {
				big.Tenant, big.Device = fmt.Sprint(tenant), fmt.Sprint(tenant, "-", i)
				if got := large.hold(big) != nil; got != (i < 2 && tenant < willsShare) {
					t.Errorf("Will %d of half of the share of tenant %d: %v", i, tenant, got)
				}
			}
		}
	})
}
