package e2e_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"edgeloop/internal/testkit"
)

// Every limit is a flag, and each flag's variable is named beside it.
func TestTool_ServeHelp(t *testing.T) {
	t.Parallel()
	out, _, code := runTool(t, "serve", "--help")
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, flag := range []string{
		"listen", "admin-listen", "data-dir", "event-loops", "max-connections", "fd-limit", "fd-reserve", "pool-size",
		"lanes", "lane-depth", "max-message", "window", "heartbeat", "idle-timeout", "handshake-timeout", "out-buffer",
		"compression", "durability", "auth", "nats-url",
	} {
		variable := "$EDGELOOP_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
		if !containsAll(out, flag, variable) {
			t.Errorf("serve --help does not name %s and %s", flag, variable)
		}
	}
}

// `edgeloop tail` goes on with what arrives, until it is interrupted.
func TestTool_TailFollows(t *testing.T) {
	t.Parallel()
	n := start(t)
	d, _ := startClient(t, "python").connect(n, "d1")
	d.send(message{"type": "telemetry", "seq": 1, "data": "before"})
	d.wantAck(1)

	tail := exec.Command(nodeBinary, "tail", "--data-dir", n.dir, "--since", "all", "--device", "d1")
	tail.Stderr = os.Stderr
	stdout, err := tail.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := tail.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 10)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(stdout); s.Scan(); {
			lines <- s.Text()
		}
	}()
	t.Cleanup(func() { _ = tail.Process.Kill() }) // it has ended by itself if all went well
	want := func(data string) {
		t.Helper()
		var r record
		if line := testkit.Receive(t, patience, "a line of tail", lines); json.Unmarshal([]byte(line), &r) != nil || string(r.Data) != data {
			t.Errorf("tail printed %s, want data %s", line, data)
		}
	}
	want(`"before"`)
	d.send(message{"type": "telemetry", "seq": 2, "data": "after"})
	want(`"after"`)
	if err := tail.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	for range lines { // until it has closed its output
	}
	if err := tail.Wait(); err != nil {
		t.Errorf("tail ended with %v after SIGINT", err)
	}
	n.stop()
}

// The tool finds the node by its data directory alone, and says what is wrong
// when there is none.
func TestTool_FindsTheNode(t *testing.T) {
	t.Parallel()
	n := start(t)
	if out, errs, code := runTool(t, "devices", "--data-dir", n.dir); code != 0 {
		t.Errorf("devices: exit code %d %q %q", code, out, errs)
	}
	n.stop()
	if _, errs, code := runTool(t, "devices", "--data-dir", n.dir); code != 1 || errs == "" {
		t.Errorf("devices without a node: exit code %d, %q", code, errs)
	}
	if _, errs, code := runTool(t, "devices", "--data-dir", t.TempDir()); code != 1 || errs == "" {
		t.Errorf("devices without a data directory: exit code %d, %q", code, errs)
	}
}

// The echo server is the event loop and the frames alone.
func TestTool_Echo(t *testing.T) {
	withEachLibrary(t, func(t *testing.T, lib string) {
		addr := freeAddr(t)
		cmd := exec.Command(nodeBinary, "echo", "--listen", addr, "--compression")
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill() }) // it has ended by itself if all went well
		waitListening(t, addr)
		d := startClient(t, lib).dial(order{URL: "ws://" + addr + "/", Compression: true})
		if e := d.want("open"); !containsAll(e.Extensions, "permessage-deflate") {
			t.Errorf("extensions %q", e.Extensions)
		}
		for _, size := range []int{0, 1, 125, 126, 65535, 65536, 300_000} {
			text := strings.Repeat("é", size/2) + strings.Repeat("x", size%2)
			d.sendText(text)
			if e := d.want("text"); e.Data != text {
				t.Errorf("the echo of %d bytes differs", size)
			}
			d.sendBinary([]byte(text))
			d.want("binary")
		}
		d.close()
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("echo ended with %v after SIGTERM", err)
		}
	})
}

// `edgeloop health` is what a container or a script asks: it needs no token, and its
// exit code is the answer.
func TestTool_Health(t *testing.T) {
	t.Parallel()
	n := start(t, "--auth=none", "--drain-window=50ms")
	health := func(flags ...string) (out string, code int) {
		stdout, stderr, code := runTool(t, append([]string{"health", "--timeout=1m"}, flags...)...)
		return stdout + stderr, code
	}
	here := "--data-dir=" + n.dir
	if out, code := health(here); code != 0 || out != "ready\n" {
		t.Errorf("a node that is ready: exit code %d, %q", code, out)
	}
	if status, _ := n.api("POST", "/v1/drain", nil); status != http.StatusAccepted {
		t.Fatalf("drain: status %d", status)
	}
	if out, code := health(here); code != 1 || !containsAll(out, "not ready", "drain") {
		t.Errorf("a node that drains: exit code %d, %q", code, out)
	}
	if out, code := health(here, "--live"); code != 0 || out != "alive\n" {
		t.Errorf("a node that drains, asked whether it lives: exit code %d, %q", code, out)
	}
	url := "--admin-url=http://" + n.admin
	n.stop()
	if out, code := health(url, "--live"); code != 1 || !containsAll(out, "no node answers", n.admin) {
		t.Errorf("no node: exit code %d, %q", code, out)
	}
	if out, code := health("--admin-url=nowhere"); code != 2 || !containsAll(out, "--admin-url=nowhere", "give http://") {
		t.Errorf("no address: exit code %d, %q", code, out)
	}
}
