package redis_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"edgeloop/intake"
	"edgeloop/internal/testkit"
	"edgeloop/sink/keys"
	"edgeloop/sink/redis"
	"edgeloop/sink/sinktest"
)

// shop takes commands, when it is open.
type shop struct {
	mu     sync.Mutex
	closed bool
	got    []string
}

func (s *shop) store(_ context.Context, c intake.Command) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errors.New("full")
	}
	s.got = append(s.got, fmt.Sprint(c.Tenant, " ", c.Device, " ", c.Name, " ", string(c.Data), " ", c.TTL))
	return nil
}

func (s *shop) is(closed bool) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = closed
	return slices.Clone(s.got)
}

// waits for the commands, each of which may come again: a store or an acknowledgement cut short
// leaves the other side in doubt.
func (s *shop) waits(t *testing.T, want ...string) {
	t.Helper()
	firsts := func() []string { return sinktest.Firsts(s.is(false)) }
	testkit.Eventually(t, patience, "the commands to be stored", func() bool { return len(firsts()) >= len(want) })
	if got := firsts(); !slices.Equal(got, want) {
		t.Errorf("stored are %q\nwant %q", got, want)
	}
}

// source takes commands from the server.
func source(t *testing.T, s *shop, values map[string]any, more map[string]any) *intake.Set {
	t.Helper()
	all := map[string]any{"name": "queue", "type": "redis", "address": values["address"], "password_file": values["password_file"], "stream": "cmds"}
	for k, v := range more {
		all[k] = v
	}
	specs, err := intake.Parse([]any{all}, map[string]intake.Kind{"redis": redis.NewSource})
	if err != nil {
		t.Fatal(err)
	}
	set := intake.NewSet(s.store, nil)
	if err := set.Apply(t.Context(), specs); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = set.Stop(context.Background()) }) // it is the end of the test
	testkit.Eventually(t, patience, "the source to be connected", func() bool { return set.Status()[0].Connected })
	return set
}

func (s *server) add(t *testing.T, fields ...string) string {
	t.Helper()
	return s.cli(t, append([]string{"XADD", "cmds", "*"}, fields...)...)
}

// pending is how many entries nobody has acknowledged that took them.
func (s *server) pending(t *testing.T) string {
	t.Helper()
	n, _, _ := strings.Cut(s.cli(t, "XPENDING", "cmds", "edgeloop"), "\n")
	return n
}

func (s *server) allDone(t *testing.T) {
	t.Helper()
	testkit.Eventually(t, patience, "all to be acknowledged", func() bool { return s.pending(t) == "0" })
}

// Entries of a stream become commands, in order, those from before the group was made too;
// what is no command is acknowledged and holds nothing up. While the store is full nothing is
// acknowledged, and nothing behind it taken; a consumer that ended then has its entry again,
// before all others, when it is back, whatever became of the server meanwhile.
func TestRedis_CommandsFromAStream(t *testing.T) {
	r, values := open(t)
	s := &shop{}
	r.add(t, "tenant", "acme", "device", "pump", "name", "start", "data", `{"s":5}`, "ttl", "90s")
	set := source(t, s, values, map[string]any{"ttl": "5m"})
	r.add(t, "device", "pump", "name", "broken", "data", `{"s":`)
	r.add(t, "name", "nobody")
	r.add(t, "device", "pump", "name", "late", "ttl", "7")
	r.add(t, "device", "pump", "name", "stop")
	want := []string{`acme pump start {"s":5} 1m30s`, "default pump stop  5m0s"}
	s.waits(t, want...)
	testkit.Eventually(t, patience, "two to be counted as stored and three as refused", func() bool {
		c := set.Status()[0].Counts // what comes again counts again
		return c.Stored >= 2 && c.Refused >= 3
	})
	r.allDone(t)

	s.is(true)
	for _, name := range []string{"a", "b", "c"} {
		r.add(t, "device", "pump", "name", name)
		want = append(want, "default pump "+name+"  5m0s")
	}
	testkit.Eventually(t, patience, "the full store to be tried", func() bool { return set.Status()[0].Counts.Failed > 1 })
	if got := r.pending(t); got != "1" {
		t.Errorf("of a full store %s entries are taken and not acknowledged, want 1", got)
	}
	if err := set.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := r.pending(t); got != "1" {
		t.Errorf("after its end %s entries are taken and not acknowledged, want 1", got)
	}
	s.is(false)
	set = source(t, s, values, map[string]any{"ttl": "5m"})
	s.waits(t, want...)
	r.allDone(t)

	r.down()
	testkit.Eventually(t, patience, "the source to notice", func() bool { return !set.Status()[0].Connected })
	r.up(t)
	r.add(t, "device", "pump", "name", "d")
	s.waits(t, append(want, "default pump d  5m0s")...)
	r.cli(t, "DEL", "cmds") // its group is gone with it
	r.add(t, "device", "pump", "name", "e")
	s.waits(t, append(want, "default pump d  5m0s", "default pump e  5m0s")...)
	r.allDone(t)
}

// What another consumer took, and did not acknowledge, is taken over when it is idle for long,
// and not before.
func TestRedis_CommandsOfADeadConsumer(t *testing.T) {
	r, values := open(t)
	r.cli(t, "XGROUP", "CREATE", "cmds", "edgeloop", "0", "MKSTREAM")
	var want []string
	var taken string
	for i := range 40 {
		last := r.add(t, "device", "pump", "name", fmt.Sprint("n", i))
		if i == 20 {
			r.cli(t, "XREADGROUP", "GROUP", "edgeloop", "dead", "COUNT", "100", "STREAMS", "cmds", ">")
			taken = last
			continue
		}
		if i < 20 {
			want = append(want, fmt.Sprintf("default pump n%d  1h0m0s", i))
		}
	}
	s := &shop{}
	set := source(t, s, values, nil)
	testkit.Eventually(t, patience, "the new ones to be stored", func() bool { return len(sinktest.Firsts(s.is(false))) == 19 })
	testkit.Eventually(t, patience, "the new ones to be acknowledged", func() bool { return r.pending(t) == "21" })
	if err := set.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.cli(t, "XDEL", "cmds", taken) // somebody took it back
	heir := &shop{}
	source(t, heir, values, map[string]any{"idle": "1s", "consumer": "heir"})
	heir.waits(t, want...)
	r.allDone(t)
}

// What cannot work is refused before anything is asked.
func TestRedis_RefusedKeysOfCommands(t *testing.T) {
	for _, c := range []struct {
		values map[string]any
		say    string
	}{
		{map[string]any{"address": "x"}, "commands.test.address"},
		{map[string]any{"stream": ""}, "commands.test.stream"},
		{map[string]any{"group": ""}, "commands.test.group"},
		{map[string]any{"idle": "1ms"}, "commands.test.idle"},
		{map[string]any{"from": "now"}, "commands.test.from"},
		{map[string]any{"key": "x"}, "commands.test.key"},
	} {
		if c.values["address"] == nil {
			c.values["address"] = "x:1"
		}
		m := keys.New("commands.test", c.values)
		redis.NewSource(m)
		if err := m.Err(); err == nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%v: it says %v", c.values, err)
		}
	}
}
