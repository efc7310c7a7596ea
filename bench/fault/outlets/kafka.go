package outlets

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"edgeloop/bench/fault/faults"
	"edgeloop/bench/fault/kafka"
)

// Kafka is a broker of kfake in a process of its own, behind a proxy: this program, with the
// argument kafka.Command.
type Kafka struct {
	// Immutable after construction.
	Proxy  *faults.Proxy
	config kafka.Config

	// Owned by the run's goroutine.
	cmd     *exec.Cmd
	orders  io.WriteCloser
	answers *bufio.Reader
	refused map[kafka.Record]bool // as of the last Read
}

// NewKafka starts a broker at addr, behind a proxy at front. Its data is in dir. One that judges
// looks into records and refuses some.
func NewKafka(front, addr, dir string, judge bool) (*Kafka, error) {
	k := &Kafka{config: kafka.Config{Addr: addr, Front: front, Dir: dir, Judge: judge}}
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		err = k.Start()
	}
	if err == nil {
		k.Proxy, err = faults.NewProxy(front, addr)
	}
	if err != nil {
		k.Kill()
		return nil, err
	}
	return k, nil
}

// Start starts the broker on what it has, and waits until it is ready.
func (k *Kafka) Start() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	config, err := json.Marshal(k.config)
	if err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(k.config.Dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(self, kafka.Command, string(config))
	cmd.Stderr = log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	k.cmd, k.orders, k.answers = cmd, in, bufio.NewReader(out)
	_, err = k.answer()
	return err
}

// Kill ends the broker with SIGKILL and waits for it.
func (k *Kafka) Kill() {
	if k.cmd != nil {
		_ = k.orders.Close()
		EndChild(k.cmd)
	}
	k.cmd = nil
}

// answer is the next line of the broker.
func (k *Kafka) answer() (string, error) {
	line, err := k.answers.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("fault: the broker of Kafka ended: %s: %w", filepath.Join(k.config.Dir, "log"), err)
	}
	return strings.TrimSpace(line), nil
}

// order has the broker do something.
func (k *Kafka) order(what string) (string, error) {
	if k.cmd == nil {
		return "", errors.New("fault: the broker of Kafka is down")
	}
	if _, err := fmt.Fprintln(k.orders, what); err != nil {
		return "", err
	}
	return k.answer()
}

// RefuseAll says whether the broker refuses all records. One that starts anew does not.
func (k *Kafka) RefuseAll(on bool) error {
	what := kafka.RefuseFew
	if on {
		what = kafka.RefuseAll
	}
	_, err := k.order(what)
	return err
}

// RefusedCount is how many records it refused.
func (k *Kafka) RefusedCount() int {
	all, _ := kafka.Refused(k.config.Dir) // what cannot be read is said by Read
	return len(all)
}

// Name implements Outlet.
func (k *Kafka) Name() string { return "kafka" }

// Keys implements Outlet.
func (k *Kafka) Keys() string {
	keys := fmt.Sprintf("type: kafka, brokers: '%s'", k.Proxy.Addr())
	if k.config.Judge {
		keys += ", compression: none"
	}
	return keys
}

// Read implements Outlet: each partition in its order.
func (k *Kafka) Read(ctx context.Context, each func(at time.Time, line []byte) error) (err error) {
	if k.refused, err = kafka.Refused(k.config.Dir); err != nil {
		return err
	}
	text, err := k.order(kafka.CountLines)
	if err != nil {
		return err
	}
	count, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return err
	}
	return kafka.Read(ctx, k.Proxy.Addr(), count, func(line []byte) error { return each(time.Time{}, line) })
}

// Follow calls each with what comes from now on, as a consumer gets it, until ctx ends. line is
// borrowed until return.
func (k *Kafka) Follow(ctx context.Context, each func(line []byte) error) error {
	return kafka.Follow(ctx, k.Proxy.Addr(), each)
}

// Refused implements Outlet.
func (k *Kafka) Refused(device string, seq uint64) bool {
	return k.refused[kafka.Record{Device: device, Seq: seq}]
}

// Close implements Outlet.
func (k *Kafka) Close() {
	k.Proxy.Close()
	k.Kill()
}
