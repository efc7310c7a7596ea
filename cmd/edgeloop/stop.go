package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"go.uber.org/zap"
)

// How long each part may take to stop. A step that takes longer is left behind,
// and the next one is begun: see supervisor for the whole.
const (
	stopAdmin   = 5 * time.Second
	stopServer  = 5 * time.Second
	stopWatch   = 2 * time.Second
	stopGateway = 5 * time.Second
	stopLog     = 30 * time.Second // the store writes its index
	stopClient  = 10 * time.Second // of a log elsewhere
	// lastWait is for a log that took nothing when it was drained: nothing of it
	// can be flushed now.
	lastWait = 2 * time.Second
)

// goAway refuses newcomers, sends the devices away and has all they sent in the
// log.
func (n *node) goAway() error {
	n.state.Store(stateDraining)
	n.watch.at("drain")
	n.server.StopAccepting()
	err := n.gateway.Drain(context.Background(), time.Duration(n.drainWindow.Load()))
	if err == nil {
		n.state.Store(stateDrained)
	}
	return err
}

// undrained closes a node whose drain did not come to its end, most likely
// because the log takes nothing. What waits for the log was not acknowledged, so
// its devices send it again.
func (n *node) undrained(err error) error {
	n.log.Error("not everything that was received is in the log, devices will send it again", zap.Error(err))
	// First the log: workers that wait for it would hold up the rest.
	n.warn(n.step("close the log", lastWait, n.backbone.Close))
	n.logClosed = true
	n.warn(n.close())
	return err
}

// drainThenWait is a drain that was asked for: the node stays, empty, until it
// is told to stop.
func (n *node) drainThenWait() error {
	if err := n.goAway(); err != nil {
		n.watch.leave()
		return n.undrained(err)
	}
	n.log.Info("drained")
	n.watch.at("wait, drained, for a signal")
	select {
	case <-n.watch.asked:
		return n.close()
	case err := <-n.failed:
		return n.fail(err)
	}
}

// stop is what SIGTERM asks for.
func (n *node) stop() error {
	if err := n.goAway(); err != nil {
		return n.undrained(err)
	}
	return n.close()
}

// fail ends a node of which a part has failed.
func (n *node) fail(err error) error {
	n.log.Error("a part of the node has failed", zap.Error(err))
	n.abandon()
	return err
}

// abandon closes what was started after a failure; what goes wrong now is
// less than what already did.
func (n *node) abandon() {
	n.watch.leave()
	n.warn(n.close())
}

// close stops the parts, the last built first.
func (n *node) close() error {
	if n.announced {
		n.warn(n.step("remove the address file", lastWait, func(context.Context) error { return removeFile(addressFile(n.cfg.DataDir)) }))
	}
	if n.untidy != nil {
		n.untidy()
	}
	if n.admin != nil { // that a request was cut is no fault of the node
		n.warn(n.step("stop the admin API", stopAdmin, n.admin.Stop))
	}
	var errs []error
	if n.server != nil {
		errs = append(errs, n.step("stop the event loops", stopServer, n.server.Stop))
	}
	if n.unwatch != nil { // presence of others is told again at the next start
		n.warn(n.step("stop listening to other nodes", stopWatch, n.unwatch))
	}
	if n.gateway != nil {
		errs = append(errs, n.step("stop the workers", stopGateway, n.gateway.Close))
	}
	if n.backbone != nil && !n.logClosed {
		limit := stopLog
		if n.cfg.NATSURL != "" {
			limit = stopClient
		}
		errs = append(errs, n.step("close the log", limit, n.backbone.Close))
	}
	err := errors.Join(errs...)
	if err == nil {
		n.log.Info("stopped")
	}
	return err
}

// step stops one part. One that does not return soon after its context has ended
// hangs: it is left behind, in a goroutine of its own, and named.
func (n *node) step(what string, limit time.Duration, stop func(context.Context) error) error {
	n.watch.at(what)
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- stop(ctx) }()
	hangs := time.NewTimer(limit + time.Second)
	defer hangs.Stop()
	select {
	case err := <-ended:
		return err
	case <-hangs.C:
		return fmt.Errorf("%s: it hangs and was left behind after %s", what, limit)
	}
}

func (n *node) warn(err error) {
	if err != nil {
		n.log.Warn("while stopping", zap.Error(err))
	}
}

// removeFile has path gone.
func removeFile(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
