package e2e_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"edgeloop/internal/testkit"
)

// runPreset runs the shell of a preset, which starts a server at addr and a node. interrupt is
// what Ctrl-C does.
func runPreset(t *testing.T, path, addr string) (n *node, interrupt func()) {
	t.Helper()
	bin := t.TempDir()
	if err := os.Symlink(nodeBinary, filepath.Join(bin, "edgeloop")); err != nil {
		t.Fatal(err)
	}
	n = prepare(t)
	_, port, _ := net.SplitHostPort(addr)
	n.cmd = exec.Command("sh", filepath.Join("../../examples", path, "run.sh"),
		"--listen", n.listen, "--admin-listen", n.admin, "--data-dir", n.dir, "--auth=none", "--drain-window=100ms")
	n.cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH")+":/usr/sbin", "PORT="+port, "DATA="+t.TempDir())
	n.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
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
	waitListening(t, addr)
	return n, func() {
		if err := syscall.Kill(group, syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
	}
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
	n, interrupt := runPreset(t, "redis", addr)
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
	n, interrupt := runPreset(t, "mosquitto", addr)
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
