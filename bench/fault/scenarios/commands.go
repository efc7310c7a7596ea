package scenarios

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"time"

	"edgeloop/bench/fault/faults"
	"edgeloop/bench/fault/life"
	"edgeloop/bench/fault/node"
	"edgeloop/bench/fault/outlets"
	"edgeloop/internal/pause"
)

// incoming is where a node's commands come from: a stream of a Redis that syncs what it confirms,
// and a topic of a mosquitto that keeps its sessions over a restart, but not over a kill.
type incoming struct {
	redis  *outlets.Redis
	broker *exec.Cmd
	proxy  *faults.Proxy // in front of the broker
	at     string        // of the broker
	dir    string
	orders *orders
}

// givers are who gives commands.
const (
	byRedis = iota
	byMQTT
	numGivers
)

// commandsIn kills the node, and what its commands come from, while commands come for devices that
// are away. What was confirmed to who gave it must come to its device then, and each id once.
func commandsIn() life.Scenario {
	w := &incoming{}
	return life.Scenario{
		Name: "commands", About: "commands come from a Redis and a mosquitto while the node and they are killed, restarted, cut off (needs redis-server and mosquitto)",
		Rounds: len(w.faults()), Devices: 20, Pace: 100 * ms, Alone: true, Setup: w.setup, Act: w.act,
	}
}

// setup starts both, and has the node configured with them.
func (w *incoming) setup(ctx context.Context, l *life.Life) error {
	addrs, err := node.FreeAddrs(6) // the node has the first two
	if err != nil {
		return err
	}
	w.dir, w.orders = filepath.Dir(l.Node.Dir), newOrders()
	if w.redis, err = outlets.NewRedis(ctx, addrs[2], addrs[3], filepath.Join(w.dir, "redis"), nil); err != nil {
		return err
	}
	l.Defer(w.redis.Close)
	w.at = addrs[5]
	if err := w.startBroker(ctx); err != nil {
		return err
	}
	l.Defer(func() { outlets.EndChild(w.broker) })
	if w.proxy, err = faults.NewProxy(addrs[4], w.at); err != nil {
		return err
	}
	l.Defer(w.proxy.Close)
	l.Defer(l.Node.Kill) // before those it speaks to
	config := filepath.Join(w.dir, "edgeloop.yaml")
	l.Node.Flags = append(l.Node.Flags, "--config="+config)
	return os.WriteFile(config, fmt.Appendf(nil, `commands:
  - {name: stream, type: redis, address: '%s', stream: orders}
  - {name: broker, type: mqtt, url: 'mqtt://%s', topic: 'cmd/{tenant}/{device}'}
`, w.redis.Proxy.Addr(), w.proxy.Addr()), 0o600)
}

func (w *incoming) startBroker(ctx context.Context) (err error) {
	dir := filepath.Join(w.dir, "mosquitto")
	w.broker, err = outlets.StartMosquitto(ctx, w.at, dir, "persistence true", "persistence_location "+dir+"/", "user root")
	return err
}

// act gives commands while something is hurt, lets their devices connect when all is well
// again, and holds what they get against what was confirmed.
func (w *incoming) act(ctx context.Context, l *life.Life) error {
	if err := l.Await(ctx, time.Minute, "the node to be connected to both", func() bool { return w.connected(ctx, l) == numGivers }); err != nil {
		return err
	}
	hurts := w.faults()
	for i := range l.Options.Rounds {
		f := hurts[(i+int(l.Options.Seed)-1)%len(hurts)] //nolint:gosec // a small seed
		l.Journal.Inject("commands: %s", f.name)
		if err := w.giving(ctx, func() error { return f.hurt(ctx, l) }); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		l.Result.Faults++
		l.Journal.Inject("all is well again")
		if err := l.Recover(ctx); err != nil {
			return err
		}
		if sound, err := w.orders.collect(ctx, l); err != nil || !sound {
			l.Note("the last fault: %s", f.name)
			return err
		}
	}
	w.orders.note(l)
	endInOrder(l)
	return nil
}

// connected is how many of them the node is connected to: what is published before the node has
// subscribed is for nobody.
func (w *incoming) connected(ctx context.Context, l *life.Life) int {
	status, page, err := l.Node.Call(ctx, "GET", "/metrics", nil)
	if err != nil || status != 200 {
		return 0
	}
	return len(connectedSource.FindAll(page, -1))
}

var connectedSource = regexp.MustCompile(`(?m)^edgeloop_intake_connected\{[^}]*\} 1$`)

// giving has both give commands until act returns.
func (w *incoming) giving(ctx context.Context, act func() error) error {
	giving, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { w.orders.give(giving, byRedis, w.byRedis) })
	wg.Go(func() { w.orders.give(giving, byMQTT, w.byMQTT) })
	err := act()
	stop()
	wg.Wait()
	return err
}

// byRedis adds commands for a device to the stream, and says how many are confirmed.
func (w *incoming) byRedis(device string, names []string) int {
	entries := make([]string, len(names))
	for i, name := range names {
		entries[i] = "device " + device + " name " + name
	}
	return w.redis.Add("orders", entries)
}

// byMQTT publishes them; all are confirmed, or nobody knows.
func (w *incoming) byMQTT(device string, names []string) int {
	if outlets.Publish(w.at, "cmd/default/"+device, names) != nil {
		return 0
	}
	return len(names)
}

func (w *incoming) faults() []sinkFault {
	return []sinkFault{
		{"the node is killed, again and again", w.killNode},
		{"Redis is killed and starts again, mosquitto stops and starts", w.restart},
		{"the ways to both are cut, and dead, and the node is killed", w.cut},
		{"both are slow, and the node is killed", w.slow},
	}
}

func (w *incoming) killNode(ctx context.Context, l *life.Life) error {
	for range 5 {
		if err := pause.For(ctx, 300*ms+l.UpTo(700*ms)); err != nil {
			return err
		}
		l.Kill("while commands come")
		if err := l.Boot(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (w *incoming) restart(ctx context.Context, l *life.Life) error {
	for range 3 {
		if err := pause.For(ctx, 500*ms+l.UpTo(500*ms)); err != nil {
			return err
		}
		w.redis.Kill()
		err := w.broker.Process.Signal(syscall.SIGTERM)
		_ = w.broker.Wait() // it writes down what it has
		if err := errors.Join(err, pause.For(ctx, l.UpTo(300*ms)), w.redis.Start(ctx), w.startBroker(ctx)); err != nil {
			return err
		}
	}
	return pause.For(ctx, 500*ms)
}

func (w *incoming) cut(ctx context.Context, l *life.Life) error {
	both := []*faults.Proxy{w.redis.Proxy, w.proxy}
	for range 4 {
		for _, p := range both {
			p.Cut()
		}
		if err := pause.For(ctx, 200*ms+l.UpTo(400*ms)); err != nil {
			return err
		}
	}
	for _, p := range both {
		p.Hold(true)
	}
	err := pause.For(ctx, 200*ms+l.UpTo(500*ms))
	l.Kill("while the ways to what commands come from are dead")
	for _, p := range both {
		p.Hold(false)
	}
	return errors.Join(err, l.Boot(ctx))
}

func (w *incoming) slow(ctx context.Context, l *life.Life) error {
	w.redis.Proxy.Slow(20 * ms)
	w.proxy.Slow(20 * ms)
	err := w.killNode(ctx, l)
	w.redis.Proxy.Slow(0)
	w.proxy.Slow(0)
	return err
}
