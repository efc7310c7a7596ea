package life

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"edgeloop/bench/fault/crew"
	"edgeloop/bench/fault/history"
	"edgeloop/internal/pause"
)

// orders sends commands to random devices throughout a life, even during faults.
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
		for pause.For(ctx, orderEvery) == nil {
			d := l.Crew.Devices()[o.rng.IntN(len(l.Crew.Devices()))]
			o.send(ctx, d, "500ms")
		}
	}()
	return o
}

// StopOrders sends no more commands. It may be called twice.
func (l *Life) StopOrders() { l.orders.stop() }

func (o *orders) stop() {
	o.cancel()
	o.wg.Wait()
}

// send sends one command to the node that has the device. The command may wait for the device.
func (o *orders) send(ctx context.Context, d *crew.Device, wait string) (status int) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	id, status, err := o.life.Nodes()[d.Node()].Send(ctx, d.Name(), wait, "30s")
	o.mu.Lock()
	defer o.mu.Unlock()
	if err == nil {
		o.sent++
		if status == http.StatusOK {
			o.answered[id] = d.Name()
		}
	}
	return status
}

// verify sends commands to devices that stay connected. Each must be answered, and an answered
// command must have been delivered exactly once.
func (o *orders) verify(ctx context.Context) (violations []history.Violation) {
	devices := o.life.Crew.Devices()
	for range 20 {
		d := devices[o.rng.IntN(len(devices))]
		cuts := o.life.Crew.Cuts()
		if status := o.send(ctx, d, "10s"); status != http.StatusOK && o.life.Crew.Cuts() == cuts {
			violations = append(violations, history.Violation{Promise: history.Command, Device: d.Name(), Detail: fmt.Sprintf("is connected; a command to it was answered with %d", status)})
		}
	}
	byName := map[string]*crew.Device{}
	for _, d := range devices {
		byName[d.Name()] = d
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for id, name := range o.answered {
		if times := byName[name].Delivered(id); times != 1 {
			violations = append(violations, history.Violation{Promise: history.Command, Device: name, Detail: fmt.Sprintf("replied to command %s, which came %d times", id, times)})
		}
	}
	o.life.Result.Commands, o.life.Result.Answered = o.sent, len(o.answered)
	return violations
}
