package outlets

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"edgeloop/bench/fault/faults"
	"edgeloop/internal/pause"
)

// Redis is a redis-server that syncs what it confirms, behind a proxy. A stream for each device
// is what the sink adds to. For one device there is a key of another type: its records are
// refused.
type Redis struct {
	// Immutable after construction.
	Proxy     *faults.Proxy
	dir, addr string
	devices   []string

	cmd *exec.Cmd // owned by the run's goroutine
}

// refusedDevice is the device whose records a Redis refuses.
const refusedDevice = "d00007"

// NewRedis starts a server at addr, behind a proxy at front. Its data is in dir.
func NewRedis(ctx context.Context, front, addr, dir string, devices []string) (*Redis, error) {
	r := &Redis{dir: dir, addr: addr, devices: devices}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	err := r.Start(ctx)
	if err == nil {
		_, err = r.ask("SET out:" + refusedDevice + " text")
	}
	if err == nil {
		r.Proxy, err = faults.NewProxy(front, addr)
	}
	if err != nil {
		r.Kill()
		return nil, err
	}
	return r, nil
}

// Start starts the server on what it has, and waits for it.
func (r *Redis) Start(ctx context.Context) error {
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		return fmt.Errorf("%w: make setup installs it", err)
	}
	log, err := os.OpenFile(filepath.Join(r.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	_, port, _ := net.SplitHostPort(r.addr)
	r.cmd = exec.Command(binary, "--bind", "127.0.0.1", "--port", port, "--dir", r.dir, "--save", "",
		"--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction")
	r.cmd.Stdout, r.cmd.Stderr = log, log
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := r.cmd.Start(); err != nil {
		return err
	}
	for range 500 {
		if out, err := r.ask("PING"); err == nil && strings.TrimSpace(string(out)) == "PONG" {
			return nil
		}
		if err := pause.For(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	return errors.New("fault: the Redis server does not answer")
}

// Kill ends the server with SIGKILL and waits for it.
func (r *Redis) Kill() {
	if r.cmd != nil && r.cmd.Process != nil {
		_ = r.cmd.Process.Kill()
		_ = r.cmd.Wait() // killed
	}
	r.cmd = nil
}

// Full says whether the server has room for one more entry.
func (r *Redis) Full(on bool) error {
	most := "0" // as much as there is
	if on {
		most = "1"
	}
	_, err := r.ask("CONFIG SET maxmemory " + most)
	return err
}

// ask has redis-cli ask the server directly, a command a line. What was answered before an error
// is returned with it.
func (r *Redis) ask(commands string) ([]byte, error) {
	host, port, _ := net.SplitHostPort(r.addr)
	cmd := exec.Command("redis-cli", "--raw", "-h", host, "-p", port)
	cmd.Stdin = strings.NewReader(commands + "\n")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("redis-cli: %w: %s", err, stderr.Bytes())
	}
	return out, nil
}

// Add adds entries to a stream, one after the other, and says how many from the front the server
// has confirmed. Any goroutine.
func (r *Redis) Add(stream string, entries []string) (confirmed int) {
	out, _ := r.ask("XADD " + stream + " * " + strings.Join(entries, "\nXADD "+stream+" * ")) // what is behind an error is not confirmed
	for line := range bytes.Lines(out) {
		ms, _, ok := bytes.Cut(bytes.TrimSpace(line), []byte{'-'})
		if _, err := strconv.ParseUint(string(ms), 10, 64); !ok || err != nil {
			break
		}
		confirmed++
	}
	return confirmed
}

// Name implements Outlet.
func (r *Redis) Name() string { return "redis" }

// Keys implements Outlet.
func (r *Redis) Keys() string {
	return fmt.Sprintf("type: redis, address: '%s', key: 'out:{device}'", r.Proxy.Addr())
}

// Read implements Outlet: one device after the other.
func (r *Redis) Read(_ context.Context, each func(at time.Time, line []byte) error) error {
	var commands strings.Builder
	for _, device := range r.devices {
		if device != refusedDevice {
			fmt.Fprintf(&commands, "XRANGE out:%s - +\n", device)
		}
	}
	out, err := r.ask(commands.String())
	if err != nil {
		return err
	}
	var at time.Time // of the entry
	return eachLine("what Redis holds", out, func(line []byte) error {
		if bytes.HasPrefix(line, []byte{'{'}) {
			return each(at, line)
		}
		// An entry's id, which begins with the time, or the name of a field, or the position.
		if first, _, ok := bytes.Cut(line, []byte{'-'}); ok {
			if ms, err := strconv.ParseInt(string(first), 10, 64); err == nil {
				at = time.UnixMilli(ms)
			}
		}
		return nil
	})
}

// Refused implements Outlet.
func (r *Redis) Refused(device string, _ uint64) bool { return device == refusedDevice }

// Close implements Outlet.
func (r *Redis) Close() {
	r.Proxy.Close()
	r.Kill()
}
