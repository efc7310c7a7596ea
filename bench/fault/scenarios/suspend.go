package scenarios

import (
	"context"
	"fmt"
	"net/http"
	"syscall"
	"time"

	"edgeloop/bench/fault/history"
	"edgeloop/bench/fault/life"
	"edgeloop/internal/pause"
)

// actSuspend stops the node for longer than its idle timeout: with messages in the
// sockets of its devices, and with nothing in them. Then it makes the idle timeout
// shorter than the heartbeat was. Devices that are there and answer must stay.
func actSuspend(ctx context.Context, l *life.Life) error {
	l.StopOrders() // commands are answered: nobody would be quiet
	for _, talking := range []bool{true, false} {
		l.Crew.Produce(talking)
		err := nobodyLeaves(ctx, l, fmt.Sprintf("SIGSTOP for 5 s, talking %t", talking), func() error {
			l.Node.Signal(syscall.SIGSTOP)
			err := pause.For(ctx, 5*time.Second)
			l.Node.Signal(syscall.SIGCONT)
			return err
		})
		if err != nil {
			return err
		}
	}
	err := nobodyLeaves(ctx, l, "the idle timeout is 1 s from now on", func() error {
		status, answer, err := l.Node.Call(ctx, "PATCH", "/v1/limits", map[string]any{"heartbeat": "300ms", "idle_timeout": "1s"})
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("fault: the limits were not changed: %d %.200s", status, answer)
		}
		return err
	})
	if err != nil {
		return err
	}
	l.Crew.CutAll()
	if err := l.Await(ctx, 20*time.Second, "all devices to come back", func() bool { return l.Crew.Online() == l.Options.Devices }); err != nil {
		return err
	}
	err = nobodyLeaves(ctx, l, "new connections, at an idle timeout of 1 s", func() error { return nil })
	l.Crew.Produce(true)
	return err
}

// nobodyLeaves does something that no device may lose its connection over, until
// some seconds later.
func nobodyLeaves(ctx context.Context, l *life.Life, what string, do func() error) error {
	cuts := l.Crew.Cuts()
	l.Journal.Inject("%s", what)
	l.Result.Faults++
	if err := do(); err != nil {
		return err
	}
	if err := pause.For(ctx, 4*time.Second); err != nil {
		return err
	}
	n := l.Crew.Cuts() - cuts
	l.Note("%s: %d of %d connections ended", what, n, l.Options.Devices)
	if n > 0 {
		l.Journal.Break(history.Violation{Promise: history.Dropped, Detail: fmt.Sprintf("%s: %d connections of devices that are there and answer ended", what, n)})
	}
	return nil
}
