package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"edgeloop/bench/fault/faults"
	"edgeloop/internal/pause"
)

// Node is one `edgeloop serve`: a directory, two addresses, and at most one
// process at a time. One goroutine uses it, except for Alive and PID.
type Node struct {
	// Immutable after construction.
	Binary string   // the edgeloop program
	Dir    string   // --data-dir
	Listen string   // host:port for devices
	Admin  string   // host:port of the admin API
	Flags  []string // further flags of serve
	Wrap   []string // command that execs the node, such as prlimit or ip netns exec
	Net    *faults.Namespace
	Log    string   // file that takes what the node prints
	Output *os.File // takes it in place of Log; nil: Log does

	Patience time.Duration // how long it may take to be ready; 0: bootPatience

	// Owned by the run's goroutine.
	cmd    *exec.Cmd
	exited chan struct{} // closed once cmd has been waited for
	starts int
}

// bootPatience is how long a node may take to be ready: it has to read a torn log of millions of
// records once.
const bootPatience = 90 * time.Second

// ErrEnded says that the node ended by itself.
var ErrEnded = errors.New("fault: the node ended by itself")

// Start starts the process and does not wait for it.
func (n *Node) Start() error {
	args := append([]string{n.Binary, "serve", "--listen", n.Listen, "--admin-listen", n.Admin, "--data-dir", n.Dir}, n.Flags...)
	args = append(append([]string(nil), n.Wrap...), args...)
	log, err := os.OpenFile(n.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	n.starts++
	fmt.Fprintf(log, "--- start %d\n", n.starts)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	if n.Output != nil {
		cmd.Stdout, cmd.Stderr = n.Output, n.Output
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the node: %w", err)
	}
	exited := make(chan struct{})
	n.cmd, n.exited = cmd, exited
	go func() {
		_ = cmd.Wait() // the state is read from cmd.ProcessState
		close(exited)
	}()
	return nil
}

// Ready waits until the node says that it is ready.
func (n *Node) Ready(ctx context.Context) error {
	patience := n.Patience
	if patience == 0 {
		patience = bootPatience
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		if !n.Alive() {
			return fmt.Errorf("%w before it was ready: %v\n%s", ErrEnded, n.cmd.ProcessState, n.LogTail(2000))
		}
		if status, _, err := n.Call(ctx, "GET", "/readyz", nil); err == nil && status == 200 {
			return nil
		}
		if err := pause.For(ctx, 10*time.Millisecond); err != nil {
			return fmt.Errorf("the node is not ready: %w\n%s", err, n.LogTail(2000))
		}
	}
}

// Boot starts the process and waits until it is ready.
func (n *Node) Boot(ctx context.Context) error {
	if err := n.Start(); err != nil {
		return err
	}
	return n.Ready(ctx)
}

// Alive says whether the process runs.
func (n *Node) Alive() bool {
	if n.cmd == nil {
		return false
	}
	select {
	case <-n.exited:
		return false
	default:
		return true
	}
}

// PID of the process; wrappers exec, so it is the node's own.
func (n *Node) PID() int { return n.cmd.Process.Pid }

// State says how the process ended, for people.
func (n *Node) State() string { return n.cmd.ProcessState.String() }

// Signal sends sig, if the process still runs.
func (n *Node) Signal(sig syscall.Signal) {
	if n.Alive() {
		_ = n.cmd.Process.Signal(sig) // it may have just ended
	}
}

// Kill ends the process with SIGKILL and waits for it.
func (n *Node) Kill() {
	if n.cmd != nil {
		n.Signal(syscall.SIGKILL)
		<-n.exited
	}
}

// Stop ends the process with SIGTERM and returns its exit code; -1 when it had to
// be killed after limit.
func (n *Node) Stop(limit time.Duration) int {
	n.Signal(syscall.SIGTERM)
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-n.exited:
		return n.cmd.ProcessState.ExitCode()
	case <-timer.C:
		n.Kill()
		return -1
	}
}

// LogTail is the end of what the node printed.
func (n *Node) LogTail(size int) string {
	b, err := os.ReadFile(n.Log)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-size):])
}

// crash matches the line that a Go program prints when it crashes.
var crash = regexp.MustCompile(`(?m)^(panic:|fatal error:|WARNING: DATA RACE|unexpected fault address).*$`)

// Crashed is the line that the node printed when it crashed, or "".
func (n *Node) Crashed() string {
	b, err := os.ReadFile(n.Log)
	if err != nil {
		return ""
	}
	return string(crash.Find(b))
}

// Tail reads the whole log through `edgeloop tail`, a line at a time.
func (n *Node) Tail(ctx context.Context, each func(line []byte) error) error {
	args := append([]string(nil), n.Inside()...)
	args = append(args, n.Binary, "tail", "--data-dir", n.Dir, "--admin-url", "http://"+n.Admin, "--since", "all", "--no-follow")
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	readErr := eachLine(out, each)
	if readErr != nil {
		_ = cmd.Process.Kill() // otherwise it waits for a reader forever
	}
	if err := cmd.Wait(); err != nil && readErr == nil {
		return fmt.Errorf("edgeloop tail: %w: %s", err, stderr.Bytes())
	}
	return readErr
}

// Inside is the command that enters the node's network namespace.
func (n *Node) Inside() []string {
	if n.Net == nil {
		return nil
	}
	return []string{"ip", "netns", "exec", n.Net.Name}
}

// Token is the admin token from the data directory.
func (n *Node) Token() (string, error) {
	b, err := os.ReadFile(filepath.Join(n.Dir, "admin.token"))
	return strings.TrimSpace(string(b)), err
}

func eachLine(r io.Reader, each func(line []byte) error) error {
	lines := newLineReader(r)
	for lines.Scan() {
		if err := each(lines.Bytes()); err != nil {
			return err
		}
	}
	return lines.Err()
}

// FreeAddrs finds ports of 127.0.0.1 below the range for outgoing connections, so that no client
// gets one while the node is down.
func FreeAddrs(count int) (addrs []string, err error) {
	for port := 20000 + os.Getpid()*37%9000; port < 32000 && len(addrs) < count; port++ {
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		if l, err := net.Listen("tcp", addr); err == nil {
			l.Close()
			addrs = append(addrs, addr)
		}
	}
	if len(addrs) < count {
		return nil, errors.New("fault: no free port")
	}
	return addrs, nil
}

// ReadAll reads the whole log through `edgeloop tail` and discards it.
func (n *Node) ReadAll(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, n.Binary, "tail", "--data-dir", n.Dir, "--admin-url", "http://"+n.Admin, "--since", "all", "--no-follow")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr // what it reads goes to /dev/null
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("edgeloop tail: %w: %s", err, stderr.Bytes())
	}
	return nil
}
