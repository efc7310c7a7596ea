package scenarios

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"edgeloop/bench/fault/attack"
	"edgeloop/bench/fault/history"
	"edgeloop/bench/fault/life"
	"edgeloop/internal/pause"
)

// actLogReader lets the reader of the node's log stop reading, and in a second
// process go away, while much is logged. Neither may hold up a device or the end.
func actLogReader(ctx context.Context, l *life.Life) error {
	for _, gone := range []bool{false, true} {
		out, in, err := os.Pipe()
		if err != nil {
			return err
		}
		defer out.Close()
		if _, err := unix.FcntlInt(in.Fd(), unix.F_SETPIPE_SZ, 4096); err != nil { // soon full
			return err
		}
		l.Journal.Inject("SIGTERM, and a log that somebody reads")
		l.End(l.Node)
		l.Node.Output = in
		err = l.Boot(ctx)
		l.Node.Output = nil
		in.Close() // the node has its own
		if err != nil {
			return err
		}
		if err := l.Recover(ctx); err != nil {
			return err
		}
		err = l.Beside(ctx, life.Bounds{}, func(ctx context.Context) error {
			l.Journal.Inject("nobody reads the log, gone %t", gone)
			if gone {
				out.Close()
			}
			_, err := l.Attack(ctx, attack.Attack{Kind: "tug", Count: 40, For: 3 * time.Second}) // comings and goings are logged
			return err
		})
		if err != nil {
			return err
		}
		began := time.Now()
		l.End(l.Node)
		l.Note("with nobody to read its log, gone %t, the node ended %.1f s after SIGTERM", gone, time.Since(began).Seconds())
		if err := l.Boot(ctx); err != nil {
			return err
		}
		if err := l.Recover(ctx); err != nil {
			return err
		}
	}
	return l.Rebase()
}

// Bounds of an end while the log does not answer: one signal, and two.
const (
	endsLate   = 75 * time.Second // the drain window of 1 s, the 70 s that docs/operations.md says, and some
	endsAtOnce = 3 * time.Second
)

// actNoAnswer stops the NATS server's process for longer than a client waits, and
// asks the node to end: once; twice; twice while it starts.
func actNoAnswer(ctx context.Context, l *life.Life) error {
	for i, what := range []string{"SIGTERM", "SIGTERM twice", "SIGTERM twice, at the start"} {
		if err := l.Load(ctx); err != nil {
			return err
		}
		if i == 2 {
			l.Kill("to start it anew")
		}
		l.Journal.Inject("the NATS server does not answer")
		if err := l.Upstream.Signal(syscall.SIGSTOP); err != nil {
			return err
		}
		limit, silent := endsAtOnce, 3*time.Second
		switch i {
		case 0:
			limit, silent = endsLate, 12*time.Second // longer than a client waits for a heartbeat
		case 2:
			if err := l.Node.Start(); err != nil {
				return err
			}
		}
		if err := pause.For(ctx, silent); err != nil {
			return err
		}
		endSilent(ctx, l, what, i > 0, limit)
		if err := l.Upstream.Signal(syscall.SIGCONT); err != nil {
			return err
		}
		if err := l.Boot(ctx); err != nil {
			return err
		}
		if err := l.Recover(ctx); err != nil {
			return err
		}
	}
	return l.Rebase()
}

// endSilent ends the node by one signal or two, and judges how long it took.
func endSilent(ctx context.Context, l *life.Life, what string, twice bool, limit time.Duration) {
	l.Journal.Inject("%s", what)
	l.Result.Faults++
	if twice {
		l.Node.Signal(syscall.SIGTERM)
		_ = pause.For(ctx, 500*ms)
	}
	began := time.Now()
	code := l.Node.Stop(limit)
	l.Note("%s while the NATS server was silent: exit code %d after %.1f s", what, code, time.Since(began).Seconds())
	if code == -1 {
		l.Journal.Break(history.Violation{Promise: history.Stuck, Detail: fmt.Sprintf("%s while the NATS server was silent did not end the node within %s", what, limit)})
	}
}
