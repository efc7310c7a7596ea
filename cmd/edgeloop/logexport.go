package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/signal"
	"syscall"
	"time"

	"edgeloop/admin/api"
	"edgeloop/backbone"
)

// logExportCmd writes the log, or a part of it, as it is kept.
type logExportCmd struct {
	Remote remote `embed:""`

	Tenant string `default:"" help:"Only this tenant."`
	Device string `default:"" help:"Only this device."`
	Since  string `default:"" help:"Only what was received from then on: a time (RFC 3339), or how long ago (24h)."`
	Until  string `default:"" help:"Only what was received before: a time (RFC 3339), or how long ago (24h)."`
	After  string `default:"" placeholder:"LOG-N" help:"Only what lies behind this position, which an earlier export said it had reached."`
	To     string `default:"" placeholder:"LOG-N" help:"Nothing behind this position."`
}

// export is one run of it.
type export struct {
	// Immutable after construction.
	tenant, device string
	since, until   time.Time // zero: no bound
	to             uint64    // 0: no bound
	out            *bufio.Writer

	at    api.Position // behind which to go on
	count uint64
}

// errFar ends a reading that has come to the end of its range.
var errFar = errors.New("far enough")

// Run writes one record a line, and at its end to standard error how far it came. It ends
// with 1 when that is not as far as asked; the position is said all the same.
func (l *logExportCmd) Run(io *streams) error {
	e := &export{tenant: l.Tenant, device: l.Device, out: bufio.NewWriterSize(io.out, 64<<10)}
	if err := l.ranges(e); err != nil {
		return usageError{err}
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	err := l.read(ctx, e)
	if errors.Is(err, errFar) {
		err = nil
	}
	err = errors.Join(err, e.out.Flush())
	how := ""
	if err != nil {
		how = "; the rest is missing"
	}
	if e.at.N == 0 {
		fmt.Fprintf(io.err, "%d records%s\n", e.count, how)
	} else {
		fmt.Fprintf(io.err, "%d records, to position %s%s; go on with --after=%s\n", e.count, e.at, how, e.at)
	}
	return err
}

// ranges reads the flags that say from where to where.
func (l *logExportCmd) ranges(e *export) (err error) {
	now := time.Now()
	for _, f := range []struct {
		flag, text string
		to         *time.Time
	}{{"since", l.Since, &e.since}, {"until", l.Until, &e.until}} {
		var q api.TailQuery
		if f.text == "" {
			continue
		}
		if err := q.SetSince(f.text, now); err != nil || q.All {
			return fmt.Errorf("--%s=%s: give a time (RFC 3339), or how long ago (24h)", f.flag, f.text)
		}
		*f.to = q.Since
	}
	var to api.Position
	for _, f := range []struct {
		flag, text string
		to         *api.Position
	}{{"after", l.After, &e.at}, {"to", l.To, &to}} {
		if f.text == "" {
			continue
		}
		if *f.to, err = api.ParsePosition(f.text); err != nil {
			return fmt.Errorf("--%s=%s: give a position of the log, as LOG-N", f.flag, f.text)
		}
	}
	if e.to = to.N; to.Log != "" && e.at.Log != "" && to.Log != e.at.Log {
		return fmt.Errorf("--after=%s and --to=%s are positions of two logs", e.at, to)
	}
	if e.at.N == 0 {
		e.at.Log = to.Log // it is compared with that of the log
	}
	return nil
}

// read takes the files of a node that is not running, and asks one that is.
func (l *logExportCmd) read(ctx context.Context, e *export) error {
	if l.Remote.AdminURL == "" {
		log, err := backbone.OpenClosedLog(l.Remote.DataDir)
		if err == nil {
			return errors.Join(e.fromFiles(ctx, log), log.Close())
		}
		if !errors.Is(err, backbone.ErrInUse) {
			return fmt.Errorf("--data-dir=%s: %w", l.Remote.DataDir, err)
		}
	}
	c, err := l.Remote.client()
	if err != nil {
		return err
	}
	q := api.TailQuery{Tenant: e.tenant, Device: e.device}
	for {
		before := e.at.N
		if q.All = true; !e.since.IsZero() {
			q.All, q.Since = false, e.since
		}
		if e.at.N > 0 || e.at.Log != "" {
			q.SetAfter(e.at)
		}
		err = c.TailAt(ctx, q, e.take)
		var refused *api.Problem
		if err == nil || errors.Is(err, errFar) || ctx.Err() != nil || e.at.N == before || errors.As(err, &refused) {
			return err
		}
		// The stream broke; it is taken up again as long as it brings something.
	}
}

func (e *export) fromFiles(ctx context.Context, log *backbone.ClosedLog) error {
	switch {
	case e.at.Log != "" && log.Identity != "" && e.at.Log != log.Identity:
		return fmt.Errorf("a position of log %s is given, this is log %s: export it from its beginning", e.at.Log, log.Identity)
	case log.Last > 0 && e.at.N > log.Last:
		return fmt.Errorf("--after=%s: the log ends at %d", e.at, log.Last)
	}
	err := log.Each(e.at.N, func(position uint64, line []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return e.take(api.Position{Log: log.Identity, N: position}, line)
	})
	if err == nil && log.Bad > 0 {
		err = fmt.Errorf("the log is damaged: %d places of it cannot be read, see 'edgeloop log verify'", log.Bad)
	}
	return err
}

// take writes a record that is in the range. line is borrowed until it returns.
func (e *export) take(at api.Position, line []byte) error {
	if e.to > 0 && at.N > e.to {
		return errFar
	}
	if ok, err := e.chosen(line); err != nil {
		return fmt.Errorf("position %s: %w", at, err)
	} else if ok {
		if _, err := e.out.Write(line); err != nil {
			return err
		}
		if err := e.out.WriteByte('\n'); err != nil {
			return err
		}
		e.count++
	}
	e.at = at
	return nil
}

func (e *export) chosen(line []byte) (bool, error) {
	if e.tenant == "" && e.device == "" && e.since.IsZero() && e.until.IsZero() {
		return true, nil
	}
	var r struct {
		Tenant, Device string
		Received       int64
	}
	if err := json.Unmarshal(line, &r); err != nil {
		return false, err
	}
	return (e.tenant == "" || r.Tenant == e.tenant) && (e.device == "" || r.Device == e.device) &&
		(e.since.IsZero() || r.Received >= e.since.UnixMilli()) && (e.until.IsZero() || r.Received < e.until.UnixMilli()), nil
}
