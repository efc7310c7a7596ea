package fault

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// orders sends commands to random devices through a life, faults or not.
type orders struct {
	// Immutable after construction.
	life   *Life
	rng    *rand.Rand
	cancel context.CancelFunc
	wg     sync.WaitGroup

	// Guarded by mu.
	mu       sync.Mutex
	answered map[string]string // id of each command that was answered with 200: its device
	sent     int
}

// orderEvery is the time between two commands.
const orderEvery = 100 * time.Millisecond

func startOrders(ctx context.Context, l *Life) *orders {
	ctx, cancel := context.WithCancel(ctx)
	o := &orders{
		life: l, cancel: cancel, answered: map[string]string{},
		rng: rand.New(rand.NewPCG(l.Options.Seed, 2)), //nolint:gosec // repeatable, not secret
	}
	o.wg.Add(1)
	go func() {
		defer o.wg.Done()
		for pause(ctx, orderEvery) == nil {
			d := l.Crew.devices[o.rng.IntN(len(l.Crew.devices))]
			o.send(ctx, d, "500ms")
		}
	}()
	return o
}

func (o *orders) stop() {
	o.cancel()
	o.wg.Wait()
}

// send sends one command, that may wait a while for its device, to the node where
// the device is.
func (o *orders) send(ctx context.Context, d *Device, wait string) (status int) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	id, status, err := o.life.nodes()[d.node.Load()].Send(ctx, d.name, wait, "30s")
	o.mu.Lock()
	defer o.mu.Unlock()
	if err == nil {
		o.sent++
		if status == http.StatusOK {
			o.answered[id] = d.name
		}
	}
	return status
}

// verify sends commands to devices that stay connected: each must be answered, and
// what was answered must have been delivered exactly once.
func (o *orders) verify(ctx context.Context) (violations []Violation) {
	crew := o.life.Crew
	for range 20 {
		d := crew.devices[o.rng.IntN(len(crew.devices))]
		cuts := crew.Cuts()
		if status := o.send(ctx, d, "10s"); status != http.StatusOK && crew.Cuts() == cuts {
			violations = append(violations, Violation{Promise: Command, Device: d.name, Detail: fmt.Sprintf("is connected; a command to it was answered with %d", status)})
		}
	}
	byName := map[string]*Device{}
	for _, d := range crew.devices {
		byName[d.name] = d
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for id, name := range o.answered {
		d := byName[name]
		d.mu.Lock()
		times := d.commands[id]
		d.mu.Unlock()
		if times != 1 {
			violations = append(violations, Violation{Promise: Command, Device: name, Detail: fmt.Sprintf("replied to command %s, which came %d times", id, times)})
		}
	}
	o.life.Result.Commands, o.life.Result.Answered = o.sent, len(o.answered)
	return violations
}
