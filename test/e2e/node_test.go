package e2e_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"edgeloop/internal/testkit"
)

// node is one running `edgeloop serve` with a data directory of its own.
type node struct {
	t          *testing.T
	dir        string // --data-dir
	listen     string // host:port for devices
	admin      string // host:port of the admin API
	listenFlag string // default --listen
	flags      []string
	env        []string
	stderr     *os.File   // where its log goes, nil for log
	sockets    []*os.File // that are handed over to it

	cmd    *exec.Cmd
	exited chan struct{} // closed when cmd has been waited for
	log    *logBuffer

	mu  sync.Mutex
	raw []net.Conn // devices of upgradeRaw; guarded by mu
}

// start runs a node with these further flags and waits until it is ready.
func start(t *testing.T, flags ...string) *node {
	t.Helper()
	n := prepare(t, flags...)
	n.boot()
	return n
}

// prepare makes a node that is not running yet.
func prepare(t *testing.T, flags ...string) *node {
	t.Helper()
	n := &node{t: t, dir: filepath.Join(t.TempDir(), "data"), listen: freeAddr(t), admin: freeAddr(t), flags: flags}
	t.Cleanup(n.end)
	return n
}

// boot starts the process and waits for /readyz. After kill or an exit it may
// be called again: same addresses, same data.
func (n *node) boot() {
	n.t.Helper()
	n.spawn()
	n.awaitReady()
}

