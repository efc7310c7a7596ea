package e2e_test

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"edgeloop/bench/fault/kafka"
	"edgeloop/internal/testkit"
)

// runPreset runs the shell of a preset, with variables of the environment, as who, nil for who runs
// the test. interrupt is what Ctrl-C does. All that it writes lies in dir.
func runPreset(t *testing.T, name string, who *syscall.Credential, env ...string) (n *node, dir string, interrupt func()) {
	t.Helper()
	dir, err := os.MkdirTemp("", "edgeloop-preset-") // t.TempDir is closed to other users
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // in the system's temporary folder
	n = prepare(t)
	n.dir = filepath.Join(dir, "node")
	err = errors.Join(os.CopyFS(filepath.Join(dir, name), os.DirFS(filepath.Join("../../examples", name))),
		os.Mkdir(filepath.Join(dir, "bin"), 0o755), os.Link(nodeBinary, filepath.Join(dir, "bin", "edgeloop")))
	if err != nil {
		t.Fatal(err)
	}
	if who != nil {
		if err := os.Chown(dir, int(who.Uid), int(who.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	n.cmd = exec.Command("sh", filepath.Join(dir, name, "run.sh"),
		"--listen", n.listen, "--admin-listen", n.admin, "--data-dir", n.dir, "--auth=none", "--drain-window=100ms")
	n.cmd.Env = append(append(os.Environ(), "PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH")+":/usr/sbin", "DATA="+filepath.Join(dir, "data")), env...)
	n.cmd.Dir = dir
	n.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: who}
	n.log, n.exited = &logBuffer{}, make(chan struct{})
	n.cmd.Stdout, n.cmd.Stderr = n.log, n.log
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	group := -n.cmd.Process.Pid
	t.Cleanup(func() { _ = syscall.Kill(group, syscall.SIGKILL) })
	go func() {
		_ = n.cmd.Wait() // the state is read from cmd.ProcessState
		close(n.exited)
	}()
	n.awaitReady()
	return n, dir, func() {
		if err := syscall.Kill(group, syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
	}
}

// portOf is the variable PORT of a preset whose server is to listen at addr.
func portOf(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return "PORT=" + port
}

// ended insists that Ctrl-C ends all that a preset started, in good order.
func (n *node) ended(addr string, interrupt func()) {
	n.t.Helper()
	interrupt()
	if code := n.wait(); code != 0 {
		n.t.Errorf("exit code %d after Ctrl-C, want 0", code)
	}
	testkit.Eventually(n.t, patience, "the server to end", func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
}

const pumpReading = `{"type":"telemetry","seq":1,"topic":"host","data":{"temp":21.5}}`

// The preset of Redis starts one, and a node: what a device sends is in the stream.
func TestPresets_Redis(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"redis-server", "redis-cli"} {
		_, err := exec.LookPath(program)
		need(t, program, err == nil)
	}
	addr := freeAddr(t)
	n, _, interrupt := runPreset(t, "redis", nil, portOf(addr))
	waitListening(t, addr)
	d := upgradeRaw(t, n, "?device=pump-1", "")
	d.say(frame(fin|opText, pumpReading))
	d.wantText("ack")
	_, port, _ := net.SplitHostPort(addr)
	testkit.Eventually(t, patience, "the record to be in the stream", func() bool {
		out, err := exec.Command("redis-cli", "-p", port, "XRANGE", "edgeloop:default", "-", "+").CombinedOutput()
		return err == nil && containsAll(string(out), "position", `"device":"pump-1"`, `"data":{"temp":21.5}`)
	})
	d.Close()
	n.ended(addr, interrupt)
}

// The preset of Mosquitto starts one, and a node: what a device sends arrives there, and what is
// published there reaches the device.
func TestPresets_Mosquitto(t *testing.T) {
	needMosquitto(t)
	addr := freeAddr(t)
	n, _, interrupt := runPreset(t, "mosquitto", nil, portOf(addr))
	waitListening(t, addr)
	watch := []string{"-q", "1", "-c", "-i", "watcher", "-t", "edgeloop/#", "-v"}
	if out, err := mosquitto(t, "mosquitto_sub", addr, append(watch, "-E")...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	d := upgradeRaw(t, n, "?device=pump-1", "")
	d.say(frame(fin|opText, pumpReading))
	d.wantText("ack")
	out, err := mosquitto(t, "mosquitto_sub", addr, append(watch, "-C", "1")...).CombinedOutput()
	if err != nil || !containsAll(string(out), "edgeloop/default/pump-1/telemetry {", `"data":{"temp":21.5}`) {
		t.Fatalf("%v: %s", err, out)
	}
	testkit.Eventually(t, patience, "the node to listen for commands", func() bool {
		return n.metric("edgeloop_intake_connected", `source="broker"`) == 1
	})
	if out, err := mosquitto(t, "mosquitto_pub", addr, "-q", "1", "-t", "cmd/default/pump-1/open", "-m", `{"by":30}`).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if text := d.wantText("command"); !containsAll(text, `"name":"open"`, `"data":{"by":30}`) {
		t.Errorf("the device got %s", text)
	}
	d.Close()
	n.ended(addr, interrupt)
}

// The preset of Kafka goes to the brokers that it is given, and has the topic made: what a device
// sends is in it. The broker is kfake.
func TestPresets_Kafka(t *testing.T) {
	t.Parallel()
	broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.AllowAutoTopicCreation())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	addr := broker.ListenAddrs()[0]
	n, _, interrupt := runPreset(t, "kafka", nil, "BROKERS="+addr)
	d := upgradeRaw(t, n, "?device=pump-1", "")
	d.say(frame(fin|opText, pumpReading))
	d.wantText("ack")
	testkit.Eventually(t, patience, "the record to be confirmed", func() bool { return n.sink()["records"] == 1.0 })
	err = kafka.Read(t.Context(), addr, 1, func(line []byte) error {
		if !containsAll(string(line), `"device":"pump-1"`, `"data":{"temp":21.5}`) {
			t.Errorf("the topic has %s", line)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	d.Close()
	interrupt()
	if code := n.wait(); code != 0 {
		t.Errorf("exit code %d after Ctrl-C, want 0", code)
	}
}

// The preset of PostgreSQL starts one, with a database, and a node: what a device sends is in the
// table, and what a Grafana is told leads there.
func TestPresets_Postgres(t *testing.T) {
	t.Parallel()
	needed := testkit.PostgresBin(t)
	addr := freeAddr(t)
	n, dir, interrupt := runPreset(t, "postgres", testkit.NotRoot(), portOf(addr), "DB_PASSWORD=right")
	t.Cleanup(func() { // if the shell did not come to it
		stop := exec.Command(filepath.Join(needed, "pg_ctl"), "-D", filepath.Join(dir, "data", "db"), "-m", "immediate", "stop")
		stop.SysProcAttr = &syscall.SysProcAttr{Credential: testkit.NotRoot()}
		_ = stop.Run() // it fails where nothing runs, as it should be
	})
	d := upgradeRaw(t, n, "?device=pump-1", "")
	d.say(frame(fin|opText, pumpReading))
	d.wantText("ack")
	host, port, _ := net.SplitHostPort(addr)
	testkit.Eventually(t, patience, "the record to be in the table", func() bool {
		ask := exec.Command("psql", "-h", host, "-p", port, "-U", "edge", "-Atc", "SELECT device, data FROM telemetry", "telemetry")
		ask.Env = append(os.Environ(), "PGPASSWORD=right")
		out, err := ask.CombinedOutput()
		return err == nil && strings.HasPrefix(string(out), "pump-1|") && strings.Contains(string(out), "21.5")
	})
	for file, want := range map[string]string{"datasources/edgeloop.yaml": "url: " + addr, "dashboards/edgeloop.yaml": "path: " + filepath.Join(dir, "postgres")} {
		if text, err := os.ReadFile(filepath.Join(dir, "data", "grafana", file)); err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s has no %s: %s %v", file, want, text, err)
		}
	}
	d.Close()
	n.ended(addr, interrupt)
}
