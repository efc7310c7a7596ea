package e2e_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"edgeloop/internal/testkit"
)

// redisServer is a Redis of its own process.
type redisServer struct {
	t    *testing.T
	addr string
}

func startRedis(t *testing.T) redisServer {
	t.Helper()
	for _, program := range []string{"redis-server", "redis-cli"} {
		_, err := exec.LookPath(program)
		need(t, program, err == nil)
	}
	r := redisServer{t, freeAddr(t)}
	host, port, _ := strings.Cut(r.addr, ":")
	cmd := exec.Command("redis-server", "--bind", host, "--port", port, "--dir", t.TempDir(), "--save", "", "--loglevel", "warning")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	testkit.Eventually(t, patience, "Redis to answer", func() bool { return r.says("PING") == "PONG" })
	return r
}

// says is what redis-cli says.
func (r redisServer) says(args ...string) string {
	r.t.Helper()
	host, port, _ := strings.Cut(r.addr, ":")
	out, _ := exec.Command("redis-cli", append([]string{"-h", host, "-p", port, "--raw"}, args...)...).CombinedOutput() //nolint:gosec // a test; of a server that is not up there is an error in it
	return strings.TrimSpace(string(out))
}

// What is added to a stream of Redis reaches the device as a command, also what was added while
// the node was dead, and then nothing waits for an acknowledgement.
func TestRedis_CommandsReachTheDevice(t *testing.T) {
	r := startRedis(t)
	n := start(t, "--auth=none", withSinks(t, `  []
commands:
  - {name: queue, type: redis, address: "`+r.addr+`"}
`))
	testkit.Eventually(t, patience, "the node to listen for commands", func() bool {
		return n.metric("edgeloop_intake_connected", `source="queue"`) == 1
	})
	n.kill()
	add := func(name string) {
		r.says("XADD", "edgeloop:commands", "*", "device", "valve", "name", name, "data", `{"s":5}`)
	}
	add("open")
	n.boot()
	valve := upgradeRaw(t, n, "?device=valve", "")
	for _, name := range []string{"open", "close"} {
		valve.wantNext(name)
		if name == "open" {
			add("close")
		}
	}
	testkit.Eventually(t, patience, "all to be acknowledged", func() bool {
		return strings.HasPrefix(r.says("XPENDING", "edgeloop:commands", "edgeloop"), "0")
	})
	valve.Close()
	n.stop()
}

// A connected device has a key at Redis, and one that went has none; of a node that died keys end by
// themselves. A reload names the list as what it does not change.
func TestRedis_PresenceOfDevices(t *testing.T) {
	r := startRedis(t)
	file := withSinks(t, `  []
presence:
  - {name: who, type: redis, address: "`+r.addr+`", ttl: 2s}
`)
	n := start(t, "--auth=none", "--node=n7", file)
	key := func(device string) string { return r.says("GET", "edgeloop:presence:default:"+device) }
	valve := upgradeRaw(t, n, "?device=valve", "")
	upgradeRaw(t, n, "?device=pump", "")
	for _, device := range []string{"valve", "pump"} {
		testkit.Eventually(t, patience, device+" to have a key", func() bool {
			return containsAll(key(device), `"online":true`, `"node":"n7"`, `"epoch":`)
		})
	}
	valve.Close()
	testkit.Eventually(t, patience, "who went to have no key", func() bool { return key("valve") == "" })
	testkit.Eventually(t, patience, "keys to be set again", func() bool {
		return n.metric("edgeloop_presence_written_states_total", `board="who"`) > 3
	})
	n.kill()
	testkit.Eventually(t, patience, "the keys of a dead node to end", func() bool { return key("pump") == "" })
	n.boot()
	upgradeRaw(t, n, "?device=pump", "")
	testkit.Eventually(t, patience, "it to have a key again", func() bool { return key("pump") != "" })
	path, _ := strings.CutPrefix(file, "--config=")
	if err := os.WriteFile(path, []byte("auth: none\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, out := n.apiRaw("POST", "/v1/reload", nil); status != 200 || !strings.Contains(string(out), `"presence"`) {
		t.Errorf("a reload says %d %s", status, out)
	}
}