func (n *node) awaitReady() {
	n.t.Helper()
	testkit.Eventually(n.t, patience, "the node to be ready", func() bool {
		select {
		case <-n.exited:
			n.t.Fatalf("the node ended before it was ready: %v\n%s", n.cmd.ProcessState, n.log)
		default:
		}
		resp, err := http.Get("http://" + n.admin + "/readyz")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// spawn starts the process and waits for nothing.
func (n *node) spawn() {
	n.t.Helper()
	args := append([]string{
		"serve", cmp.Or(n.listenFlag, "--listen"), n.listen, "--admin-listen", n.admin, "--data-dir", n.dir,
		"--drain-window=100ms", // the default of 10s is for the devices of the world; a flag behind this one wins
		// Raw devices answer no ping, and a machine that stands still is no device that is silent.
		"--idle-timeout=10m", "--handshake-timeout=40s",
	}, n.flags...)
	n.cmd = exec.Command(nodeBinary, args...)
	if n.sockets != nil { // as a service manager hands them over
		n.cmd = exec.Command("sh", append([]string{"-c", `LISTEN_PID=$$ exec "$@"`, "sh", nodeBinary}, args...)...)
		n.cmd.ExtraFiles = n.sockets
	}
	n.cmd.Env = append(os.Environ(), n.env...)
	n.log = &logBuffer{}
	n.cmd.Stdout, n.cmd.Stderr = n.log, n.log
	if n.stderr != nil {
		n.cmd.Stderr = n.stderr
	}
	if err := n.cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	exited := make(chan struct{})
	n.exited = exited
	cmd := n.cmd
	go func() {
		_ = cmd.Wait() // the state is read from cmd.ProcessState
		close(exited)
	}()
}

// signal sends sig to the process.
func (n *node) signal(sig os.Signal) {
	n.t.Helper()
	if err := n.cmd.Process.Signal(sig); err != nil {
		n.t.Fatal(err)
	}
}

// kill ends the process as a power cut would, as far as a process can tell.
func (n *node) kill() {
	n.t.Helper()
	n.signal(syscall.SIGKILL)
	n.wait()
}

// wait returns the exit code; -1 after a signal.
func (n *node) wait() int {
	n.t.Helper()
	deadline := time.NewTimer(2 * patience)
	defer deadline.Stop()
	select {
	case <-n.exited:
		return n.cmd.ProcessState.ExitCode()
	case <-deadline.C:
		n.t.Fatalf("the node still runs %s after it should have ended\n%s", 2*patience, n.log)
		return -1
	}
}

// stop ends the node in good order and insists on exit code 0. Raw devices hang up: nobody
// reads for them any more, and the node waits ten seconds for their Close.
func (n *node) stop() {
	n.t.Helper()
	n.signal(syscall.SIGTERM)
	n.mu.Lock()
	for _, c := range n.raw {
		_ = c.Close() // the test may have closed it
	}
	n.raw = nil
	n.mu.Unlock()
	if code := n.wait(); code != 0 {
		n.t.Fatalf("exit code %d after SIGTERM, want 0\n%s", code, n.log)
	}
}

// end is the cleanup: no process stays behind, and a failed story shows the log.
func (n *node) end() {
	if n.cmd == nil {
		return
	}
	select {
	case <-n.exited:
	default:
		_ = n.cmd.Process.Kill() // it may just have ended by itself
		<-n.exited
	}
	log := n.log.String()
	if strings.Contains(log, "DATA RACE") {
		n.t.Errorf("the race detector spoke")
	}
	if n.t.Failed() {
		if len(log) > 20_000 {
			log = "..." + log[len(log)-20_000:]
		}
		n.t.Logf("the node's log:\n%s", log)
	}
}

// url is where devices connect; query may be "" or "?a=b".
func (n *node) url(query string) string { return "ws://" + n.listen + "/v1/device" + query }

// logged waits until the node's log holds all parts. What a node logs comes through a pipe
// and may arrive after what it answers.
func (n *node) logged(parts ...string) {
	n.t.Helper()
	testkit.Eventually(n.t, patience, fmt.Sprintf("the log to hold %q", parts), func() bool {
		return containsAll(n.log.String(), parts...)
	})
}

// run calls the command-line tool and returns what it printed and its exit code.
func (n *node) run(args ...string) (stdout, stderr string, code int) {
	n.t.Helper()
	return runTool(n.t, args...)
}

func runTool(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	testkit.Eventually(t, 3*patience, "the node to be less busy", func() bool {
		stdout, stderr, code = runOnce(t, args...)
		return !spared(stderr)
	})
	return stdout, stderr, code
}

// spared says whether a tool was told to ask again later: where others keep the disk so busy that
// the log waits for it, the node spares itself tails and backups.
func spared(stderr string) bool {
	return strings.Contains(stderr, "says more under load; ask again later")
}

func runOnce(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	within, cancel := context.WithTimeout(t.Context(), 3*patience) // a tool that should have ended
	defer cancel()
	cmd := exec.CommandContext(within, nodeBinary, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	var exit *exec.ExitError
	if err := cmd.Run(); within.Err() != nil || err != nil && !errors.As(err, &exit) {
		t.Fatalf("edgeloop %s: %v\n%s%s", strings.Join(args, " "), err, &out, &errs)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// tool calls the command-line tool on this node's data directory and insists
// on success.
func (n *node) tool(command string, args ...string) string {
	n.t.Helper()
	all := append([]string{command, "--data-dir", n.dir}, args...)
	if command != "token" {
		all = append(all, "--admin-url", "http://"+n.admin)
	}
	out, errs, code := n.run(all...)
	if code != 0 {
		n.t.Fatalf("edgeloop %s: exit code %d\n%s%s", strings.Join(all, " "), code, out, errs)
	}
	return out
}

// token asks the tool for a device's token.
func (n *node) token(device string, flags ...string) string {
	n.t.Helper()
	return strings.TrimSpace(n.tool("token", append([]string{"--device", device}, flags...)...))
}

// record is a line of `edgeloop tail`.
type record struct {
	Tenant, Device string
	Epoch, Seq     uint64
	Type, Topic    string
	TS, Received   int64
	Encoding       string
	Data           json.RawMessage
}

// tail reads the log as it is now, in its order.
func (n *node) tail(flags ...string) []record {
	n.t.Helper()
	out := n.tool("tail", append([]string{"--since", "all", "--no-follow"}, flags...)...)
	var records []record
	for dec := json.NewDecoder(strings.NewReader(out)); ; {
		var r record
		if err := dec.Decode(&r); errors.Is(err, io.EOF) {
			return records
		} else if err != nil {
			n.t.Fatalf("tail printed what is not JSON: %v", err)
		}
		records = append(records, r)
	}
}

// api calls the admin API as the operator. body may be nil.
func (n *node) api(method, path string, body any) (status int, answer map[string]any) {
	n.t.Helper()
	status, text := n.apiRaw(method, path, body)
	if len(bytes.TrimSpace(text)) > 0 {
		if err := json.Unmarshal(text, &answer); err != nil {
			n.t.Fatalf("%s %s: %d, not a JSON object: %s", method, path, status, text)
		}
	}
	return status, answer
}

func (n *node) apiRaw(method, path string, body any) (status int, text []byte) {
	n.t.Helper()
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			n.t.Fatal(err)
		}
		in = bytes.NewReader(b)
	}
	req, err := http.NewRequest(method, "http://"+n.admin+path, in)
	if err != nil {
		n.t.Fatal(err)
	}
	token, err := os.ReadFile(filepath.Join(n.dir, "admin.token"))
	if err != nil {
		n.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		n.t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, err = io.ReadAll(resp.Body); err != nil {
		n.t.Fatal(err)
	}
	return resp.StatusCode, text
}

// freeAddr is an address that nobody else is given, also while a node is down.
func freeAddr(t *testing.T) string {
	t.Helper()
	return testkit.FreeAddr(t)
}

// waitListening waits until somebody accepts connections at addr.
func waitListening(t *testing.T, addr string) {
	t.Helper()
	testkit.Eventually(t, patience, "somebody to listen at "+addr, func() bool {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return false
		}
		c.Close()
		return true
	})
}

// logBuffer keeps what the node prints.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
