package faults

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Namespace is a network namespace that the run made.
type Namespace struct {
	// Immutable after construction.
	Name string
	file *os.File
}

// NewNamespace makes a network namespace with its loopback up.
func NewNamespace(name string) (*Namespace, error) {
	if err := Command("ip", "netns", "add", name); err != nil {
		return nil, err
	}
	f, err := os.Open("/run/netns/" + name)
	if err == nil {
		err = Command("ip", "-n", name, "link", "set", "lo", "up")
	}
	if err != nil {
		_ = Command("ip", "netns", "del", name)
		return nil, err
	}
	return &Namespace{Name: name, file: f}, nil
}

// Close removes the namespace.
func (n *Namespace) Close() error {
	n.file.Close()
	return Command("ip", "netns", "del", n.Name)
}

// dialLimit is how long a connection from inside a namespace may take.
const dialLimit = 10 * time.Second

// Dial connects from inside the namespace; addr must be an IP and port. Any
// goroutine.
func (n *Namespace) Dial(addr string) (c net.Conn, err error) {
	inside := n.Do(func() error {
		c, err = net.DialTimeout("tcp", addr, dialLimit)
		return err
	})
	return c, inside
}

// Do calls fn on a thread inside the namespace. A socket stays in the namespace in which it was
// made.
func (n *Namespace) Do(fn func() error) error {
	runtime.LockOSThread()
	home, err := os.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()))
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer home.Close()
	if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter namespace %s: %w", n.Name, err)
	}
	err = fn()
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
		return back // the thread stays locked and ends with its goroutine
	}
	runtime.UnlockOSThread()
	return err
}

// Command runs a program. Its output is part of the error.
func Command(name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.WaitDelay = time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
