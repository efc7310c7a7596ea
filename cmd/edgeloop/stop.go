package main

import (
	"context"
	"errors"
	"os"
	"time"

	"go.uber.org/zap"
)

// goAway refuses newcomers, sends the devices away and has all they sent in the
// log. A signal cuts it short.
func (n *node) goAway(signals <-chan os.Signal) error {
	n.state.Store(stateDraining)
	n.server.StopAccepting()
	window := time.Duration(n.drainWindow.Load())
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel() // what a second signal cut short ends by itself
	done := make(chan error, 1)
	go func() { done <- n.gateway.Drain(ctx, window) }()
	select {
	case err := <-done:
		if err == nil {
			n.state.Store(stateDrained)
		}
		return err
	case sig := <-signals:
		n.log.Warn("second signal, the drain is cut short", zap.Stringer("signal", sig))
		return errAborted
	}
}

// undrained closes a node whose drain did not come to its end, most likely
// because the log takes nothing. What waits for the log was not acknowledged, so
// its devices send it again.
func (n *node) undrained(err error) error {
	if errors.Is(err, errAborted) {
		return err
	}
	n.log.Error("not everything that was received is in the log, devices will send it again", zap.Error(err))
	// Nothing of it can be flushed now, so this need not be waited for long.
	const lastWait = 2 * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), lastWait)
	defer cancel()
	// First the log: workers that wait for it would hold up the rest.
	if closing := n.backbone.Close(ctx); closing != nil {
		n.log.Warn("while stopping", zap.Error(closing))
	}
	n.logClosed = true
	n.abandon()
	return err
}

// drainThenWait is a drain that was asked for: the node stays, empty, until it
// is told to stop. The first signal during the drain is that, and only the
// second cuts the drain short.
func (n *node) drainThenWait(signals <-chan os.Signal) error {
	first, second := make(chan struct{}), make(chan os.Signal, 1)
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		select {
		case sig := <-signals:
			n.log.Info("stopping when the drain is over", zap.Stringer("signal", sig))
			close(first)
		case <-ended:
			return
		}
		select {
		case sig := <-signals:
			second <- sig
		case <-ended:
		}
	}()
	if err := n.goAway(second); err != nil {
		return n.undrained(err)
	}
	n.log.Info("drained")
	<-first
	return n.close()
}

// stop is what SIGTERM asks for.
func (n *node) stop(signals <-chan os.Signal) error {
	if err := n.goAway(signals); err != nil {
		return n.undrained(err)
	}
	return n.close()
}

// close stops the parts, the last built first. The admin API stays until the
// end of what it can tell about.
func (n *node) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	var errs []error
	if n.untidy != nil {
		n.untidy()
	}
	if n.unwatch != nil {
		n.unwatch()
	}
	if n.server != nil {
		errs = append(errs, n.server.Stop(ctx))
	}
	if n.gateway != nil {
		errs = append(errs, n.gateway.Close(ctx))
	}
	if n.admin != nil {
		errs = append(errs, n.admin.Stop(ctx))
	}
	if n.backbone != nil && !n.logClosed {
		errs = append(errs, n.backbone.Close(ctx))
	}
	if n.announced {
		errs = append(errs, os.Remove(addressFile(n.cfg.DataDir)))
	}
	err := errors.Join(errs...)
	if err == nil {
		n.log.Info("stopped")
	}
	return err
}

// abandon closes what was started after a failure; what goes wrong now is
// less than what already did.
func (n *node) abandon() {
	if err := n.close(); err != nil {
		n.log.Warn("while stopping", zap.Error(err))
	}
}
