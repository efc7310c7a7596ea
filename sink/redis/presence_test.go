package redis_test

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"edgeloop/internal/testkit"
	"edgeloop/presence"
	"edgeloop/sink/keys"
	"edgeloop/sink/redis"
)

func board(t *testing.T, values map[string]any, more map[string]any) *presence.Board {
	t.Helper()
	all := map[string]any{"name": "who", "type": "redis", "ttl": "2s", "address": values["address"], "password_file": values["password_file"]}
	for k, v := range more {
		all[k] = v
	}
	specs, err := presence.Parse([]any{all}, map[string]presence.Kind{"redis": redis.NewPresence})
	if err != nil {
		t.Fatal(err)
	}
	b := presence.Start(specs[0], nil)
	t.Cleanup(func() { _ = b.Stop(context.Background()) }) // it is the end of the test
	return b
}

func here(device string, epoch uint64, online bool) presence.State {
	return presence.State{Tenant: "acme", Device: device, Epoch: epoch, Online: online, Node: "n1", At: time.UnixMilli(1795234836000)}
}

// A device has a key with a time to live while it is here, across a Redis that was killed and lost
// all. A key of a later connection, which may be to another node, is left alone; one of another
// type costs no other. Without the node keys end by themselves.
func TestRedis_Presence(t *testing.T) {
	r, values := open(t)
	b := board(t, values, nil)
	get := func(device string) string { return r.cli(t, "GET", "edgeloop:presence:acme:"+device) }
	gets := func(device, want string) {
		t.Helper()
		testkit.Eventually(t, patience, device+" to be "+want, func() bool { return get(device) == want })
	}
	const pump = `{"online":true,"node":"n1","epoch":7,"at":1795234836000}`
	const later = `{"online":true,"node":"n2","epoch":9}`
	r.cli(t, "LPUSH", "edgeloop:presence:acme:list", "x")
	r.cli(t, "SET", "edgeloop:presence:acme:moved", later)
	for _, d := range []string{"list", "moved", "pump", "valve"} {
		b.Tell(here(d, 7, true))
	}
	gets("pump", pump)
	testkit.Eventually(t, patience, "it to have a time to live", func() bool {
		ttl, err := strconv.Atoi(r.cli(t, "PTTL", "edgeloop:presence:acme:pump"))
		return err == nil && ttl > 0 && ttl <= 2000
	})
	b.Tell(here("moved", 8, false))
	b.Tell(here("valve", 7, false))
	gets("valve", "")
	if got := get("moved"); got != later {
		t.Errorf("the key of a later connection is %s", got)
	}
	testkit.Eventually(t, patience, "a key of another type to be counted", func() bool { return b.Status().Counts.Refused > 0 })
	if s := b.Status(); s.Counts.Failures != 0 {
		t.Errorf("with a key of another type it says %+v", s)
	}
	r.down()
	testkit.Eventually(t, patience, "the board to notice", func() bool { return !b.Status().Connected })
	b.Tell(here("new", 8, true))
	r.up(t)
	r.cli(t, "FLUSHALL")
	gets("pump", pump)
	gets("new", strings.Replace(pump, ":7", ":8", 1))
	if err := b.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	gets("pump", "")
}

// With offline: set who went has a key that says so, and ends too.
func TestRedis_PresenceOffline(t *testing.T) {
	r, values := open(t)
	b := board(t, values, map[string]any{"offline": "set", "key": "who/{tenant}/{device}", "ttl": "1m"})
	b.Tell(here("pump", 7, true))
	b.Tell(here("pump", 7, false))
	testkit.Eventually(t, patience, "it to be said that it went", func() bool {
		return r.cli(t, "GET", "who/acme/pump") == `{"online":false,"node":"n1","epoch":7,"at":1795234836000}`
	})
	if ttl, err := strconv.Atoi(r.cli(t, "TTL", "who/acme/pump")); err != nil || ttl <= 0 || ttl > 60 {
		t.Errorf("its time to live is %d s, %v", ttl, err)
	}
}

// What cannot work is refused before anything is asked.
func TestRedis_RefusedKeysOfPresence(t *testing.T) {
	for say, values := range map[string]map[string]any{
		"presence.test.address": {},
		"{device}":              {"address": "x:1", "key": "a:{tenant}"},
		"{tenant}":              {"address": "x:1", "key": "a:{device}"},
		"of records":            {"address": "x:1", "key": "{tenant}:{device}:{topic}"},
		"presence.test.offline": {"address": "x:1", "offline": "no"},
	} {
		m := keys.New("presence.test", values)
		redis.NewPresence(m, time.Minute)
		if err := m.Err(); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%v: it says %v, without %q", values, err, say)
		}
	}
}
