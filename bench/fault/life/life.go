package life

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"edgeloop/bench/fault/crew"
	"edgeloop/bench/fault/faults"
	"edgeloop/bench/fault/history"
	"edgeloop/bench/fault/node"
	"edgeloop/bench/fault/tricks"
	"edgeloop/internal/pause"
)

// Options say how a scenario is run.
type Options struct {
	Binary  string        // the edgeloop program
	Work    string        // directory for data and logs of nodes; made if missing
	Devices int           // recording devices; 0: the scenario's own number
	Rounds  int           // faults injected in one life of a node's log
	Window  int           // most unacknowledged messages of a device
	Load    time.Duration // longest time of load between two faults
	Seed    uint64        // of everything random
	Flags   []string      // further flags of the node
	Scale   int           // times as many hostile peers beside a control group; 0: 1
	Out     io.Writer     // progress, one line for each life
}

// Scenario is one way to hurt a node.
type Scenario struct {
	Name, About string
	Rounds      int           // faults in one life; 0: Options.Rounds
	Devices     int           // 0: Options.Devices
	Patience    time.Duration // silence after which a device with unacknowledged messages reconnects; 0: 15 s
	Tick        time.Duration // how often a quiet device checks for work; 0: 100 ms, or Pace if that is less
	Pace        time.Duration // time between a device's messages; 0: as fast as possible
	Padding     int           // bytes added to each message
	Flags       []string      // of the node
	Open        bool          // breaks a promise today, or needs a machine of its own: run only by name
	Alone       bool          // Act checks by itself, and leaves nothing to verify
	Control     bool          // the crew is a control group: how long it waits is measured
	NoResources bool          // memory is not compared: the scenario bounds it another way

	Setup   func(ctx context.Context, l *Life) error // before the node is started
	Act     func(ctx context.Context, l *Life) error // under load
	Cleanup func(l *Life)                            // after everything
}

// Life is one log from an empty directory to its check: a node that may be killed
// and started many times, a crew, and a journal. It belongs to one goroutine.
type Life struct {
	Scenario   Scenario
	Options    Options
	Node       *node.Node
	Second     *node.Node // of a cluster; nil: there is none
	Crew       *crew.Crew
	Journal    *history.Journal
	Rng        *rand.Rand
	Result     Result
	Net        *faults.Namespace // where devices live
	Weather    *faults.Weather
	Upstream   *node.Upstream
	Image      *faults.Image
	Throttle   *faults.Throttle // of the image
	URL        string
	Token      func(device string) string // what devices show; nil: nothing
	Secret     string                     // file of the secret of tokens
	Doors      *tricks.Doors              // of a node that is open to all tricks
	Publishers *crew.Publishers           // devices that speak MQTT beside the crew; nil: there are none
	TLS        *tls.Config                // the crew connects by TLS, to Doors.WSS; nil: without

	undo     []func()
	orders   *orders
	baseline node.Usage
}

// Run runs one life. The error says that the run could not be carried out; what
// the node did wrong is in the result.
func Run(ctx context.Context, o Options, s Scenario) (Result, error) {
	if s.Devices != 0 {
		o.Devices = s.Devices
	}
	if s.Rounds != 0 {
		o.Rounds = s.Rounds
	}
	l := &Life{
		Scenario: s, Options: o, Journal: history.NewJournal(),
		Rng:    rand.New(rand.NewPCG(o.Seed, 1)), //nolint:gosec // repeatable, not secret
		Result: Result{Scenario: s.Name, Seed: o.Seed, Devices: o.Devices},
	}
	began := time.Now()
	err := l.live(ctx)
	if err != nil {
		l.Note("not carried out: %.500v", err)
	}
	l.close()
	l.Result.Seconds = time.Since(began).Seconds()
	l.report()
	return l.Result, err
}

func (l *Life) live(ctx context.Context) error {
	if err := l.prepare(ctx); err != nil {
		return err
	}
	if err := l.Boot(ctx); err != nil {
		return err
	}
	var err error
	if l.baseline, err = node.ReadUsage(l.Node.PID()); err != nil {
		return err
	}
	tick := l.Scenario.Tick
	if tick == 0 {
		tick = 100 * time.Millisecond
	}
	if l.Scenario.Pace > 0 {
		tick = min(tick, l.Scenario.Pace)
	}
	var m *crew.Meter
	if l.Scenario.Control {
		m = &crew.Meter{}
	}
	l.Crew = crew.Start(ctx, crew.Config{
		URLs: l.urls(), Count: l.Options.Devices, Window: l.Options.Window, Pace: l.Scenario.Pace, Padding: l.Scenario.Padding,
		Tick: tick, Patience: cmp.Or(l.Scenario.Patience, 15*time.Second), Backoff: 800 * time.Millisecond,
		Seed: l.Options.Seed, Net: l.Net, Token: l.Token, TLS: l.TLS, Meter: m,
	}, l.Journal)
	l.orders = startOrders(ctx, l)
	if err := l.Await(ctx, l.Patience(30*time.Second), "all devices to connect", func() bool { return l.Crew.Online() == l.Options.Devices }); err != nil {
		return err
	}
	if err := l.Scenario.Act(ctx, l); err != nil || l.Scenario.Alone {
		return err
	}
	return l.verify(ctx)
}

