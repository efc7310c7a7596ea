package scenarios

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"edgeloop/bench/fault/faults"
	"edgeloop/bench/fault/life"
	"edgeloop/bench/fault/outlets"
	"edgeloop/internal/pause"
)

// sinkFault is one way to hurt a node's sinks. When hurt returns all is well again.
type sinkFault struct {
	name string
	hurt func(ctx context.Context, l *life.Life) error
}

func (w *outside) faults() []sinkFault {
	return []sinkFault{
		{"the destinations are down, and devices come and go", w.down},
		{"the destinations are slow, and the node is killed", w.slow},
		{"the destinations are killed and start again", w.restart},
		{"the destinations fail while devices come and go, and one is shown a wrong token", w.failing},
		{"two destinations refuse everything, and the node is killed", w.refusing},
		{"the ways to the destinations are cut, and dead", w.cut},
		{"the node is killed, again and again", w.kill},
		{"the configuration changes, and is wrong", w.reload},
		{"the sinks are rewound, and the node is killed", w.rewind},
	}
}

// proxies are the ways to the destinations that have one.
func (w *outside) proxies() []*faults.Proxy {
	return []*faults.Proxy{w.hook.Proxy, w.redis.Proxy, w.nats.Proxy, w.mqtt.Proxy, w.pg.Proxy, w.kafka.Proxy}
}

// killed kills the node, tears the file that grew, and starts the node.
func (w *outside) killed(ctx context.Context, l *life.Life, why string) error {
	l.Kill(why)
	if err := w.files.Tear(); err != nil {
		return err
	}
	return l.Boot(ctx)
}

func (w *outside) down(ctx context.Context, l *life.Life) error {
	w.hook.Proxy.Shut()
	w.mqtt.Proxy.Shut()
	w.redis.Kill()
	w.nats.Kill()
	w.pg.Kill()
	w.kafka.Kill()
	if err := w.files.Away(); err != nil {
		return err
	}
	for _, come := range []func(){l.Crew.CutAll, l.Crew.TakeOver} {
		if err := pause.For(ctx, 300*ms+l.UpTo(time.Second)); err != nil {
			return err
		}
		come()
	}
	if err := l.Await(ctx, 30*time.Second, "all devices to be back", func() bool { return l.Crew.Online() == l.Options.Devices && !l.Crew.Turning() }); err != nil {
		return err
	}
	return errors.Join(w.hook.Proxy.Open(), w.mqtt.Proxy.Open(), w.redis.Start(ctx), w.nats.Start(ctx), w.pg.Start(ctx), w.kafka.Start(), w.files.Back())
}

func (w *outside) slow(ctx context.Context, l *life.Life) error {
	w.hook.Be(outlets.Mood{Delay: 300 * ms})
	w.redis.Proxy.Slow(100 * ms)
	w.nats.Proxy.Slow(20 * ms)
	w.mqtt.Proxy.Slow(20 * ms)
	w.pg.Proxy.Slow(50 * ms)
	w.kafka.Proxy.Slow(50 * ms)
	for range 2 {
		if err := pause.For(ctx, 500*ms+l.UpTo(500*ms)); err != nil {
			return err
		}
		if err := w.killed(ctx, l, "while its destinations are slow"); err != nil {
			return err
		}
	}
	w.hook.Be(outlets.Mood{})
	w.redis.Proxy.Slow(0)
	w.nats.Proxy.Slow(0)
	w.mqtt.Proxy.Slow(0)
	w.pg.Proxy.Slow(0)
	w.kafka.Proxy.Slow(0)
	return nil
}

func (w *outside) restart(ctx context.Context, l *life.Life) error {
	for range 2 {
		w.hook.Proxy.Shut()
		w.mqtt.Proxy.Shut()
		w.redis.Kill()
		w.nats.Kill()
		w.pg.Kill()
		w.kafka.Kill()
		if err := errors.Join(w.hook.Proxy.Open(), w.mqtt.Proxy.Open(), w.redis.Start(ctx), w.nats.Start(ctx), w.pg.Start(ctx), w.kafka.Start()); err != nil {
			return err
		}
		if err := pause.For(ctx, 200*ms+l.UpTo(500*ms)); err != nil {
			return err
		}
	}
	return nil
}

