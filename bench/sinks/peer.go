package sinks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"edgeloop/bench/fault/faults"
	"edgeloop/bench/fault/node"
	"edgeloop/bench/fault/outlets"
	"edgeloop/bench/probe"
	"edgeloop/internal/pause"
)

// peer is the same work by others: mosquitto, and behind it Telegraf, which posts what it hears
// to a receiver. A message is acknowledged to a device when the broker has it in its memory, and
// to the broker when Telegraf's output has taken it.
type peer struct {
	opt             Options
	dir, at         string
	broker, reading *exec.Cmd
	in              intake
	server          *http.Server
}

// telegrafConf has the broker, and the receiver.
const telegrafConf = `[agent]
interval = "1s"
flush_interval = "200ms"
metric_batch_size = 500
metric_buffer_limit = 100000
omit_hostname = true
quiet = true
[[inputs.mqtt_consumer]]
servers = ["tcp://%s"]
topics = ["bench"]
qos = 1
client_id = "telegraf"
persistent_session = true
max_undelivered_messages = 1000
data_format = "value"
data_type = "string"
[[outputs.http]]
url = "http://%s/in"
data_format = "json"
`

// measurePeer makes the row of Telegraf: while it reads, while it is away, and how it catches up.
func measurePeer(ctx context.Context, o Options, row *Row, felt *Peer) (err error) {
	p := &peer{opt: o, dir: filepath.Join(o.Work, "peer")}
	defer func() { err = errors.Join(err, p.close()) }()
	if err := p.begin(ctx); err != nil {
		return err
	}
	if felt.Steady, row.Latency, err = p.steady(ctx); err != nil {
		return err
	}
	outlets.EndChild(p.reading)
	p.reading = nil
	if felt.Away, err = p.load(ctx, o.Rate, o.Duration); err != nil {
		return err
	}
	deadline := time.Now().Add(fillWithin)
	for sent := felt.Away.PerSecond * o.Duration.Seconds(); sent < float64(o.Backlog) && time.Now().Before(deadline); {
		l, err := p.load(ctx, 0, min(4*time.Second, o.Duration))
		if err != nil || l.PerSecond == 0 {
			return errors.Join(err, errors.New("bench: no device sends"))
		}
		sent += l.PerSecond * min(4*time.Second, o.Duration).Seconds()
	}
	return p.working(ctx, row)
}

func (p *peer) begin(ctx context.Context) error {
	addrs, err := node.FreeAddrs(2)
	if err != nil {
		return err
	}
	p.at = addrs[0]
	if p.broker, err = outlets.StartMosquitto(ctx, p.at, p.dir); err != nil {
		return err
	}
	l, err := net.Listen("tcp", addrs[1])
	if err != nil {
		return err
	}
	p.server = &http.Server{Handler: &p.in, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = p.server.Serve(l) }() // close ends it
	if err := os.WriteFile(filepath.Join(p.dir, "telegraf.conf"), fmt.Appendf(nil, telegrafConf, p.at, addrs[1]), 0o600); err != nil {
		return err
	}
	return p.read(ctx)
}

// read starts Telegraf, and waits until something came through it.
func (p *peer) read(ctx context.Context) (err error) {
	before, _ := p.in.now()
	if p.reading, err = outlets.StartChild(filepath.Join(p.dir, "telegraf.log"), p.opt.Telegraf, "--config", filepath.Join(p.dir, "telegraf.conf")); err != nil {
		return err
	}
	host, port, _ := net.SplitHostPort(p.at)
	for range 200 {
		if err := faults.Command("mosquitto_pub", "-h", host, "-p", port, "-q", "1", "-t", "bench", "-m", "begin"); err != nil {
			return err
		}
		if err := pause.For(ctx, 100*time.Millisecond); err != nil {
			return err
		}
		if now, _ := p.in.now(); now > before {
			return nil
		}
	}
	return errors.New("bench: nothing comes through Telegraf: " + filepath.Join(p.dir, "telegraf.log"))
}

// load has devices publish.
func (p *peer) load(ctx context.Context, rate int, d time.Duration) (Load, error) {
	return devices(ctx, p.opt, filepath.Join(p.dir, "load.json"), rate, d, "--url=mqtt://"+p.at, "--dialect=mqtt", "--pid="+strconv.Itoa(p.broker.Process.Pid))
}

func (p *peer) steady(ctx context.Context) (l Load, late Latency, err error) {
	p.in.forget()
	before, err := probe.CPU(p.reading.Process.Pid)
	if err != nil {
		return l, late, err
	}
	if l, err = p.load(ctx, p.opt.Rate, p.opt.Duration); err != nil {
		return l, late, err
	}
	after, err := probe.CPU(p.reading.Process.Pid)
	l.Cores += (after.CPUS() - before.CPUS()) / (p.opt.Duration + time.Second).Seconds() // and the warm-up
	if err == nil {
		err = pause.For(ctx, time.Second) // the last batch
	}
	return l, sum(p.in.forget()), err
}

// working starts Telegraf over what the broker has for it.
func (p *peer) working(ctx context.Context, row *Row) error {
	broker, err := probe.CPU(p.broker.Process.Pid)
	if err != nil {
		return err
	}
	from, _ := p.in.now()
	began := time.Now()
	if err := p.read(ctx); err != nil {
		return err
	}
	last := began
	for time.Since(began) < p.opt.CatchUp {
		if err := pause.For(ctx, 100*time.Millisecond); err != nil {
			return err
		}
		var count int
		if count, last = p.in.now(); time.Since(last) > 3*time.Second {
			break
		}
		row.Worked = uint64(count - from) //nolint:gosec // it only grows
	}
	row.WorkedS = last.Sub(began).Seconds()
	after, err := probe.CPU(p.broker.Process.Pid)
	if err != nil {
		return err
	}
	own, err := probe.CPU(p.reading.Process.Pid)
	row.WorkCPUS = after.CPUS() - broker.CPUS() + own.CPUS()
	return err
}

func (p *peer) close() error {
	for _, cmd := range []*exec.Cmd{p.reading, p.broker} {
		if cmd != nil {
			outlets.EndChild(cmd)
		}
	}
	if p.server != nil {
		_ = p.server.Close()
	}
	return os.RemoveAll(p.dir)
}

// intake counts the messages in what Telegraf posts.
type intake struct {
	mu sync.Mutex
	// Guarded by mu.
	count int
	last  time.Time
	late  []float64
}

// ServeHTTP takes a batch.
func (i *intake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<20))
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	i.take(time.Now(), body)
}

// take counts messages, each a text of JSON within the JSON, and how late they are.
func (i *intake) take(at time.Time, body []byte) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.count, i.last = i.count+bytes.Count(body, []byte(`"value":`)), at
	for _, rest := range bytes.Split(body, []byte(`{\"ts\":`))[1:] {
		number, _, _ := bytes.Cut(rest, []byte{','})
		if ms, err := strconv.ParseInt(string(number), 10, 64); err == nil {
			i.late = append(i.late, float64(at.UnixMicro())/1e3-float64(ms))
		}
	}
}

func (i *intake) now() (count int, last time.Time) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.count, i.last
}

// forget gives how late messages were, and begins anew with that.
func (i *intake) forget() []float64 {
	i.mu.Lock()
	defer i.mu.Unlock()
	late := i.late
	i.late = nil
	return late
}
