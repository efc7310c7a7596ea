package mqtt_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"edgeloop/intake"
	"edgeloop/internal/testkit"
	"edgeloop/sink/keys"
	"edgeloop/sink/mqtt"
	"edgeloop/sink/sinktest"
)

// publish is a mosquitto_pub.
func (b *mosquitto) publish(t *testing.T, args ...string) {
	t.Helper()
	_, port, _ := net.SplitHostPort(b.addr)
	args = append([]string{"-h", "127.0.0.1", "-p", port, "-V", "5", "-u", "edge", "-P", "right", "-q", "1"}, args...)
	if out, err := exec.Command("mosquitto_pub", args...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// shop takes commands, when it is open.
type shop struct {
	mu     sync.Mutex
	closed bool
	got    []string
	ttl    time.Duration
}

func (s *shop) store(_ context.Context, c intake.Command) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errors.New("full")
	}
	s.got, s.ttl = append(s.got, c.Tenant+" "+c.Device+" "+c.Name+" "+string(bytes.Clone(c.Data))), c.TTL
	return nil
}

func (s *shop) is(closed bool) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = closed
	return slices.Clone(s.got)
}

// last is how long the last one may wait.
func (s *shop) last() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ttl
}

func (b *mosquitto) source(t *testing.T, s *shop, more map[string]any) *intake.Set {
	t.Helper()
	values := map[string]any{"name": "broker", "type": "mqtt", "url": "mqtt://" + b.addr, "user": "edge", "password_file": b.password, "client_id": "commands"}
	for k, v := range more {
		values[k] = v
	}
	specs, err := intake.Parse([]any{values}, map[string]intake.Kind{"mqtt": mqtt.NewSource})
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

// What a broker has becomes commands, in order; what is no command is acknowledged and holds
// nothing up. A session is kept at the broker: what comes while the node is away, or while its
// store is full, comes later, and is acknowledged when it is stored. Retained messages are
// none of it.
func TestMQTT_CommandsFromABroker(t *testing.T) {
	b, s := open(t), &shop{}
	b.publish(t, "-t", "cmd/acme/pump/old", "-m", "1", "-r")
	set := b.source(t, s, nil)
	b.publish(t, "-t", "cmd/acme/pump/start", "-m", `{"s":5}`, "-D", "PUBLISH", "message-expiry-interval", "77")
	s.waits(t, `acme pump start {"s":5}`)
	if got := s.last(); got > 77*time.Second || got < 47*time.Second { // the broker takes off what it waited there
		t.Errorf("it may wait %s", got)
	}
	b.publish(t, "-t", "cmd/acme/pump/broken", "-m", `{"s":`)
	b.publish(t, "-t", "cmd/acme/pump/stop", "-n")
	s.waits(t, `acme pump start {"s":5}`, "acme pump stop ")
	testkit.Eventually(t, patience, "two to be counted as stored and one as refused", func() bool {
		c := set.Status()[0].Counts // what comes again counts again
		return c.Stored >= 2 && c.Refused >= 1
	})

	s.is(true)
	b.publish(t, "-t", "cmd/acme/pump/1", "-m", "1")
	testkit.Eventually(t, patience, "the full store to be tried", func() bool { return set.Status()[0].Counts.Failed > 0 })
	if err := set.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.publish(t, "-t", "cmd/acme/pump/2", "-m", "2")
	b.down() // and the broker too
	b.up(t)
	s.is(false)
	b.source(t, s, nil)
	b.publish(t, "-t", "cmd/acme/pump/3", "-m", "3")
	s.waits(t, `acme pump start {"s":5}`, "acme pump stop ", "acme pump 1 1", "acme pump 2 2", "acme pump 3 3")
}

// Without {name} a message is JSON, as the admin API takes it; without {tenant} the source says
// whose devices they are. The broker may go and come back meanwhile.
func TestMQTT_CommandsAsJSON(t *testing.T) {
	b, s := open(t), &shop{}
	set := b.source(t, s, map[string]any{"topic": "cmd/{device}/do", "tenant": "acme", "ttl": "5m"})
	b.publish(t, "-t", "cmd/d1/do", "-m", `{"name":"set","data":[1]}`)
	s.waits(t, "acme d1 set [1]")
	b.down()
	testkit.Eventually(t, patience, "the source to notice", func() bool { return !set.Status()[0].Connected })
	b.up(t)
	b.publish(t, "-t", "cmd/d2/do", "-m", `{"name":"set"}`)
	s.waits(t, "acme d1 set [1]", "acme d2 set ")
	if got := s.last(); got != 5*time.Minute {
		t.Errorf("it may wait %s", got)
	}
}

// What cannot work is refused before anything is asked.
func TestMQTT_RefusedKeysOfCommands(t *testing.T) {
	for _, c := range []struct {
		values map[string]any
		say    string
	}{
		{map[string]any{"topic": "cmd/{name}"}, "commands.test.topic"},
		{map[string]any{"topic": "cmd/{device}/{device}"}, "twice"},
		{map[string]any{"topic": "cmd/x{device}/{device}"}, "x{device}"},
		{map[string]any{"topic": "#/{device}"}, "commands.test.topic"},
		{map[string]any{"tenant": "a"}, "commands.test.tenant"},
		{map[string]any{"share": "a/b"}, "commands.test.share"},
		{map[string]any{"session_expiry": "1s"}, "commands.test.session_expiry"},
	} {
		c.values["url"] = "mqtt://x"
		m := keys.New("commands.test", c.values)
		mqtt.NewSource(m)
		if err := m.Err(); err == nil || !bytes.Contains([]byte(err.Error()), []byte(c.say)) {
			t.Errorf("%v: it says %v", c.values, err)
		}
	}
}
