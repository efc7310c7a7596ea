package scenarios

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"edgeloop/bench/fault/history"
	"edgeloop/bench/fault/life"
	"edgeloop/bench/fault/node"
	"edgeloop/bench/fault/outlets"
	"edgeloop/internal/pause"
)

// outside is a node's sinks, and where they send to.
type outside struct {
	config string // file
	hook   *outlets.Webhook
	redis  *outlets.Redis
	nats   *outlets.NATS
	mqtt   *outlets.MQTT
	pg     *outlets.Postgres
	kafka  *outlets.Kafka
	files  *outlets.Files
	all    []outlets.Outlet // those that the node is configured with
	came   map[string]*history.Arrivals
	visits *history.Visits // of which the log tells by now
	sent   time.Time       // when all that there was had been sent
}

// sinks hurts what a node sends to, and the node, and holds every destination against what
// the devices wrote down after each fault. With --seed=N it begins with the Nth fault.
func sinks() life.Scenario {
	w := &outside{}
	return life.Scenario{
		Name: "sinks", About: "seven destinations down, slow, restarted, failing, refusing, cut off; the node killed, reloaded, rewound (needs redis-server, mosquitto, postgresql and nats-server)",
		Rounds: len(w.faults()), Devices: 60, Pace: 60 * ms, Flags: []string{"--events=connected,disconnected"}, Setup: w.setup, Act: w.act,
	}
}

// setup starts the destinations, and has the node configured with sinks to them.
func (w *outside) setup(ctx context.Context, l *life.Life) error {
	binary, err := natsServer()
	if err != nil {
		return err
	}
	addrs, err := node.FreeAddrs(14) // the node has the first two
	if err != nil {
		return err
	}
	dir := filepath.Dir(l.Node.Dir)
	w.sent = time.Now()
	if w.hook, err = outlets.NewWebhook(addrs[2], addrs[3], filepath.Join(dir, "token")); err != nil {
		return err
	}
	l.Defer(w.hook.Close)
	names := make([]string, l.Options.Devices)
	for i := range names {
		names[i] = fmt.Sprintf("d%05d", i)
	}
	if w.redis, err = outlets.NewRedis(ctx, addrs[4], addrs[5], filepath.Join(dir, "redis"), names); err != nil {
		return err
	}
	l.Defer(w.redis.Close)
	if w.nats, err = outlets.NewNATS(ctx, binary, addrs[6], addrs[7], filepath.Join(dir, "nats")); err != nil {
		return err
	}
	l.Defer(w.nats.Close)
	if w.mqtt, err = outlets.NewMQTT(ctx, addrs[8], addrs[9], filepath.Join(dir, "mqtt")); err != nil {
		return err
	}
	l.Defer(w.mqtt.Close)
	if w.pg, err = outlets.NewPostgres(ctx, addrs[10], addrs[11]); err != nil {
		return err
	}
	l.Defer(w.pg.Close)
	if w.kafka, err = outlets.NewKafka(addrs[12], addrs[13], filepath.Join(dir, "kafka"), true); err != nil {
		return err
	}
	l.Defer(w.kafka.Close)
	w.files = outlets.NewFiles("files", filepath.Join(dir, "files"))
	w.all = []outlets.Outlet{w.hook, w.redis, w.nats, w.mqtt, w.pg, w.kafka, w.files}
	l.Defer(l.Node.Kill) // before those it speaks to
	return w.configure(l, 200)
}

// further keys have files end often, streams forget nothing, and bodies packed.
var further = map[string]string{
	"hook": ", gzip: true", "redis": ", max_len: 100000000",
	"files": ", max_size: 100KiB, gzip: true", "late": ", max_size: 100KiB, gzip: true",
}

// configure writes the configuration file, with batches of a size.
func (w *outside) configure(l *life.Life, batch int) error {
	if w.config == "" || !strings.HasPrefix(w.config, filepath.Dir(l.Node.Dir)) {
		w.config = filepath.Join(filepath.Dir(l.Node.Dir), "edgeloop.yaml")
		l.Node.Flags = append(l.Node.Flags, "--config="+w.config)
	}
	var b strings.Builder
	b.WriteString("sinks:\n")
	for _, o := range w.all {
		fmt.Fprintf(&b, "  - {name: %s, %s%s, batch: {records: %d, wait: 20ms}, retry: {least: 20ms, most: 400ms}, timeout: 2s}\n", o.Name(), o.Keys(), further[o.Name()], batch)
	}
	return os.WriteFile(w.config, []byte(b.String()), 0o600)
}

