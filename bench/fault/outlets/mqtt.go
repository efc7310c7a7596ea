package outlets

import (
	"bufio"
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

// MQTT is a mosquitto behind a proxy, and a mosquitto_sub beside it that writes down what comes.
// The broker is not killed: it confirms what it has in its memory.
type MQTT struct {
	never
	// Immutable after construction.
	Proxy     *faults.Proxy
	addr, dir string

	children []*exec.Cmd // owned by the run's goroutine
	marks    int
}

// NewMQTT starts a broker at addr, behind a proxy at front. What it writes is in dir.
func NewMQTT(ctx context.Context, front, addr, dir string) (*MQTT, error) {
	m := &MQTT{addr: addr, dir: dir}
	err := m.start(ctx)
	if err == nil {
		m.Proxy, err = faults.NewProxy(front, addr)
	}
	if err != nil {
		m.kill()
		return nil, err
	}
	return m, nil
}

func (m *MQTT) start(ctx context.Context) error {
	broker, err := StartMosquitto(ctx, m.addr, m.dir)
	if err != nil {
		return err
	}
	m.children = append(m.children, broker)
	host, port, _ := net.SplitHostPort(m.addr)
	hears, err := StartChild(filepath.Join(m.dir, "came"), "mosquitto_sub", "-h", host, "-p", port, "-V", "5", "-q", "1", "-t", "out/#", "-F", "%U %p")
	if err != nil {
		return fmt.Errorf("%w: make setup installs it", err)
	}
	m.children = append(m.children, hears)
	return m.Read(ctx, func(time.Time, []byte) error { return nil }) // it hears what is published
}

// StartMosquitto starts a broker that keeps all in its memory unless further lines of its
// configuration say otherwise, and waits until it listens. Who starts it kills it. What it
// writes is in dir.
func StartMosquitto(ctx context.Context, addr, dir string, further ...string) (*exec.Cmd, error) {
	binary, err := exec.LookPath("mosquitto")
	if err != nil {
		binary = "/usr/sbin/mosquitto" // where an ordinary user's PATH does not lead
	}
	host, port, _ := net.SplitHostPort(addr)
	conf := filepath.Join(dir, "mosquitto.conf")
	text := fmt.Sprintf("listener %s %s\nallow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 1000\n%s\n", port, host, strings.Join(further, "\n"))
	if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(conf, []byte(text), 0o600)); err != nil {
		return nil, err
	}
	cmd, err := StartChild(filepath.Join(dir, "log"), binary, "-c", conf)
	if err != nil {
		return nil, fmt.Errorf("%w: make setup installs it", err)
	}
	for range 500 {
		if c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr); err == nil {
			return cmd, c.Close()
		}
		if err := pause.For(ctx, 20*time.Millisecond); err != nil {
			break
		}
	}
	EndChild(cmd)
	return nil, errors.New("fault: mosquitto does not listen")
}

// Publish publishes commands of these names for whoever reads the topic, one after the other, and
// returns nil when the broker at addr has confirmed all. Any goroutine.
func Publish(addr, topic string, names []string) error {
	host, port, _ := net.SplitHostPort(addr)
	cmd := exec.Command("mosquitto_pub", "-h", host, "-p", port, "-V", "5", "-q", "1", "-t", topic, "-l")
	var in strings.Builder
	for _, name := range names {
		fmt.Fprintf(&in, "{\"name\":%q}\n", name)
	}
	cmd.Stdin = strings.NewReader(in.String())
	return cmd.Run()
}

// StartChild starts a program that dies with this one and whose output goes to a file.
func StartChild(out, name string, args ...string) (*exec.Cmd, error) {
	file, err := os.OpenFile(out, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = file, file
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd, cmd.Start()
}

// EndChild ends a child with SIGKILL and waits for it.
func EndChild(cmd *exec.Cmd) {
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // killed
}

func (m *MQTT) kill() {
	for _, cmd := range m.children {
		EndChild(cmd)
	}
	m.children = nil
}

// Name implements Outlet.
func (m *MQTT) Name() string { return "mqtt" }

// Keys implements Outlet.
func (m *MQTT) Keys() string {
	return fmt.Sprintf("type: mqtt, url: 'mqtt://%s', topic: 'out/{device}'", m.Proxy.Addr())
}

// Read implements Outlet. What the broker has for its subscriber is awaited: it comes in front
// of a message that is published now, and again until it comes.
func (m *MQTT) Read(ctx context.Context, each func(at time.Time, line []byte) error) error {
	host, port, _ := net.SplitHostPort(m.addr)
	m.marks++
	mark := fmt.Sprintf("mark %d", m.marks)
	for range 300 {
		if err := faults.Command("mosquitto_pub", "-h", host, "-p", port, "-V", "5", "-q", "1", "-t", "out/mark", "-m", mark); err != nil {
			return err
		}
		for range 10 {
			if done, err := m.upTo(mark, nil); err != nil {
				return err
			} else if done {
				_, err = m.upTo(mark, each)
				return err
			}
			if err := pause.For(ctx, 20*time.Millisecond); err != nil {
				return err
			}
		}
	}
	return errors.New("fault: the subscriber of mosquitto hears nothing")
}

// upTo reads what came in front of a mark, if that has come.
func (m *MQTT) upTo(mark string, each func(at time.Time, line []byte) error) (found bool, err error) {
	file, err := os.Open(filepath.Join(m.dir, "came"))
	if err != nil {
		return false, err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(make([]byte, 1<<20), 16<<20)
	for lines.Scan() {
		seconds, line, _ := bytes.Cut(lines.Bytes(), []byte{' '})
		switch {
		case string(line) == mark:
			return true, nil
		case each == nil || bytes.HasPrefix(line, []byte("mark ")):
			continue
		}
		at, err := strconv.ParseFloat(string(seconds), 64)
		if err != nil {
			return false, fmt.Errorf("mosquitto_sub wrote %.200q: %w", lines.Bytes(), err)
		}
		if err := each(time.UnixMicro(int64(at*1e6)), line); err != nil {
			return false, err
		}
	}
	return false, lines.Err()
}

// Close implements Outlet.
func (m *MQTT) Close() {
	m.Proxy.Close()
	m.kill()
}
