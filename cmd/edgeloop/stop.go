package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	"go.uber.org/zap"
)

// lastWait is for a log that took nothing when it was drained: nothing of it can
// be flushed now.
const lastWait = 2 * time.Second

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
	n.log.Error("the log did not take everything that was received, devices will send it again", zap.Error(err))
	// First the log: workers that wait for it would hold up the rest.
	n.built.stopFirst(logPart, lastWait)
	n.built.warn(n.close())
	return err
}

// drainThenWait is a drain that was asked for: the node stays, empty, until it
// is told to stop. SIGHUP counts all the while, or who has the node drained keeps a
// token that is taken back.
func (n *node) drainThenWait() error {
	gone := make(chan error, 1)
	go func() { gone <- n.goAway() }()
	drained := false
	for {
		asked, failed := n.watch.asked, n.failed
		if !drained { // goAway comes to its end first
			asked, failed = nil, nil
		}
		select {
		case err := <-gone:
			if err != nil {
				n.watch.leave()
				return n.undrained(err)
			}
			drained = true
			n.log.Info("drained")
			n.watch.at("wait, drained, for a signal")
		case <-n.watch.reload:
			n.hangUp()
		case <-asked:
			return n.close()
		case err := <-failed:
			return n.fail(err)
		}
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
	n.log.Error("a part of the node failed", zap.Error(err))
	n.abandon()
	return err
}

// abandon closes what was started after a failure; what goes wrong now is
// less than what already did.
func (n *node) abandon() {
	n.watch.leave()
	n.state.Store(stateDraining) // for probes: a part of it is left, perhaps none
	n.built.warn(n.close())
}

// close stops the parts.
func (n *node) close() error {
	err := n.built.stop()
	if err == nil {
		n.log.Info("stopped")
	}
	return err
}

// removeFile has path gone.
func removeFile(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