// prepare makes the directories and the node, not yet started.
func (l *Life) prepare(ctx context.Context) error {
	o := &l.Options
	dir := filepath.Join(o.Work, fmt.Sprintf("%s-%d", l.Scenario.Name, o.Seed))
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	l.Defer(func() {
		if len(l.Result.Violations) == 0 {
			os.RemoveAll(dir) //nolint:errcheck // only tidying up
		}
	})
	addrs, err := node.FreeAddrs(2)
	if err != nil {
		return err
	}
	l.Node = &node.Node{
		Binary: o.Binary, Dir: filepath.Join(dir, "data"), Log: filepath.Join(dir, "node.log"), Listen: addrs[0], Admin: addrs[1],
		Flags: append([]string{"--auth=none", "--log-level=warn", "--drain-window=1s", "--retry-after=1s"}, append(l.Scenario.Flags, o.Flags...)...),
	}
	l.Defer(l.Node.Kill)
	if l.Scenario.Setup != nil {
		if err := l.Scenario.Setup(ctx, l); err != nil {
			return fmt.Errorf("set %s up: %w", l.Scenario.Name, err)
		}
	}
	l.URL = l.urls()[0]
	return nil
}

// Nodes are the node, and the second if there is one.
func (l *Life) Nodes() []*node.Node {
	if l.Second == nil {
		return []*node.Node{l.Node}
	}
	return []*node.Node{l.Node, l.Second}
}

// urls is where devices connect, one for each node.
func (l *Life) urls() (urls []string) {
	if l.TLS != nil { // the crew's own dialer makes it wss
		return []string{"ws://" + l.Doors.WSS + "/v1/device"}
	}
	for _, n := range l.Nodes() {
		urls = append(urls, "ws://"+n.Listen+"/v1/device")
	}
	return urls
}

// Patience is limit, and 15 ms for each device of a large crew.
func (l *Life) Patience(limit time.Duration) time.Duration {
	return limit + time.Duration(l.Options.Devices)*15*time.Millisecond
}

// Boot starts the nodes that are down, waits until they are ready, and records how long that
// took.
func (l *Life) Boot(ctx context.Context) error {
	for _, n := range l.Nodes() {
		if n.Alive() {
			continue
		}
		if err := l.bootNode(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

func (l *Life) bootNode(ctx context.Context, n *node.Node) error {
	began := time.Now()
	if err := n.Boot(ctx); err != nil {
		l.Journal.Break(history.Violation{Promise: history.Died, Detail: err.Error()})
		return err
	}
	took := time.Since(began)
	l.Result.WorstBoot = max(l.Result.WorstBoot, took.Seconds())
	l.Journal.Inject("ready after %s", took.Round(time.Millisecond))
	return nil
}

// Kill ends the node with SIGKILL and counts it.
func (l *Life) Kill(why string) {
	l.Journal.Inject("kill -9 %s", why)
	l.Node.Kill()
	l.Result.Kills++
}

// Defer calls fn at the end of the life, the last one first.
func (l *Life) Defer(fn func()) { l.undo = append(l.undo, fn) }

func (l *Life) close() {
	if l.orders != nil {
		l.orders.stop()
	}
	if l.Crew != nil {
		l.Crew.Stop()
		l.Result.Ends = l.Crew.Ends()
		l.Result.Sent, l.Result.Acked = l.Crew.Totals()
	}
	if l.Publishers != nil {
		l.Publishers.Stop()
		sent, acked := l.Publishers.Totals()
		l.Result.Sent, l.Result.Acked = l.Result.Sent+sent, l.Result.Acked+acked
	}
	if l.Node != nil {
		for _, n := range l.Nodes() {
			if line := n.Crashed(); line != "" {
				l.Journal.Break(history.Violation{Promise: history.Died, Detail: line})
			}
		}
	}
	kept, more := l.Journal.Violations()
	for _, v := range kept {
		l.Result.Violations = append(l.Result.Violations, v.String())
	}
	l.Result.MoreViolations = more
	for i := len(l.undo) - 1; i >= 0; i-- {
		l.undo[i]()
	}
	if l.Scenario.Cleanup != nil {
		l.Scenario.Cleanup(l)
	}
}

// Load lets the devices stream for a random time up to Options.Load.
func (l *Life) Load(ctx context.Context) error {
	return pause.For(ctx, l.UpTo(l.Options.Load))
}

// UpTo is a random time below d.
func (l *Life) UpTo(d time.Duration) time.Duration { return time.Duration(l.Rng.Int64N(int64(d) + 1)) }

// Await waits until ok. If limit passes first, that is a violation, and the life goes on.
func (l *Life) Await(ctx context.Context, limit time.Duration, what string, ok func() bool) error {
	for deadline := time.Now().Add(limit); !ok(); {
		if time.Now().After(deadline) {
			l.Journal.Break(history.Violation{Promise: history.Stuck, Detail: fmt.Sprintf("waited %s in vain for %s", limit, what)})
			return nil
		}
		if err := pause.For(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// Progress waits until the crew has this many more messages acknowledged.
func (l *Life) Progress(ctx context.Context, limit time.Duration, more uint64) error {
	_, before := l.Crew.Totals()
	return l.Await(ctx, limit, fmt.Sprintf("%d more acknowledgements", more), func() bool {
		_, acked := l.Crew.Totals()
		return acked >= before+more
	})
}

// Recover waits until all devices are back and make progress.
func (l *Life) Recover(ctx context.Context) error {
	if err := l.Await(ctx, l.Patience(60*time.Second), "all devices to come back", func() bool { return l.Crew.Online() == l.Options.Devices }); err != nil {
		return err
	}
	return l.Progress(ctx, 60*time.Second, uint64(l.Options.Devices)) //nolint:gosec // a count
}
