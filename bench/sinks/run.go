package sinks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"edgeloop/internal/pause"
)

// Kinds are the destinations that are measured.
func Kinds() []string { return []string{"file", "webhook", "redis", "nats", "mqtt", "postgres"} }

// Run measures, and writes the page. Progress goes to out.
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
	if o.Binary, err = filepath.Abs(o.Binary); err != nil {
		return err
	}
	if o.NATS, err = filepath.Abs(o.NATS); err != nil {
		return err
	}
	if o.Telegraf != "" {
		if o.Telegraf, err = filepath.Abs(o.Telegraf); err != nil {
			return err
		}
	}
	began, busy := time.Now(), loadAverage()
	var rows []Row
	for _, kind := range Kinds() {
		if len(o.Only) > 0 && !slices.Contains(o.Only, kind) {
			continue
		}
		fmt.Fprintf(out, "%s: %s\n", time.Since(began).Round(time.Second), kind)
		row, err := measure(ctx, o, kind)
		if err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
		rows = append(rows, row)
	}
	var beside *Row
	if o.Telegraf != "" {
		fmt.Fprintf(out, "%s: mosquitto and Telegraf\n", time.Since(began).Round(time.Second))
		row, err := measurePeer(ctx, o)
		if err != nil {
			return fmt.Errorf("mosquitto and Telegraf: %w", err)
		}
		beside = &row
	}
	return write(o, rows, beside, began, busy)
}

// measure makes one row.
func measure(ctx context.Context, o Options, kind string) (row Row, err error) {
	row.Kind = kind
	t, err := newTarget(ctx, o, kind)
	if err != nil {
		return row, err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	steps := []func(context.Context, *target, *Row) error{alone, steady, down, catching, working}
	for _, step := range steps {
		if err := step(ctx, t, &row); err != nil {
			return row, err
		}
		t.place.forget()
	}
	return row, nil
}

// alone pauses the sink, and has it begin behind what was sent meanwhile.
func alone(ctx context.Context, t *target, row *Row) (err error) {
	if err := t.change(ctx, "pause"); err != nil {
		return err
	}
	if row.Alone, err = t.load(ctx, t.opt.Rate, t.opt.Duration); err != nil {
		return err
	}
	if err := t.node.Rewind(ctx, t.place.Name(), "newest"); err != nil {
		return err
	}
	return t.change(ctx, "resume")
}

// steady has the destination keep up, or not.
func steady(ctx context.Context, t *target, row *Row) (err error) {
	if _, err := t.drained(ctx); err != nil {
		return err
	}
	read := t.place.arrivals(ctx)
	if row.Steady, err = t.load(ctx, t.opt.Rate, t.opt.Duration); err != nil {
		return err
	}
	if row.Behind, err = t.lag(ctx); err != nil {
		return err
	}
	if err := pause.For(ctx, time.Second); err != nil { // the last batch
		return err
	}
	row.Latency, err = read()
	if err == nil {
		_, err = t.drained(ctx)
	}
	return err
}

// down takes the destination away.
func down(ctx context.Context, t *target, row *Row) (err error) {
	if err := t.place.down(ctx); err != nil {
		return err
	}
	row.Down, err = t.load(ctx, t.opt.Rate, t.opt.Duration)
	return err
}

// catching brings the destination back under a backlog, with devices.
func catching(ctx context.Context, t *target, row *Row) (err error) {
	if err := t.fill(ctx); err != nil {
		return err
	}
	if err := t.place.up(ctx); err != nil {
		return err
	}
	if row.Catching, err = t.load(ctx, t.opt.Rate, t.opt.Duration); err != nil {
		return err
	}
	row.Left, err = t.lag(ctx)
	return err
}

// working brings it back under a backlog, without devices, and counts what that costs.
func working(ctx context.Context, t *target, row *Row) error {
	if err := t.place.down(ctx); err != nil {
		return err
	}
	if err := t.fill(ctx); err != nil {
		return err
	}
	before, err := t.lag(ctx)
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
