package fault

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// settleLimit is how long devices may take to have everything acknowledged after
// the last fault.
const settleLimit = 90 * time.Second

// verify lets everything settle and holds the node to its promises.
func (l *Life) verify(ctx context.Context) error {
	l.Crew.Produce(false)
	began := time.Now()
	if err := l.await(ctx, settleLimit, "all devices to be connected and acknowledged", l.settled); err != nil {
		return err
	}
	l.Result.Settle = time.Since(began).Seconds()
	if !l.settled() {
		l.Journal.Break(l.stuck()...)
	}
	for l.Crew.Left() > 0 { // each ends by itself, or is a violation, after oldLimit
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	l.orders.stop()
	l.Journal.Break(l.orders.verify(ctx)...)
	if err := l.checkPresence(ctx); err != nil {
		return err
	}
	if err := l.checkKept(ctx, true); err != nil {
		return err
	}
	if l.upstream != nil {
		if err := l.upstream.mislead(ctx, l.Crew.Records()); err != nil {
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
	for _, n := range l.nodes() {
		l.end(n)
	}
	return nil
}

// end stops a node in good order.
func (l *Life) end(n *Node) {
	if code := n.Stop(30 * time.Second); code != 0 {
		l.Journal.Break(Violation{Promise: Died, Detail: fmt.Sprintf("SIGTERM ended the node with exit code %d: %s", code, n.LogTail(500))})
	}
}

func (l *Life) settled() bool {
	if l.Crew.Online() != l.Options.Devices {
		return false
	}
	sent, acked := l.Crew.Totals()
	return sent == acked
}

// stuck names devices that do not settle.
func (l *Life) stuck() (vs []Violation) {
	for _, d := range l.Crew.devices {
		if sent, acked := d.sent.Load(), d.acked.Load(); sent != acked || !d.online.Load() {
			vs = append(vs, Violation{Promise: Stuck, Device: d.name, Seq: acked + 1, Detail: fmt.Sprintf("sent 1..%d, acknowledged 1..%d, online %t", sent, acked, d.online.Load())})
		}
	}
	return vs
}

// listed is the list of the node, or what the lists of both say together: a device
// that is connected to one is not listed as gone by the other.
func (l *Life) listed(ctx context.Context) ([]Listed, error) {
	if l.Second == nil {
		return l.Node.Devices(ctx)
	}
	var all [2][]Listed
	for i, n := range l.nodes() {
		list, err := n.Devices(ctx)
		if err != nil {
			return nil, err
		}
		all[i] = list
	}
	return together(all[0], all[1]), nil
}

// together joins the lists of two nodes: where a device is online, or once that it
// is gone.
func together(lists ...[]Listed) (all []Listed) {
	known := map[string]bool{}
	for _, online := range []bool{true, false} {
		for _, list := range lists {
			for _, e := range list {
				if e.Online == online && (online || !known[e.Device]) {
					known[e.Device] = true
					all = append(all, e)
				}
			}
		}
	}
	return all
}

// checkPresence holds the node's list against who is connected.
func (l *Life) checkPresence(ctx context.Context) error {
	listed, err := l.listed(ctx)
	if err != nil {
		return err
	}
	l.Journal.Break(comparePresence(listed, l.Crew.Records(), true)...)
	return nil
}

// comparePresence says where a node's list differs from devices that are all
// connected, or all gone.
func comparePresence(listed []Listed, records []Record, online bool) (vs []Violation) {
	seen := map[string]Listed{}
	for _, e := range listed {
		if _, twice := seen[e.Device]; twice {
			vs = append(vs, Violation{Promise: TwoLives, Device: e.Device, Detail: "is listed twice"})
		}
		seen[e.Device] = e
	}
	for _, r := range records {
		e, ok := seen[r.Device]
		switch {
		case online && !ok:
			vs = append(vs, Violation{Promise: Presence, Device: r.Device, Detail: "is connected and not listed"})
		case ok && e.Online != online:
			vs = append(vs, Violation{Promise: Presence, Device: r.Device, Detail: fmt.Sprintf("is listed with online=%t", e.Online)})
		case online && e.Epoch != r.Epoch:
			vs = append(vs, Violation{Promise: TwoLives, Device: r.Device, Detail: fmt.Sprintf("is listed with epoch %d, its newest session has %d", e.Epoch, r.Epoch)})
		}
	}
	return vs
}

// checkLog reads the log back and holds it against the records.
func (l *Life) checkLog(ctx context.Context) error {
	records := l.Crew.Records()
	c := NewChecker(records)
	if err := l.Node.Tail(ctx, c.Line); err != nil {
		return fmt.Errorf("read the log back: %w", err)
	}
	l.Result.Logged = c.Lines()
	broken := c.Finish()
	l.Journal.Break(broken...)
	if len(broken) > 0 {
		return l.keep(broken, records)
	}
	return nil
}

// keep writes the shortest history of the first few violations to a file.
func (l *Life) keep(broken []Violation, records []Record) error {
	var b strings.Builder
	injected := l.Journal.Events()
	told := map[string]bool{}
	for _, v := range broken {
		if len(told) == 5 || told[v.Device] {
			continue // one of each device says it
		}
		told[v.Device] = true
		i := slices.IndexFunc(records, func(r Record) bool { return r.Device == v.Device })
		if i >= 0 {
			Explain(&b, v, records[i], injected)
		}
	}
	l.Result.History = b.String()
	return os.WriteFile(l.Node.Log+".history", []byte(l.Result.History), 0o600)
}

// checkGone sends all devices home: the node must know it, and hold no more than
// before they came.
func (l *Life) checkGone(ctx context.Context) error {
	l.Crew.Park(true)
	var vs []Violation
	gone := func() bool {
		listed, err := l.listed(ctx)
		if err != nil {
			vs = []Violation{{Promise: Presence, Detail: err.Error()}}
			return false
		}
		vs = comparePresence(listed, l.Crew.Records(), false)
		return len(vs) == 0
	}
	for deadline := time.Now().Add(15 * time.Second); !gone() && time.Now().Before(deadline); {
		if err := pause(ctx, 100*time.Millisecond); err != nil {
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
	moreRSS   = 192 << 20
	usageWait = 20 * time.Second
)

// checkUsage waits for descriptors to come back; memory must stay below a bound.
func (l *Life) checkUsage(ctx context.Context) error {
	var u usage
	var err error
	for deadline := time.Now().Add(usageWait); ; {
		if u, err = readUsage(l.Node.PID()); err != nil {
			return err
		}
		if u.fds <= l.baseline.fds+moreFDs || time.Now().After(deadline) {
			break
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	l.Result.FDs, l.Result.RSS = u.fds, u.rss
	l.Result.FDsBefore, l.Result.RSSBefore = l.baseline.fds, l.baseline.rss
	if u.fds > l.baseline.fds+moreFDs {
		l.Journal.Break(Violation{Promise: Resources, Detail: fmt.Sprintf("%d descriptors after everybody left, %d before they came", u.fds, l.baseline.fds)})
	}
	if !l.Scenario.NoResources && u.rss > l.baseline.rss+moreRSS {
		l.Journal.Break(Violation{Promise: Resources, Detail: fmt.Sprintf("%d MiB after everybody left, %d MiB before they came", u.rss>>20, l.baseline.rss>>20)})
	}
	return nil
}
