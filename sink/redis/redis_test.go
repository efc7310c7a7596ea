package redis_test

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"edgeloop/internal/testkit"
	"edgeloop/sink"
	"edgeloop/sink/keys"
	"edgeloop/sink/redis"
	"edgeloop/sink/sinktest"
)

func TestMain(m *testing.M) { testkit.Leaks(m) }

const patience = time.Minute

// server is a redis-server of its own process, seen by redis-cli.
type server struct {
	addr, dir string
	cmd       *exec.Cmd
	more      []string // arguments
}

func (s *server) up(t *testing.T) {
	t.Helper()
	_, port, _ := net.SplitHostPort(s.addr)
	args := append([]string{"--port", port, "--bind", "127.0.0.1", "--dir", s.dir, "--save", "", "--appendonly", "yes", "--appendfsync", "always", "--requirepass", "right", "--loglevel", "warning"}, s.more...)
	s.cmd = exec.Command("redis-server", args...)
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, patience, "the server to answer", func() bool { return s.cli(t, "PING") == "PONG" })
}

func (s *server) down() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

// cli is what redis-cli says.
func (s *server) cli(t *testing.T, args ...string) string {
	t.Helper()
	_, port, _ := net.SplitHostPort(s.addr)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "redis-cli", append([]string{"-c", "-p", port, "--raw"}, args...)...)
	cmd.Env = append(os.Environ(), "REDISCLI_AUTH=right")
	out, _ := cmd.Output() // of a server that is not up yet there is none
	return strings.TrimSpace(string(out))
}

// received reads the stream of the tenant.
func (s *server) received(t *testing.T) (ids []string) {
	t.Helper()
	return s.stream(t, "edge:default")
}

func (s *server) stream(t *testing.T, key string) (ids []string) {
	t.Helper()
	lines := strings.Split(s.cli(t, "XRANGE", key, "-", "+"), "\n")
	for i, line := range lines {
		if line == "position" {
			ids = append(ids, lines[i+1])
			if !strings.HasSuffix(lines[i+3], `,"position":"`+lines[i+1]+`"}`) {
				t.Errorf("at %s: %s", lines[i+1], lines[i+3])
			}
		}
	}
	return ids
}

func open(t *testing.T) (*server, map[string]any) {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("redis-server is missing: run scripts/setup-test.sh")
		}
		t.Skip("redis-server is missing: run make setup")
	}
	s := &server{addr: testkit.FreeAddr(t), dir: t.TempDir()}
	s.up(t)
	t.Cleanup(s.down)
	password := filepath.Join(t.TempDir(), "password")
	put(t, password, "right")
	return s, map[string]any{"address": s.addr, "password_file": password, "key": "edge:{tenant}"}
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestRedis_IsADestination(t *testing.T) {
	sinktest.Run(t, func(t *testing.T) *sinktest.Harness {
		s, values := open(t)
		values["key"] = "edge:{tenant}:{topic}"
		return &sinktest.Harness{
			New:      func(t *testing.T) sink.Destination { return sinktest.New(t, redis.New, values) },
			Received: func(t *testing.T) []string { return s.stream(t, "edge:default:temp") },
			Down:     func(*testing.T) { s.down() }, Up: s.up,
			Hang: func(t *testing.T) func() {
				testkit.Freeze(t, s.cmd.Process)
				return func() { testkit.Thaw(t, s.cmd.Process) }
			},
			Full: func(t *testing.T, full bool) {
				s.cli(t, "CONFIG", "SET", "maxmemory", map[bool]string{true: "1", false: "0"}[full])
			},
			// What has another type takes no entries.
			Refuse: func(t *testing.T, one, all bool) {
				s.cli(t, "DEL", "edge:default:poison", "edge:default:temp")
				if one {
					s.cli(t, "SET", "edge:default:poison", "text")
				}
				if all {
					s.cli(t, "SET", "edge:default:temp", "text")
				}
			},
			Again: true,
			Credentials: func(t *testing.T, right bool) {
				put(t, values["password_file"].(string), map[bool]string{true: "right", false: "wrong"}[right])
			},
		}
	})
}

