package intake_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"edgeloop/intake"
	"edgeloop/internal/testkit"
	"edgeloop/sink/keys"
)

func TestMain(m *testing.M) { testkit.Leaks(m) }

// upstream is a source in memory: it sends its messages again, from the first that was not
// acknowledged, each time it is run.
type upstream struct {
	mu     sync.Mutex
	queue  []string // names of commands; "?" is a message that is none
	acked  []string
	breaks int // so many times, Run fails at once
}

func (u *upstream) Run(ctx context.Context, up func(), hand intake.Hand) error {
	u.mu.Lock()
	if u.breaks > 0 {
		u.breaks--
		u.mu.Unlock()
		return errors.New("nobody answers")
	}
	u.mu.Unlock()
	up()
	for {
		u.mu.Lock()
		if len(u.queue) == 0 {
			u.mu.Unlock()
			<-ctx.Done()
			return ctx.Err()
		}
		name := u.queue[0]
		u.mu.Unlock()
		var wrong error
		if name == "?" {
			wrong = intake.Refuse("is none")
		}
		if err := hand(ctx, intake.Command{Tenant: "t", Device: "d", Name: name}, wrong); err != nil {
			return err
		}
		u.mu.Lock()
		u.queue, u.acked = u.queue[1:], append(u.acked, name)
		u.mu.Unlock()
	}
}

func (u *upstream) done() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.acked)
}

// node is a store that can be full.
type node struct {
	mu     sync.Mutex
	full   bool
	stored []string
	ttl    time.Duration
}

func (n *node) store(_ context.Context, c intake.Command) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case c.Name == "never":
		return intake.Refuse("too large")
	case n.full:
		return errors.New("too many commands are waiting")
	}
	n.stored, n.ttl = append(n.stored, c.Name), c.TTL
	return nil
}

func (n *node) is(full bool) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.full = full
	return slices.Clone(n.stored)
}

func run(t *testing.T, n *node, u *upstream) *intake.Set {
	t.Helper()
	specs, err := intake.Parse([]any{map[string]any{"name": "broker", "type": "memory", "ttl": "90s"}},
		map[string]intake.Kind{"memory": func(*keys.Map) intake.Source { return u }})
	if err != nil {
		t.Fatal(err)
	}
	set := intake.NewSet(n.store, nil)
	if err := set.Apply(t.Context(), specs); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = set.Stop(context.Background()) }) // it is the end of the test
	return set
}

// A message is acknowledged when its command is stored, in order, and not while the store is
// full: the source then keeps it, and nothing behind it comes first.
func TestIntake_AcknowledgesWhatIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, u := &node{full: true}, &upstream{queue: []string{"a", "b", "c"}, breaks: 3}
		set := run(t, n, u)
		time.Sleep(10 * time.Minute)
		if got := u.done(); got != nil {
			t.Fatalf("of a full store %v are acknowledged", got)
		}
		if s := set.Status()[0]; !s.Connected || s.Counts.Failed < 10 || s.Counts.Failed > 200 || !strings.Contains(s.LastErr, "waiting") {
			t.Errorf("with a full store it says %+v", s)
		}
		n.is(false)
		time.Sleep(time.Minute)
		if got := u.done(); !slices.Equal(got, []string{"a", "b", "c"}) || !slices.Equal(n.is(false), got) {
			t.Errorf("acknowledged are %v, stored %v", got, n.is(false))
		}
		if n.ttl != 90*time.Second {
			t.Errorf("they wait %s", n.ttl)
		}
		if err := set.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// What is no command, and what the node will never take, is counted and acknowledged, and
// holds nothing up.
func TestIntake_RefusesForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, u := &node{}, &upstream{queue: []string{"?", "a", "never", "b"}}
		set := run(t, n, u)
		synctest.Wait()
		if got := u.done(); len(got) != 4 || !slices.Equal(n.is(false), []string{"a", "b"}) {
			t.Errorf("acknowledged are %v, stored %v", got, n.is(false))
		}
		if c := set.Status()[0].Counts; c != (intake.Counts{Stored: 2, Refused: 2}) {
			t.Errorf("it counts %+v", c)
		}
		if err := set.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A source asked to stop leaves what is on its way to be sent again. A change leaves alone what
// did not change.
func TestIntake_StopsAndChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, u := &node{full: true}, &upstream{queue: []string{"a"}}
		set := run(t, n, u)
		synctest.Wait()
		if err := set.Apply(t.Context(), nil); err != nil || len(set.Status()) != 0 {
			t.Errorf("without sources: %v, %v", set.Status(), err)
		}
		n.is(false)
		time.Sleep(time.Hour)
		if got := u.done(); got != nil || n.is(false) != nil {
			t.Errorf("although it has ended, %v are acknowledged", got)
		}
		if err := set.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if err := set.Apply(t.Context(), nil); err == nil {
			t.Error("it begins although it has stopped")
		}
	})
}

// Commands may be JSON as the admin API takes them.
func TestFields(t *testing.T) {
	c, err := intake.Fields([]byte(`{"name":"set","data":{"s":5},"ttl":"90s"}`))
	if err != nil || c.Name != "set" || string(c.Data) != `{"s":5}` || c.TTL != 90*time.Second {
		t.Errorf("%+v, %v", c, err)
	}
	for _, bad := range []string{"", "7", `{"name":7}`, `{"name":"x","ttl":"5"}`, `{"name":"x","ttl":"1ms"}`} {
		var no *intake.Refusal
		if _, err := intake.Fields([]byte(bad)); !errors.As(err, &no) {
			t.Errorf("%s: it says %v", bad, err)
		}
	}
}
