package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"
)

// How long each part may take to start and to stop. What takes longer is left
// behind, and the next one has its turn: see supervisor for the whole.
const (
	startMost    = 2 * time.Minute
	stopMinor    = 2 * time.Second
	stopAdmin    = 5 * time.Second
	stopMQTTApps = 5 * time.Second
	stopGRPC     = 2 * time.Second
	stopServer   = 5 * time.Second
	stopGateway  = 5 * time.Second
	stopSinks    = 5 * time.Second
	stopLog      = 30 * time.Second // the store writes its index
	stopClient   = 10 * time.Second // of a log elsewhere
)

// stopFunc ends what a start has begun, and heeds its context.
type stopFunc = func(context.Context) error

// A part is one of the things that a node is made of.
type part struct {
	name string
	// start returns how to stop what it has begun: with an error too, if something
	// is left to stop, and nil if nothing is.
	start     func(context.Context) (stopFunc, error)
	startMost time.Duration // 0: start has a bound of its own
	stopMost  time.Duration
	// minor: a stop that fails is worth a warning, but no fault of the node.
	minor bool
}

// An assembly is the parts that have begun, in the order of their start. They stop
// in the reverse order: the list is the only record of either.
type assembly struct {
	// Immutable after construction.
	log   *logging
	watch *supervisor

	// Owned by the goroutine that starts and stops the node.
	parts []begunPart
}

type begunPart struct {
	part
	stop stopFunc
}

// start starts a part, and keeps how to stop it.
func (a *assembly) start(ctx context.Context, p part) error {
	stop, err := step(ctx, a.watch, "start: "+p.name, p.startMost, p.start)
	if stop != nil {
		a.parts = append(a.parts, begunPart{p, stop})
	}
	return err
}

// stopFirst stops one part before its turn, in less time than it would have.
func (a *assembly) stopFirst(name string, most time.Duration) {
	i := slices.IndexFunc(a.parts, func(p begunPart) bool { return p.name == name })
	if i < 0 {
		return
	}
	p := a.parts[i]
	a.parts = slices.Delete(a.parts, i, i+1)
	p.stopMost = most
	a.warn(a.end(p))
}

// stop stops all parts, the last begun first.
func (a *assembly) stop() error {
	var errs []error
	for _, p := range slices.Backward(a.parts) {
		err := a.end(p)
		if p.minor {
			a.warn(err)
			continue
		}
		errs = append(errs, err)
	}
	a.parts = nil
	return errors.Join(errs...)
}

func (a *assembly) end(p begunPart) error {
	_, err := step(context.Background(), a.watch, "stop: "+p.name, p.stopMost, func(ctx context.Context) (any, error) {
		return nil, p.stop(ctx)
	})
	return err
}

func (a *assembly) warn(err error) {
	if err != nil {
		a.log.Warn("a part did not stop cleanly", zap.Error(err))
	}
}

// step does one thing in the time it has. What does not return soon after its
// context has ended hangs: it is left behind, in a goroutine of its own, and named.
func step[T any](ctx context.Context, watch *supervisor, what string, most time.Duration, do func(context.Context) (T, error)) (T, error) {
	watch.at(what)
	if most == 0 {
		return do(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	type result struct {
		value T
		err   error
	}
	ended := make(chan result, 1)
	go func() {
		value, err := do(ctx)
		ended <- result{value, err}
	}()
	hangs := time.NewTimer(most + time.Second)
	defer hangs.Stop()
	select {
	case r := <-ended:
		return r.value, r.err
	case <-hangs.C:
		var none T
		return none, fmt.Errorf("%s: it hangs, the node left it behind after %s", what, most)
	}
}

// inBackground runs do in a goroutine of its own, until it is stopped.
func inBackground(do func(context.Context)) stopFunc {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		do(ctx)
	}()
	return func(stopping context.Context) error {
		cancel()
		select {
		case <-ended:
			return nil
		case <-stopping.Done():
			return stopping.Err()
		}
	}
}
