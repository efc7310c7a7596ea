package scenarios

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"edgeloop/bench/fault/crew"
	"edgeloop/bench/fault/history"
	"edgeloop/bench/fault/life"
	"edgeloop/bench/fault/outlets"
)

// sinksLog has the log of a node made anew under a sink whose place is of the old one. The
// sink has to say so and stand still until it is rewound, also when the new log has grown
// beyond its place: whatever lies in front of that would never leave.
func sinksLog() life.Scenario {
	w := &outside{}
	return life.Scenario{
		Name: "sinks-log", About: "the log is made anew, and a sink's place is of the old one",
		Devices: 50, Pace: 10 * ms, Alone: true, Act: w.otherLog,
		Setup: func(_ context.Context, l *life.Life) error {
			w.files = outlets.NewFiles("files", filepath.Join(filepath.Dir(l.Node.Dir), "files"))
			w.all = []outlets.Outlet{w.files}
			return w.configure(l, 200)
		},
	}
}

func (w *outside) otherLog(ctx context.Context, l *life.Life) error {
	if err := loadAndSendHome(ctx, l); err != nil {
		return err
	}
	if err := allSent(ctx, l, 1); err != nil {
		return err
	}
	old, err := arrivals(ctx, l, w.files, l.Crew.Records(), nil, 0)
	if err != nil {
		return err
	}
	l.Journal.Break(old.Finish()...)
	l.Kill("to take its log away")
	path, err := NewestBlock(l.Node.Dir)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Dir(filepath.Dir(path))); err != nil {
		return err
	}
	l.Result.Faults++
	if err := noticed(ctx, l, &harm{name: "the stream gone"}); err != nil {
		return err
	}
	records, err := w.fill(ctx, l, uint64(old.Lines())) //nolint:gosec // a count
	if err != nil {
		return err
	}
	l.Kill("over the new log")
	if err := l.Boot(ctx); err != nil {
		return err
	}
	if err := w.standsStill(ctx, l); err != nil {
		return err
	}
	if err := l.Node.Rewind(ctx, "files", "oldest"); err != nil {
		return err
	}
	if err := allSent(ctx, l, 1); err != nil {
		return err
	}
	a, err := arrivals(ctx, l, w.files, records, nil, old.Lines())
	if err != nil {
		return err
	}
	l.Journal.Break(a.Finish()...)
	l.Note("%d records of the old log came, %d of the new one", old.Lines(), a.Lines())
	endInOrder(l)
	return nil
}

// fill has devices of the same names fill the new log beyond the old one.
func (w *outside) fill(ctx context.Context, l *life.Life, beyond uint64) ([]history.Record, error) {
	c := crew.Start(ctx, crew.Config{
		URLs: []string{l.URL}, Count: l.Options.Devices, Window: l.Options.Window, Pace: l.Scenario.Pace,
		Tick: 10 * ms, Patience: 15 * time.Second, Backoff: 800 * ms, Seed: l.Options.Seed,
	}, l.Journal)
	defer c.Stop()
	if err := l.Await(ctx, time.Minute, "the new log to grow beyond the old one", func() bool {
		_, acked := c.Totals()
		return acked > beyond+500
	}); err != nil {
		return nil, err
	}
	c.Produce(false)
	err := l.Await(ctx, life.SettleLimit, "everything to be acknowledged", func() bool {
		sent, acked := c.Totals()
		return sent == acked
	})
	return c.Records(), err
}

// standsStill insists that the sink knows that its place is of another log.
func (w *outside) standsStill(ctx context.Context, l *life.Life) error {
	is := ""
	err := l.Await(ctx, 20*time.Second, "the sink to open its place", func() bool {
		all, err := l.Node.Sinks(ctx)
		if err == nil && len(all) == 1 {
			is = all[0].State
		}
		return is != "" && is != "starting"
	})
	if is != "misplaced" {
		l.Journal.Break(history.Violation{Promise: history.Silent, Detail: fmt.Sprintf("the place of the sink is of a log that is gone, and the sink is %s", is)})
	}
	return err
}