func (w *outside) failing(ctx context.Context, l *life.Life) error {
	w.hook.Be(outlets.Mood{Fail: 2})
	w.nats.Proxy.Hold(true)
	w.mqtt.Proxy.Hold(true)
	w.kafka.Proxy.Hold(true)
	if err := errors.Join(w.redis.Full(true), w.files.Away()); err != nil {
		return err
	}
	for range 4 { // so that batches fail that tell of it
		l.Crew.CutAll()
		if err := pause.For(ctx, 200*ms+l.UpTo(200*ms)); err != nil {
			return err
		}
	}
	w.hook.Be(outlets.Mood{Fail: 3})
	w.nats.Proxy.Hold(false)
	w.mqtt.Proxy.Hold(false)
	w.kafka.Proxy.Hold(false)
	if err := errors.Join(w.redis.Full(false), w.files.Back(), w.hook.Show("another")); err != nil {
		return err
	}
	if err := pause.For(ctx, 500*ms+l.UpTo(500*ms)); err != nil {
		return err
	}
	if err := w.hook.Show("first"); err != nil {
		return err
	}
	err := pause.For(ctx, 500*ms)
	w.hook.Be(outlets.Mood{})
	return err
}

func (w *outside) refusing(ctx context.Context, l *life.Life) error {
	w.hook.Be(outlets.Mood{RefuseAll: true})
	if err := w.kafka.RefuseAll(true); err != nil {
		return err
	}
	for range 8 { // what a record can be lost between is short
		hook, kafka := w.hook.RefusedCount(), w.kafka.RefusedCount()
		more := func() bool { return w.hook.RefusedCount() >= hook+5 && w.kafka.RefusedCount() >= kafka+5 }
		if err := l.Await(ctx, 30*time.Second, "records to be refused", more); err != nil {
			return err
		}
		if err := pause.For(ctx, l.UpTo(30*ms)); err != nil {
			return err
		}
		if err := w.killed(ctx, l, "while records are refused"); err != nil {
			return err
		}
	}
	w.hook.Be(outlets.Mood{})
	return w.kafka.RefuseAll(false)
}

func (w *outside) cut(ctx context.Context, l *life.Life) error {
	for range 4 {
		for _, p := range w.proxies() {
			p.Cut()
		}
		if err := pause.For(ctx, l.UpTo(400*ms)); err != nil {
			return err
		}
	}
	for _, p := range w.proxies() {
		p.Hold(true)
	}
	err := pause.For(ctx, time.Second+l.UpTo(2*time.Second)) // an attempt may take two
	for _, p := range w.proxies() {
		p.Hold(false)
	}
	return err
}

func (w *outside) kill(ctx context.Context, l *life.Life) error {
	for range 3 {
		if err := pause.For(ctx, l.UpTo(600*ms)); err != nil {
			return err
		}
		if err := w.killed(ctx, l, "while it sends"); err != nil {
			return err
		}
	}
	return nil
}

// reload changes every sink, adds one that begins with the oldest record, and tries a
// configuration that is wrong, which has to change nothing.
func (w *outside) reload(ctx context.Context, l *life.Life) error {
	if last := w.all[len(w.all)-1]; last.Name() != "late" {
		w.all = append(w.all, outlets.NewFiles("late", l.Node.Dir+".late"))
	}
	for _, batch := range []int{50, 500, 20, 200} {
		if err := w.configure(l, batch); err != nil {
			return err
		}
		l.Node.Signal(syscall.SIGHUP)
		if err := pause.For(ctx, 100*ms+l.UpTo(400*ms)); err != nil {
			return err
		}
	}
	b, err := os.ReadFile(w.config)
	if err != nil {
		return err
	}
	if err := os.WriteFile(w.config, []byte("sinks: [{name: hook, type: nothing}]\n"), 0o600); err != nil {
		return err
	}
	l.Node.Signal(syscall.SIGHUP)
	if err := pause.For(ctx, 300*ms); err != nil {
		return err
	}
	if err := os.WriteFile(w.config, b, 0o600); err != nil {
		return err
	}
	l.Node.Signal(syscall.SIGHUP)
	return nil
}

func (w *outside) rewind(ctx context.Context, l *life.Life) error {
	// Not later than what has left: from there on something would be left out.
	since := w.sent.Add(-3 * time.Second).UTC().Format(time.RFC3339)
	for sink, to := range map[string]string{"files": "oldest", "hook": since, "redis": since, "nats": since, "mqtt": since, "postgres": since, "kafka": since} {
		if err := l.Node.Rewind(ctx, sink, to); err != nil {
			return fmt.Errorf("rewind %s to %s: %w", sink, to, err)
		}
	}
	if err := pause.For(ctx, l.UpTo(300*ms)); err != nil {
		return err
	}
	return w.killed(ctx, l, "while its sinks catch up")
}