// act injects one fault after the other, and checks what came after each. It ends with the
// first that breaks a promise: what is lost stays lost.
func (w *outside) act(ctx context.Context, l *life.Life) error {
	faults := w.faults()
	for i := range l.Options.Rounds {
		f := faults[(i+int(l.Options.Seed)-1)%len(faults)] //nolint:gosec // a small seed
		if err := l.Load(ctx); err != nil {
			return err
		}
		l.Journal.Inject("sinks: %s", f.name)
		if err := f.hurt(ctx, l); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		l.Result.Faults++
		l.Journal.Inject("all is well again")
		if err := l.Recover(ctx); err != nil {
			return err
		}
		if sound, err := w.check(ctx, l); err != nil || !sound {
			l.Note("the last fault: %s", f.name)
			return err
		}
		l.Crew.Produce(true)
	}
	for _, o := range w.all {
		a := w.came[o.Name()]
		l.Note("%s: %d records came, %d of them again", o.Name(), a.Lines(), a.Repeats())
	}
	l.Note("%d begins and ends of connections were told to each", w.visits.Count())
	l.Note("hook refused %d records, kafka %d", w.hook.RefusedCount(), w.kafka.RefusedCount())
	return l.Rebase()
}

// check lets everything settle and leave the node, and holds each destination against the
// records of the devices.
func (w *outside) check(ctx context.Context, l *life.Life) (sound bool, err error) {
	l.Crew.Produce(false)
	if err := l.Await(ctx, life.SettleLimit, "all devices to be connected and acknowledged", l.Settled); err != nil {
		return false, err
	}
	if err := w.readVisits(ctx, l); err != nil {
		return false, err
	}
	if err := allSent(ctx, l, len(w.all)); err != nil {
		return false, err
	}
	records := l.Crew.Records()
	w.sent = time.Now()
	w.came = map[string]*history.Arrivals{}
	sound = true
	for _, o := range w.all {
		a, err := arrivals(ctx, l, o, records, w.visits, 0)
		if err != nil {
			return false, err
		}
		w.came[o.Name()] = a
		broken := a.Finish()
		l.Journal.Break(broken...)
		if len(broken) > 0 {
			sound = false
			if err := l.Keep(broken, records); err != nil {
				return false, err
			}
		}
	}
	kept, _ := l.Journal.Violations()
	return sound && len(kept) == 0, nil
}

// readVisits reads in the log of which connections the destinations have to be told. A node that
// has too much to do may keep none, and says so.
func (w *outside) readVisits(ctx context.Context, l *life.Life) error {
	w.visits = history.NewVisits(l.Crew.Records())
	if err := l.Node.Tail(ctx, w.visits.Line); err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	broken := w.visits.Finish()
	if said, err := os.ReadFile(l.Node.Log); len(broken) > 0 && err == nil && bytes.Contains(said, []byte("the node has more to do than it can")) {
		l.Note("%d begins or ends of connections are not in the log: the node had too much to do", len(broken))
		return nil
	}
	l.Journal.Break(broken...)
	return nil
}

// arrivals reads what came at an outlet, but for the first records, and its sink's dead letters.
// With visits the outlet is to be told of these.
func arrivals(ctx context.Context, l *life.Life, o outlets.Outlet, records []history.Record, visits *history.Visits, skip int) (*history.Arrivals, error) {
	a := history.NewArrivals(o.Name(), records, visits, o.Refused)
	err := o.Read(ctx, func(_ time.Time, line []byte) error {
		if skip--; skip >= 0 {
			return nil
		}
		return a.Line(line)
	})
	if err != nil {
		return nil, fmt.Errorf("read what came at %s: %w", o.Name(), err)
	}
	if err := l.Node.Letters(ctx, o.Name(), a.Letter); err != nil {
		return nil, fmt.Errorf("dead letters of %s: %w", o.Name(), err)
	}
	return a, nil
}

// allSent waits until the node says that its sinks have sent everything, for as long as they come
// nearer.
func allSent(ctx context.Context, l *life.Life, count int) error {
	const patience, limit = 60 * time.Second, 5 * time.Minute
	best, since := uint64(math.MaxUint64), time.Now()
	for deadline := since.Add(limit); ; {
		all, err := l.Node.Sinks(ctx)
		left, lag, said := count, uint64(0), fmt.Sprint(err)
		for _, s := range all {
			if s.Lag != nil && *s.Lag == 0 {
				left--
				continue
			}
			if s.Lag != nil {
				lag += *s.Lag
			}
			said += fmt.Sprintf("; %s is %s at %s: %s", s.Name, s.State, cmp.Or(s.Place, "no place"), s.LastError)
		}
		now := time.Now()
		switch {
		case err == nil && left == 0:
			return nil
		case err == nil && lag < best:
			best, since = lag, now
		case now.Sub(since) > patience || now.After(deadline):
			l.Journal.Break(history.Violation{Promise: history.Stuck, Detail: fmt.Sprintf("the sinks do not send everything: %d records are left, for %s", lag, now.Sub(since).Round(time.Second))})
			l.Note("the sinks: %.500s", said)
			return nil
		}
		if err := pause.For(ctx, 20*ms); err != nil {
			return err
		}
	}
}
