package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const patience = time.Minute

// running is a node in this process, stopped by a signal to it.
type running struct {
	dir   string
	ended chan int
	errs  *lockedBuffer
}

// serve starts a node and waits until it has written down its addresses.
func serve(t *testing.T, args ...string) *running {
	t.Helper()
	r := begin(t, args...)
	r.await(t, "node.json", true)
	return r
}

// begin is serve for a node that may take long to start, or never does.
func begin(t *testing.T, args ...string) *running {
	t.Helper()
	r := &running{dir: filepath.Join(t.TempDir(), "data"), ended: make(chan int, 1), errs: &lockedBuffer{}}
	args = append([]string{"serve", "--data-dir", r.dir, "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0", "--drain-window=50ms"}, args...)
	go func() { r.ended <- run(args, r.errs, r.errs) }()
	return r
}

// await polls for a file of the data directory to be there, or not.
func (r *running) await(t *testing.T, name string, there bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := os.Stat(filepath.Join(r.dir, name)); (err == nil) == there {
			return
		}
		select {
		case code := <-r.ended:
			t.Fatalf("the node ended with %d: %s", code, r.errs)
		case <-deadline.C:
			t.Fatalf("waited too long for %s: %s", name, r.errs)
		case <-tick.C:
		}
	}
}

// stop signals the node and wants its exit code.
func (r *running) stop(t *testing.T, want int) {
	t.Helper()
	if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := <-r.ended; code != want {
		t.Errorf("exit code %d, want %d: %s", code, want, r.errs)
	}
}

// TestServe_Life: a node is found by the tools through its data directory while
// it runs, says so when it does not, and leaves nothing behind that would have
// them look for it.
func TestServe_Life(t *testing.T) {
	r := serve(t)
	data := "--data-dir=" + r.dir
	for _, c := range []struct {
		args []string
		code int
		say  string
	}{
		{[]string{"devices", data}, exitOK, "TENANT"},
		{[]string{"send", "ping", "--device=nobody", data}, exitFail, "not known"},
		{[]string{"kick", "--device=nobody", data}, exitFail, "not known"},
		{[]string{"send", "ping", "--device=nobody", "--ttl=1m", data}, exitOK, `"left"`},
		{[]string{"send", strings.Repeat("x", 200), "--device=nobody", data}, exitFail, "name"},
		{[]string{"kick", "--device=nobody", "--code=1005", data}, exitFail, "code"},
		{[]string{"devices", data, "--admin-token-file=" + put(t, "token", "0123456789abcdef0123456789")}, exitFail, "admin token"},
	} {
		code, out, errs := tool(c.args...)
		if code != c.code || !strings.Contains(out+errs, c.say) || strings.Count(errs, "\n") > 1 {
			t.Errorf("%q: exit code %d, %q, %q; want %d and %q", c.args, code, out, errs, c.code, c.say)
		}
	}
	r.stop(t, exitOK)
	r.await(t, "node.json", false)
	code, _, errs := tool("devices", data, "--admin-url=http://127.0.0.1:1")
	if code != exitFail || !strings.Contains(errs, "no node answers at http://127.0.0.1:1") || strings.Count(errs, "\n") != 1 {
		t.Errorf("exit code %d, %q", code, errs)
	}
	code, _, errs = tool("devices", "--data-dir="+filepath.Join(r.dir, "none"))
	if code != exitFail || !strings.Contains(errs, "--data-dir") || strings.Count(errs, "\n") != 1 {
		t.Errorf("exit code %d, %q", code, errs)
	}
}

// TestServe_PortTaken: what only shows when it is tried is a failure.
func TestServe_PortTaken(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for _, flag := range []string{"--listen=", "--admin-listen="} {
		args := []string{"serve", "--data-dir=" + t.TempDir(), "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0", flag + ln.Addr().String()}
		if code, _, errs := tool(args...); code != exitFail || !strings.Contains(errs, "address already in use") {
			t.Errorf("%s: exit code %d, %q", flag, code, errs)
		}
	}
}

// TestServe_DrainByAPI: a drain that was asked for is not cut short by the
// signal that ends the node after it.
func TestServe_DrainByAPI(t *testing.T) {
	r := serve(t)
	c, err := remote{DataDir: r.dir}.client()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Drain(t.Context(), time.Second); err != nil {
		t.Fatal(err)
	}
	r.stop(t, exitOK)
}

// TestServe_Listeners: --listen may be given several times, and every address is
// written down and served.
func TestServe_Listeners(t *testing.T) {
	r := serve(t, "--listen=127.0.0.2:0", "--auth=none")
	b, err := os.ReadFile(addressFile(r.dir))
	if err != nil {
		t.Fatal(err)
	}
	var a addresses
	if err := json.Unmarshal(b, &a); err != nil || len(a.Listeners) != 2 || a.Listeners[0] != a.Listen || a.Listeners[0] == a.Listeners[1] {
		t.Fatalf("%s holds %s: %v", addressFile(r.dir), b, err)
	}
	for _, addr := range a.Listeners {
		conn, err := net.DialTimeout("tcp", addr, patience)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "GET /v1/device?device=d HTTP/1.1\r\nHost: node\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
			"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
		if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(line, "101") {
			t.Errorf("%s answers %q, %v", addr, line, err)
		}
	}
	r.stop(t, exitOK)
}

// TestServe_MQTTListen: the address for MQTT is written down too, and answers CONNECT.
func TestServe_MQTTListen(t *testing.T) {
	r := serve(t, "--mqtt-listen=127.0.0.2:0", "--auth=none")
	b, err := os.ReadFile(addressFile(r.dir))
	if err != nil {
		t.Fatal(err)
	}
	var a addresses
	if err := json.Unmarshal(b, &a); err != nil || len(a.Listeners) != 2 || a.MQTT != a.Listeners[1] {
		t.Fatalf("%s holds %s: %v", addressFile(r.dir), b, err)
	}
	conn, err := net.DialTimeout("tcp", a.MQTT, patience)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01d")
	var ack [4]byte
	if _, err := io.ReadFull(conn, ack[:]); err != nil || ack != [4]byte{0x20, 2, 0, 0} {
		t.Errorf("CONNECT is answered with % x, %v", ack, err)
	}
	r.stop(t, exitOK)
}

// TestServe_Address: the address file is what tools in other languages read.
func TestServe_Address(t *testing.T) {
	r := serve(t)
	b, err := os.ReadFile(addressFile(r.dir))
	if err != nil {
		t.Fatal(err)
	}
	var a addresses
	if err := json.Unmarshal(b, &a); err != nil || a.PID != os.Getpid() || a.Listen == "" || a.Admin == "" {
		t.Errorf("%s holds %s: %v", addressFile(r.dir), b, err)
	}
	r.stop(t, exitOK)
}
