package mqttapi

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// many has so many clients of a tenant look, again and again, until ctx ends. wait waits for them.
func (k *looks) many(ctx context.Context, tenant string, clients int, fn func()) (wait func()) {
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for k.look(ctx, tenant, fn) == nil {
			}
		})
	}
	return all.Wait
}

// However many clients of a tenant look, and however slow that is, another tenant waits for one look of
// theirs at most: not for their rests, nor for who waits of them.
func TestLooks_OthersDoNotWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newLooks()
		ctx, cancel := context.WithCancel(t.Context())
		wait := k.many(ctx, "a", 30, func() { time.Sleep(time.Second) })
		for range 50 {
			time.Sleep(1700 * time.Millisecond)
			began := time.Now()
			if err := k.look(ctx, "b", func() {}); err != nil {
				t.Fatal(err)
			}
			if waited := time.Since(began); waited > time.Second {
				t.Errorf("it waited %s, and a look of the others takes 1s", waited)
			}
		}
		cancel()
		wait()
	})
}

// A tenant costs a quarter of a core, however many clients it has, and all tenants together a core;
// also where clients go when they have looked.
func TestLooks_Rest(t *testing.T) {
	t.Parallel()
	const most, takes = time.Hour, 10 * time.Second
	synctest.Test(t, func(t *testing.T) {
		k := newLooks()
		ctx, cancel := context.WithTimeout(t.Context(), most)
		defer cancel()
		var mu sync.Mutex
		looking, spent := 0, map[string]time.Duration{}
		var all sync.WaitGroup
		for i := range 40 {
			tenant := fmt.Sprint(i % 3)
			all.Go(func() {
				for {
					one, gone := context.WithCancel(ctx)
					err := k.look(one, tenant, func() {
						mu.Lock()
						looking++
						if looking > 1 {
							t.Error("two look at a time")
						}
						mu.Unlock()
						time.Sleep(takes)
						mu.Lock()
						looking--
						spent[tenant] += takes
						mu.Unlock()
						gone()
					})
					if gone(); err != nil {
						return
					}
				}
			})
		}
		all.Wait()
		for tenant, d := range spent {
			if d > most/(1+lookRest)+takes || d < most/7 {
				t.Errorf("tenant %s looked for %s of %s", tenant, d, most)
			}
		}
	})
}

// Whoever stops waiting leaves nothing behind, whatever for, and a tenant that has rested is
// forgotten.
func TestLooks_ComeAndGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newLooks()
		for round := range 20 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(round)*300*time.Millisecond)
			for i := range 10 {
				defer k.many(ctx, fmt.Sprint(round, i), 3, func() { time.Sleep(time.Second) })()
			}
			<-ctx.Done()
			cancel()
			synctest.Wait()
			time.Sleep(time.Minute)
			if err := k.look(t.Context(), fmt.Sprint(round), func() {}); err != nil {
				t.Fatal(err)
			}
			if len(k.tenants) != 1 || len(k.place) != 0 {
				t.Errorf("%d tenants are remembered", len(k.tenants))
			}
		}
	})
}

// A tenant that rests, and has nobody who waits, rests on when another one comes.
func TestLooks_RestOfNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newLooks()
		look := func(tenant string, takes time.Duration) (waited time.Duration) {
			began := time.Now()
			if err := k.look(t.Context(), tenant, func() { waited = time.Since(began); time.Sleep(takes) }); err != nil {
				t.Fatal(err)
			}
			return waited
		}
		look("a", time.Second)
		for i := range 3 {
			look(fmt.Sprint("other", i), 0)
		}
		if waited := look("a", 0); waited != lookRest*time.Second {
			t.Errorf("it rested for %s, want %ds", waited, lookRest)
		}
	})
}
