package redis_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"edgeloop/internal/testkit"
	"edgeloop/sink/redis"
	"edgeloop/sink/sinktest"
)

// sentinel watches a server, as "edge", and makes its replica the master when it is gone.
func sentinel(t *testing.T, master *server) *server {
	t.Helper()
	host, port, _ := net.SplitHostPort(master.addr)
	s := free(t)
	conf := filepath.Join(s.dir, "sentinel.conf")
	put(t, conf, fmt.Sprintf("sentinel monitor edge %s %s 1\nsentinel auth-pass edge right\nsentinel down-after-milliseconds edge 60000\nsentinel failover-timeout edge 2000\nrequirepass watch\n", host, port))
	_, own, _ := net.SplitHostPort(s.addr)
	s.cmd = exec.Command("redis-server", conf, "--sentinel", "--port", own, "--bind", "127.0.0.1", "--dir", s.dir)
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.down)
	return s
}

// free is a server that is not up yet.
func free(t *testing.T) *server {
	t.Helper()
	return &server{addr: testkit.FreeAddr(t), dir: t.TempDir()}
}

// asks is what redis-cli says of a sentinel.
func (s *server) asks(t *testing.T, args ...string) string {
	t.Helper()
	_, port, _ := net.SplitHostPort(s.addr)
	cmd := exec.CommandContext(t.Context(), "redis-cli", append([]string{"-p", port, "--raw"}, args...)...)
	cmd.Env = append(os.Environ(), "REDISCLI_AUTH=watch")
	out, _ := cmd.Output() // of one that is not up yet there is none
	return strings.TrimSpace(string(out))
}

// Sentinels say which server is the master; when it is killed, records go on to its replica, in
// order.
func TestRedis_Sentinel(t *testing.T) {
	master, values := open(t)
	replica := free(t)
	replica.up(t)
	t.Cleanup(replica.down)
	host, port, _ := net.SplitHostPort(master.addr)
	replica.cli(t, "CONFIG", "SET", "masterauth", "right")
	master.cli(t, "CONFIG", "SET", "repl-diskless-sync-delay", "0") // it waits for more replicas
	replica.cli(t, "REPLICAOF", host, port)
	master.cli(t, "CONFIG", "SET", "masterauth", "right")
	testkit.Eventually(t, patience, "the replica to follow", func() bool {
		return strings.Contains(replica.cli(t, "INFO", "replication"), "master_link_status:up")
	})
	s := sentinel(t, master)
	testkit.Eventually(t, patience, "the sentinel to know the replica", func() bool {
		return strings.Contains(s.asks(t, "SENTINEL", "MASTER", "edge"), "num-slaves\n1")
	})
	watch := filepath.Join(t.TempDir(), "watch")
	put(t, watch, "watch")
	values["address"], values["sentinel_master"], values["sentinel_password_file"] = []any{"127.0.0.1:1", s.addr}, "edge", watch
	d := sinktest.New(t, redis.New, values)
	sinktest.Brings(t, d, sinktest.Records(1, 9))
	testkit.Eventually(t, patience, "the replica to have them", func() bool { return len(sinktest.Firsts(replica.received(t))) == 9 })
	testkit.Eventually(t, patience, "the sentinel to be in a hurry", func() bool { // before, a busy machine would pass for a dead one
		return s.asks(t, "SENTINEL", "SET", "edge", "down-after-milliseconds", "300") == "OK"
	})
	master.down()
	if refused := sinktest.Deliver(t, d, sinktest.Records(10, 20)); refused != nil {
		t.Errorf("refused %v", refused)
	}
	if got := sinktest.Firsts(replica.received(t)); !slices.Equal(got, sinktest.IDs(sinktest.Records(1, 20)...)) {
		t.Errorf("the replica has %v", got)
	}
}

// A cluster has keys in many slots, at several nodes: each key's records come in order, and one that is refused takes no
// other with it.
func TestRedis_Cluster(t *testing.T) {
	s, values := open(t)
	s.down()
	other := free(t)
	for n, node := range []*server{s, other} {
		_, bus, _ := net.SplitHostPort(free(t).addr)
		node.more = []string{"--cluster-enabled", "yes", "--cluster-port", bus}
		node.up(t)
		t.Cleanup(node.down)
		node.cli(t, "CLUSTER", "ADDSLOTSRANGE", fmt.Sprint(n*8192), fmt.Sprint(n*8192+8191))
		if n == 1 {
			host, port, _ := net.SplitHostPort(other.addr)
			s.cli(t, "CLUSTER", "MEET", host, port, bus)
		}
	}
	for _, node := range []*server{s, other} {
		testkit.Eventually(t, patience, "the nodes to be a cluster", func() bool {
			info := node.cli(t, "CLUSTER", "INFO")
			return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_slots_ok:16384")
		})
	}
	values["cluster"], values["key"] = true, "edge:{device}"
	s.cli(t, "SET", "edge:poison", "text")
	records := sinktest.Records(1, 60)
	records[30].Device = "poison"
	d := sinktest.New(t, redis.New, values)
	if refused := sinktest.Deliver(t, d, records); !slices.Equal(refused, sinktest.IDs(records[30])) {
		t.Errorf("refused %v", refused)
	}
	for device := range 3 {
		name := fmt.Sprint("d", device)
		var want []string
		for i := range records {
			if records[i].Device == name {
				want = append(want, records[i].ID())
			}
		}
		got := s.stream(t, "edge:"+name)
		slices.Sort(got) // what stood behind the refused one came twice
		slices.Sort(want)
		if got = slices.Compact(got); !slices.Equal(got, want) {
			t.Errorf("of %s it has %v\nwant %v", name, got, want)
		}
	}
	shop := &shop{}
	s.add(t, "device", "pump", "name", "start")
	source(t, shop, values, map[string]any{"cluster": true})
	shop.waits(t, "default pump start  1h0m0s")
	b := board(t, values, map[string]any{"cluster": true})
	for n := range 20 {
		b.Tell(here(fmt.Sprint("d", n), 7, true))
	}
	testkit.Eventually(t, patience, "all to have keys", func() bool {
		n := 0
		for _, node := range []*server{s, other} {
			n += len(strings.Fields(node.cli(t, "KEYS", "edgeloop:presence:*")))
		}
		return n == 20
	})
}
