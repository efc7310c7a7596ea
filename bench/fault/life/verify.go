package life

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"edgeloop/bench/fault/history"
	"edgeloop/bench/fault/node"
	"edgeloop/internal/pause"
)

// checkKept waits until the kept presence of the devices, all connected or all gone, is true.
// Presence is published soon after a change, not at once.
func (l *Life) checkKept(ctx context.Context, online bool) error {
	if l.Upstream == nil {
		return nil
	}
	var vs []history.Violation
	err := l.Await(ctx, 15*time.Second, "presence that is kept to be true", func() bool {
		all, err := l.Upstream.Kept(ctx)
		if err != nil {
			vs = []history.Violation{{Promise: history.Presence, Detail: err.Error()}}
			return false
		}
		vs = history.ComparePresence(all, l.Crew.Records(), online)
		return len(vs) == 0
	})
	for i := range vs {
		vs[i].Detail = "kept on the NATS server: " + vs[i].Detail
	}
	l.Journal.Break(vs...)
	return err
}

// Rebase makes what the node holds now, without its devices, the level to return to.
func (l *Life) Rebase() (err error) {
	l.baseline, err = node.ReadUsage(l.Node.PID())
	l.baseline.FDs -= l.Crew.OnlineAt(0)
	return err
}

// SettleLimit is how long it may take after the last fault until everything is acknowledged.
const SettleLimit = 90 * time.Second

// verify lets everything settle and holds the node to its promises.
func (l *Life) verify(ctx context.Context) error {
	l.Crew.Produce(false)
	began := time.Now()
	if err := l.Await(ctx, SettleLimit, "all devices to be connected and acknowledged", l.Settled); err != nil {
		return err
	}
	l.Result.Settle = time.Since(began).Seconds()
	if !l.Settled() {
		l.Journal.Break(l.Crew.Stuck()...)
	}
	for l.Crew.Left() > 0 { // each ends by itself, or is a violation, after oldLimit
		if err := pause.For(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	l.orders.stop()
	l.Journal.Break(l.orders.verify(ctx)...)
	if err := l.CheckPresence(ctx); err != nil {
		return err
	}
	if err := l.checkKept(ctx, true); err != nil {
		return err
	}
	if l.Upstream != nil {
		if err := l.Upstream.Mislead(ctx, l.Crew.Records()); err != nil {
			return err
		}
		if err := l.checkKept(ctx, true); err != nil {
			return err
		}
	}
	if err := l.checkLog(ctx); err != nil {
		return err
	}
	if err := l.checkGone(ctx); err != nil {
		return err
	}
	for _, n := range l.Nodes() {
		l.End(n)
	}
	return nil
}

// End stops a node in good order.
func (l *Life) End(n *node.Node) {
	if code := n.Stop(30 * time.Second); code != 0 {
		l.Journal.Break(history.Violation{Promise: history.Died, Detail: fmt.Sprintf("SIGTERM ended the node with exit code %d: %s", code, n.LogTail(500))})
	}
}

// Settled says whether all devices are connected and have everything acknowledged.
func (l *Life) Settled() bool {
	if l.Crew.Online() != l.Options.Devices {
		return false
	}
	sent, acked := l.Crew.Totals()
	return sent == acked
}

// listed is the list of the node, or the joined lists of both: a device that is connected to one
// node is not listed as gone by the other.
func (l *Life) listed(ctx context.Context) ([]history.Listed, error) {
	if l.Second == nil {
		return l.Node.Devices(ctx)
	}
	var all [2][]history.Listed
	for i, n := range l.Nodes() {
		list, err := n.Devices(ctx)
		if err != nil {
			return nil, err
		}
		all[i] = list
	}
	return history.Together(all[0], all[1]), nil
}

// CheckPresence compares the node's list with the connected devices.
func (l *Life) CheckPresence(ctx context.Context) error {
	listed, err := l.listed(ctx)
	if err != nil {
		return err
	}
	l.Journal.Break(history.ComparePresence(listed, l.Crew.Records(), true)...)
	return nil
}

// checkLog reads the log back and compares it with the records.
func (l *Life) checkLog(ctx context.Context) error {
	records := l.Crew.Records()
	c := history.NewChecker(records)
	if err := l.Node.Tail(ctx, c.Line); err != nil {
		return fmt.Errorf("read the log back: %w", err)
	}
	l.Result.Logged = c.Lines()
	broken := c.Finish()
	l.Journal.Break(broken...)
	if len(broken) > 0 {
		return l.Keep(broken, records)
	}
	return nil
}

// Keep writes the shortest history of the first few violations to a file.
func (l *Life) Keep(broken []history.Violation, records []history.Record) error {
	var b strings.Builder
	injected := l.Journal.Events()
	told := map[string]bool{}
	for _, v := range broken {
		if len(told) == 5 || told[v.Device] {
			continue // one of each device says it
		}
		told[v.Device] = true
		i := slices.IndexFunc(records, func(r history.Record) bool { return r.Device == v.Device })
		if i >= 0 {
			history.Explain(&b, v, records[i], injected)
		}
	}
	l.Result.History = b.String()
	return os.WriteFile(l.Node.Log+".history", []byte(l.Result.History), 0o600)
}

// checkGone sends all devices home. The node must notice, and hold no more than before they came.
func (l *Life) checkGone(ctx context.Context) error {
	l.Crew.Park(true)
	var vs []history.Violation
	gone := func() bool {
		listed, err := l.listed(ctx)
		if err != nil {
			vs = []history.Violation{{Promise: history.Presence, Detail: err.Error()}}
			return false
		}
		vs = history.ComparePresence(listed, l.Crew.Records(), false)
		return len(vs) == 0
	}
	for deadline := time.Now().Add(15 * time.Second); !gone() && time.Now().Before(deadline); {
		if err := pause.For(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	l.Journal.Break(vs...)
	if err := l.checkKept(ctx, false); err != nil {
		return err
	}
	return l.checkUsage(ctx)
}

// Bounds of what a node may hold, beyond what it held before the devices came.
const (
	moreFDs   = 16
	MoreRSS   = 192 << 20
	UsageWait = 20 * time.Second
)

// checkUsage waits for descriptors to come back; memory must stay below a bound.
func (l *Life) checkUsage(ctx context.Context) error {
	var u node.Usage
	var err error
	for deadline := time.Now().Add(UsageWait); ; {
		if u, err = node.ReadUsage(l.Node.PID()); err != nil {
			return err
		}
		if u.FDs <= l.baseline.FDs+moreFDs || time.Now().After(deadline) {
			break
		}
		if err := pause.For(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	l.Result.FDs, l.Result.RSS = u.FDs, u.RSS
	l.Result.FDsBefore, l.Result.RSSBefore = l.baseline.FDs, l.baseline.RSS
	if u.FDs > l.baseline.FDs+moreFDs {
		l.Journal.Break(history.Violation{Promise: history.Resources, Detail: fmt.Sprintf("%d descriptors after everybody left, %d before they came", u.FDs, l.baseline.FDs)})
	}
	if !l.Scenario.NoResources && u.RSS > l.baseline.RSS+MoreRSS {
		l.Journal.Break(history.Violation{Promise: history.Resources, Detail: fmt.Sprintf("%d MiB after everybody left, %d MiB before they came", u.RSS>>20, l.baseline.RSS>>20)})
	}
	return nil
}
