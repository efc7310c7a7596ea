package e2e_test

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"edgeloop/internal/testkit"
)

// The example device, a node that is killed under it, and one that goes away in
// good order: the readings of the meantime arrive later, none is missing.
func TestHostagent_OutlivesTheNode(t *testing.T) {
	t.Parallel()
	bin := filepath.Join(t.TempDir(), "hostagent")
	if out, err := exec.Command("go", "build", "-o", bin, "edgeloop/examples/hostagent").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	n := start(t, "--retry-after=1s", "--drain-window=100ms")
	agent := exec.Command(bin)
	agent.Env = append(os.Environ(), "HOSTAGENT_URL="+n.url(""), "HOSTAGENT_TOKEN="+n.token("host"))
	log := &logBuffer{}
	agent.Stdout, agent.Stderr = log, log
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = agent.Process.Kill() // it has ended by itself if all went well
		_ = agent.Wait()         // killed: its exit says nothing
		if t.Failed() {
			t.Logf("the device's log:\n%s", log)
		}
	})
	waitRecords := func(count int) {
		t.Helper()
		testkit.Eventually(t, 2*patience, "more readings", func() bool { return len(n.tail()) >= count })
	}

	waitRecords(2)
	status, body := n.api(http.MethodPost, "/v1/devices/default/host/commands?wait=1m", map[string]any{"name": "set-interval", "data": map[string]any{"s": 0.1}})
	if status != http.StatusOK || body["ok"] != true {
		t.Fatalf("set-interval: %d %v", status, body)
	}
	if status, body = n.api(http.MethodPost, "/v1/devices/default/host/commands?wait=1m", map[string]any{"name": "ping"}); status != http.StatusOK || body["data"] != "pong" {
		t.Errorf("ping: %d %v", status, body)
	}
	waitRecords(12)
	n.kill()
	n.boot()
	waitRecords(24)
	n.stop()
	n.boot()
	waitRecords(36)

	var before int64
	for i, r := range n.tail() {
		if r.Seq != uint64(i)+1 || r.TS < before { // two may be of one millisecond where the machine stood still
			t.Errorf("record %d has sequence %d, ts %d after %d", i, r.Seq, r.TS, before)
		}
		before = r.TS
		var reading map[string]float64
		if err := json.Unmarshal(r.Data, &reading); err != nil || reading["mem_free_pct"] <= 0 || reading["disk_free_pct"] <= 0 {
			t.Errorf("record %d says %s: %v", i, r.Data, err)
		}
	}
	if err := agent.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := agent.Wait(); err != nil {
		t.Errorf("the device ended with %v", err)
	}
	n.stop()
}

// What a newcomer does first. `make run` starts both, readings arrive, and one
// signal stops both.
func TestMakeRun(t *testing.T) {
	t.Parallel()
	_, err := exec.LookPath("make")
	need(t, "make", err == nil)
	n := prepare(t) // for its addresses; the process is the script's
	top, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	script := exec.Command(filepath.Join(top, "scripts", "run.sh"))
	script.Env = append(os.Environ(), "DATA_DIR="+n.dir, "LISTEN="+n.listen, "ADMIN="+n.admin)
	log := &logBuffer{}
	script.Stdout, script.Stderr = log, log
	if err := script.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- script.Wait() }()
	t.Cleanup(func() {
		_ = script.Process.Signal(syscall.SIGTERM) // its trap stops what it started
		if t.Failed() {
			t.Logf("make run printed:\n%s", log)
		}
	})
	testkit.Eventually(t, 4*patience, "make run to say what to try", func() bool {
		return containsAll(log.String(), "ws://"+n.listen+"/v1/device", "edgeloop tail", "curl", "Ctrl-C")
	})
	testkit.Eventually(t, patience, "readings to arrive", func() bool { return len(n.tail("--device", "hostagent")) >= 2 })
	if err := script.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := testkit.Receive(t, patience, "make run to end", ended); err != nil {
		t.Errorf("make run ended with %v", err)
	}
	for _, addr := range []string{n.listen, n.admin} {
		if resp, err := http.Get("http://" + addr + "/healthz"); err == nil {
			resp.Body.Close()
			t.Errorf("somebody still listens at %s", addr)
		}
	}
}