// A Redis without memory takes nothing of a batch, and it is of the moment; a key of another
// type refuses its record, and no other one.
func TestRedis_FullAndRefusing(t *testing.T) {
	s, values := open(t)
	values["key"] = "edge:{tenant}:{topic}"
	s.cli(t, "SET", "edge:default:poison", "text")
	d := sinktest.New(t, redis.New, values)
	s.cli(t, "CONFIG", "SET", "maxmemory", "1")
	records := []sink.Record{sinktest.Record(1, "a"), sinktest.Record(2, "poison"), sinktest.Record(3, "a")}
	testkit.Eventually(t, patience, "it to say that there is no memory", func() bool {
		n, err := sinktest.Send(t, d, records)
		var no *sink.Refusal
		if n != 0 || err == nil || errors.As(err, &no) {
			t.Fatalf("without memory %d are confirmed, %v", n, err)
		}
		return strings.Contains(err.Error(), "OOM")
	})
	if got := s.cli(t, "XLEN", "edge:default:a"); got != "0" {
		t.Errorf("without memory it has %s", got)
	}
	s.cli(t, "CONFIG", "SET", "maxmemory", "0")
	if refused := sinktest.Deliver(t, d, records); !slices.Equal(refused, sinktest.IDs(records[1])) {
		t.Errorf("refused %v", refused)
	}
	out := s.cli(t, "XRANGE", "edge:default:a", "-", "+")
	if i, j := strings.Index(out, sinktest.Log+"-1"), strings.LastIndex(out, sinktest.Log+"-3"); i < 0 || j < i {
		t.Errorf("it has %s", out)
	}
}

// Streams are kept to about a length; a listener on a channel hears each record.
func TestRedis_LengthAndChannels(t *testing.T) {
	s, values := open(t)
	values["max_len"] = 100
	if refused := sinktest.Deliver(t, sinktest.New(t, redis.New, values), sinktest.Records(1, 1000)); refused != nil {
		t.Errorf("refused %v", refused)
	}
	if n := len(s.received(t)); n < 100 || n > 300 {
		t.Errorf("the stream has %d", n)
	}
	delete(values, "max_len")
	values["mode"] = "publish"
	_, port, _ := net.SplitHostPort(s.addr)
	listener := exec.Command("redis-cli", "-p", port, "--raw", "SUBSCRIBE", "edge:default")
	listener.Env = append(os.Environ(), "REDISCLI_AUTH=right")
	out := filepath.Join(t.TempDir(), "out")
	f, err := os.Create(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	listener.Stdout = f
	if err := listener.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Process.Kill(); _ = listener.Wait() }()
	testkit.Eventually(t, patience, "somebody to listen", func() bool {
		return strings.HasSuffix(s.cli(t, "PUBSUB", "NUMSUB", "edge:default"), "\n1")
	})
	sinktest.Brings(t, sinktest.New(t, redis.New, values), sinktest.Records(1, 3))
	testkit.Eventually(t, patience, "the listener to hear all", func() bool {
		text, err := os.ReadFile(out)
		return err == nil && strings.Count(string(text), `"position":"`+sinktest.Log) >= 3
	})
}

// What cannot work is refused before anything is sent.
func TestRedis_RefusedKeys(t *testing.T) {
	for _, c := range []struct {
		values map[string]any
		say    []string
	}{
		{map[string]any{}, []string{"sinks.test.address", "missing"}},
		{map[string]any{"address": "redis://x"}, []string{"sinks.test.address", "host:port"}},
		{map[string]any{"address": "x:1", "password": "s3cret"}, []string{"sinks.test.password", "password_file"}},
		{map[string]any{"address": []any{"x:1", "y:1"}}, []string{"sinks.test.address", "sentinel_master"}},
		{map[string]any{"address": "x:1", "cluster": true, "db": 1}, []string{"sinks.test.db", "database 0"}},
		{map[string]any{"address": "x:1", "cluster": true, "sentinel_master": "a"}, []string{"sinks.test.cluster"}},
		{map[string]any{"address": "x:1", "sentinel_user": "a"}, []string{"sinks.test.sentinel_user", "sinks.test.sentinel_master"}},
		{map[string]any{"address": "x:1", "user": "u"}, []string{"sinks.test.user", "password_file"}},
		{map[string]any{"address": "x:1", "key": "a}"}, []string{"sinks.test.key", "}"}},
		{map[string]any{"address": "x:1", "key": "a{dev"}, []string{"sinks.test.key", "{device}"}},
		{map[string]any{"address": "x:1", "mode": "publish", "max_len": 3}, []string{"sinks.test.max_len", "publish"}},
	} {
		m := keys.New("sinks.test", c.values)
		redis.New(m)
		err := m.Err()
		for _, word := range c.say {
			if err == nil || !strings.Contains(err.Error(), word) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%v: it says %v, without %q", c.values, err, word)
			}
		}
	}
}

// With fields, entries have an object of them.
func TestRedis_Fields(t *testing.T) {
	s, values := open(t)
	values["fields"] = sinktest.Fields()
	sinktest.Brings(t, sinktest.New(t, redis.New, values), sinktest.Records(1, 1))
	if got := s.cli(t, "XRANGE", "edge:default", "-", "+"); !strings.HasSuffix(got, "\nrecord\n"+sinktest.FieldsText(1)) {
		t.Errorf("the stream has %s", got)
	}
}
