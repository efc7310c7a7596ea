package sinks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"edgeloop/internal/pause"
)

// Kinds are the destinations that are measured.
func Kinds() []string {
	return []string{"file", "webhook", "redis", "nats", "mqtt", "postgres", "kafka", "grpc"}
}

// Run measures, and writes the page, also of what was measured before something failed.
// Progress goes to out.
func Run(ctx context.Context, o Options, out io.Writer) (err error) {
	if err := o.check(); err != nil {
		return err
	}
	if o.Work == "" {
		if o.Work, err = os.MkdirTemp("", "edgebench-sinks-"); err != nil {
			return err
		}
		defer os.RemoveAll(o.Work) //nolint:errcheck // only tidying up
	}
	for _, path := range []*string{&o.Binary, &o.NATS, &o.Telegraf} {
		if *path == "" {
			continue
		}
		if *path, err = filepath.Abs(*path); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, o.Limit)
	defer cancel()
	began, busy := time.Now(), loadAverage()
	var rows []Row
	for _, kind := range Kinds() {
		if len(o.Only) > 0 && !slices.Contains(o.Only, kind) {
			continue
		}
		row := one(ctx, out, began, kind, func(ctx context.Context, row *Row) error { return measure(ctx, o, row) })
		rows = append(rows, row)
	}
	var beside *Peer
	if o.Telegraf != "" {
		beside = &Peer{}
		beside.Row = one(ctx, out, began, "telegraf", func(ctx context.Context, row *Row) error { return measurePeer(ctx, o, row, beside) })
	}
	if err := write(o, rows, beside, began, busy); err != nil {
		return err
	}
	var failed error
	if beside != nil {
		rows = append(rows, beside.Row)
	}
	for _, row := range rows {
		if row.Failed != "" {
			failed = errors.Join(failed, fmt.Errorf("%s: %s", row.Kind, row.Failed))
		}
	}
	return failed
}

// one makes one row, whatever happens.
func one(ctx context.Context, out io.Writer, began time.Time, kind string, measure func(ctx context.Context, row *Row) error) Row {
	row := Row{Kind: kind}
	fmt.Fprintf(out, "%s: %s\n", time.Since(began).Round(time.Second), kind)
	ctx, cancel := context.WithTimeout(ctx, kindWithin)
	defer cancel()
	err := ctx.Err()
	if err == nil {
		err = measure(ctx, &row)
	}
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("there was no more time: %w", err)
	}
	if err != nil {
		row.Failed = strings.Join(strings.Fields(err.Error()), " ")
		fmt.Fprintf(out, "    %s\n", row.Failed)
	}
	return row
}

// measure makes the row of a sink.
func measure(ctx context.Context, o Options, row *Row) (err error) {
	if err := roomy(o.Work, min(room, 2*leastLeft+o.Backlog*4000)); err != nil {
		return err
	}
	t, err := newTarget(ctx, o, row.Kind)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	for _, step := range []func(context.Context, *target, *Row) error{steady, feeling, working, catching} {
		if err := step(ctx, t, row); err != nil {
			return err
		}
		t.place.forget()
	}
	return nil
}

// steady has the destination keep up, or not: then latency is that of a lower rate.
func steady(ctx context.Context, t *target, row *Row) (err error) {
	row.LatencyRate = t.opt.Rate
	if row.Latency, row.Behind, err = t.watched(ctx, t.opt.Rate); err != nil {
		return err
	}
	behind, d := row.Behind, t.opt.Duration.Seconds()
	for range 2 {
		left := (float64(row.LatencyRate)*d - float64(behind)) / d // a second
		if float64(behind) < left || row.LatencyRate < 100 {
			return nil // less than a second's waits
		}
		row.LatencyRate = max(100, int(left*7/10)/100*100)
		if row.Latency, behind, err = t.watched(ctx, row.LatencyRate); err != nil {
			return err
		}
	}
	return nil
}

// watched has devices send at a rate, and sees how late it arrives.
func (t *target) watched(ctx context.Context, rate int) (late Latency, behind uint64, err error) {
	if err := errors.Join(t.place.pause(ctx), t.place.newest(ctx), t.place.resume(ctx)); err != nil {
		return late, behind, err
	}
	if _, err := t.drained(ctx); err != nil {
		return late, behind, err
	}
	read := t.place.arrivals(ctx)
	if _, err = t.load(ctx, rate, t.opt.Duration); err != nil {
		return late, behind, err
	}
	if behind, err = t.place.lag(ctx); err != nil {
		return late, behind, err
	}
	if err := pause.For(ctx, time.Second); err != nil { // the last batch
		return late, behind, err
	}
	late, err = read()
	return late, behind, err
}

// working brings it back under a backlog, without devices, and counts what that costs.
func working(ctx context.Context, t *target, row *Row) error {
	if err := t.fill(ctx, t.opt.Backlog); err != nil {
		return err
	}
	before, err := t.place.lag(ctx)
	if err != nil {
		return err
	}
	cpu, err := t.cpu()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := t.place.up(ctx); err != nil {
		return err
	}
	left, err := t.drained(ctx)
	if err != nil {
		return err
	}
	row.WorkedS = time.Since(began).Seconds()
	after, err := t.cpu()
	row.Worked, row.WorkCPUS = before-min(before, left), after-cpu
	return err
}
