package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"
)

// Why a node ends before its stop is over.
var (
	errAborted = errors.New("stopped by a second signal, before the stop was over")
	errOverdue = errors.New("the stop took too long and was cut short")
)

// stopMost is how long a stop may take beyond its drain window, whatever hangs.
const stopMost = 70 * time.Second

// A supervisor stands between the signals and the life of a node, which runs in
// a goroutine of its own: it hears signals from before the start until after the
// end, and never waits for the life. The first SIGTERM or SIGINT asks for a
// stop, the second ends the process in every phase, and so does a stop that
// hangs. SIGHUP asks for a reload.
type supervisor struct {
	// Immutable after construction.
	log     *logging
	signals chan os.Signal
	asked   chan struct{} // closed by the first signal to stop
	reload  chan struct{} // capacity 1: the settings are to be read again
	leaving chan struct{} // capacity 1: the life ends without a signal

	// Atomic.
	window atomic.Int64                         // over which a drain sends the devices away
	phase  atomic.Value                         // string: what the life is doing
	lag    atomic.Pointer[func() time.Duration] // of the event loops, once there are some
}

// supervise listens to signals from now on; release ends that.
func supervise(log *logging, window time.Duration) *supervisor {
	v := newSupervisor(log, window)
	signal.Notify(v.signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	return v
}

func newSupervisor(log *logging, window time.Duration) *supervisor {
	v := &supervisor{
		log:     log,
		signals: make(chan os.Signal, 4),
		asked:   make(chan struct{}),
		reload:  make(chan struct{}, 1),
		leaving: make(chan struct{}, 1),
	}
	v.window.Store(int64(window))
	v.at("check the settings")
	return v
}

func (v *supervisor) release() { signal.Stop(v.signals) }

// at notes what the life of the node is doing, for the one who has to end it.
func (v *supervisor) at(phase string) { v.phase.Store(phase) }

// leave notes that the node ends by itself, so that this is bounded too.
func (v *supervisor) leave() {
	select {
	case v.leaving <- struct{}{}:
	default:
	}
}

// untilAsked is a context that ends when the node is asked to stop.
func (v *supervisor) untilAsked() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		select {
		case <-v.asked:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// await returns when the life has ended, with how; or when it has to end now.
func (v *supervisor) await(ended <-chan error) error {
	asked, overdue := false, (<-chan time.Time)(nil)
	hungry, every := (<-chan time.Time)(nil), v.log.feedEvery()
	if every > 0 {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		hungry = ticker.C
	}
	for {
		select {
		case <-hungry:
			v.feed(every, overdue != nil)
		case err := <-ended:
			return err
		case sig := <-v.signals:
			switch {
			case sig == syscall.SIGHUP && asked:
				v.log.Info("the node is stopping and does not reload its settings")
			case sig == syscall.SIGHUP:
				select {
				case v.reload <- struct{}{}:
				default: // that is asked for already
				}
			case asked:
				v.log.Warn("second signal, cutting the stop short", zap.Stringer("signal", sig), zap.Any("phase", v.phase.Load()))
				return errAborted
			default:
				v.log.Info("stopping", zap.Stringer("signal", sig))
				asked = true
				close(v.asked)
				overdue = v.inTime()
				v.log.tellStopping(v.stopTakes())
			}
		case <-v.leaving:
			overdue = v.inTime()
		case <-overdue:
			return fmt.Errorf("%w: it hangs in: %v", errOverdue, v.phase.Load())
		}
	}
}

// stopTakes is how long a stop may take.
func (v *supervisor) stopTakes() time.Duration {
	return time.Duration(v.window.Load()) + stopMost
}

// inTime is when a stop that begins now has to be over.
func (v *supervisor) inTime() <-chan time.Time { return time.After(v.stopTakes()) }
