package scenarios

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	"edgeloop/bench/fault/crew"
	"edgeloop/bench/fault/history"
	"edgeloop/bench/fault/life"
	"edgeloop/internal/pause"
)

const (
	// ordered is how many devices commands are for; they are away while commands come.
	ordered = 20
	// together is how many commands are given at a time, to one device.
	together = 10
	// mostOrders bounds what one giver gives while one thing is hurt: a device may have 1,000
	// commands that wait.
	mostOrders = 8000
)

// orders are commands that were given, and what came of them.
type orders struct {
	mu sync.Mutex
	// Guarded by mu.
	given     [numGivers]int
	confirmed map[string]string         // by name of the command: its device
	came      map[string]bool           // likewise
	ids       map[string]int            // of commands: how often each came
	last      map[string][numGivers]int // number of the last command that came to a device, by giver
	repeats   int
	broken    []history.Violation
}

// nameOf is the name of the nth command of a giver.
func nameOf(giver, n int) string { return fmt.Sprintf("%d-%d", giver, n) }

// orderedDevice is the nth device that commands are for.
func orderedDevice(n int) string { return fmt.Sprintf("o%02d", n%ordered) }

func newOrders() *orders {
	return &orders{confirmed: map[string]string{}, came: map[string]bool{}, ids: map[string]int{}, last: map[string][numGivers]int{}}
}

// give gives commands until ctx ends.
func (o *orders) give(ctx context.Context, giver int, send func(device string, names []string) (confirmed int)) {
	for given := 0; given < mostOrders && pause.For(ctx, 40*ms) == nil; given += together {
		o.mu.Lock()
		first := o.given[giver] + 1
		o.given[giver] += together
		o.mu.Unlock()
		device, names := orderedDevice((first-1)/together), make([]string, together)
		for i := range names {
			names[i] = nameOf(giver, first+i)
		}
		confirmed := send(device, names)
		o.mu.Lock()
		for _, name := range names[:confirmed] {
			o.confirmed[name] = device
		}
		o.mu.Unlock()
	}
}

// collectWithin is how long it may take until all has come: what a source was last refused by is
// tried again with delays of up to half a minute.
const collectWithin = 2 * time.Minute

// collect has the devices connect until all that was confirmed has come.
func (o *orders) collect(ctx context.Context, l *life.Life) (sound bool, err error) {
	left, err := o.collectFor(ctx, l, collectWithin)
	if err != nil {
		return false, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, name := range left {
		if i == 5 {
			o.broken = append(o.broken, history.Violation{Promise: history.Command, Detail: fmt.Sprintf("and %d more", len(left)-i)})
			break
		}
		o.broken = append(o.broken, history.Violation{Promise: history.Command, Device: o.confirmed[name], Detail: fmt.Sprintf("command %s was confirmed to who gave it, and did not come within %s", name, collectWithin)})
	}
	sound = len(o.broken) == 0
	l.Journal.Break(o.broken...)
	o.broken = nil
	return sound, nil
}

// collectFor has the devices connect until all that was confirmed has come, or the time is over,
// and gives the names of what has not.
func (o *orders) collectFor(ctx context.Context, l *life.Life, within time.Duration) (left []string, err error) {
	hearing, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	errs := make([]error, ordered)
	for i := range ordered {
		wg.Go(func() { errs[i] = o.hear(hearing, l.URL, orderedDevice(i)) })
	}
	for deadline := time.Now().Add(within); ; {
		left = o.missing()
		if len(left) == 0 || time.Now().After(deadline) {
			break
		}
		if err = pause.For(ctx, 50*ms); err != nil {
			break
		}
	}
	stop()
	wg.Wait()
	return left, errors.Join(append(errs, err)...)
}

// missing is what was confirmed and has not come.
func (o *orders) missing() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var left []string
	for _, name := range slices.Sorted(maps.Keys(o.confirmed)) {
		if !o.came[name] {
			left = append(left, name)
		}
	}
	return left
}

// hear is one device: it answers commands until ctx ends.
func (o *orders) hear(ctx context.Context, url, device string) error {
	dial := func(ctx context.Context, addr string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	}
	w, err := crew.Open(ctx, dial, url+"?device="+device, rand.New(rand.NewPCG(1, 2)), "") //nolint:gosec // masks frames
	if err != nil {
		if ctx.Err() != nil {
			return nil //nolint:nilerr // nobody waits for it any more
		}
		return fmt.Errorf("%s connects: %w", device, err)
	}
	defer w.Cut()
	for ctx.Err() == nil {
		m, err := w.Next(50 * ms)
		if errors.Is(err, crew.ErrQuiet) {
			continue
		}
		if err != nil {
			return fmt.Errorf("%s hears: %w", device, err)
		}
		if m.Type != "command" {
			continue
		}
		o.take(device, m.ID, m.Name)
		w.Reply(m.ID)
		if err := w.Flush(); err != nil {
			return fmt.Errorf("%s replies: %w", device, err)
		}
	}
	return nil
}

// take holds a command that came against what was given. One whose acknowledgement was lost comes
// again, with another id, behind others.
func (o *orders) take(device, id, name string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	broken := func(format string, args ...any) {
		o.broken = append(o.broken, history.Violation{Promise: history.Command, Device: device, Detail: "command " + name + " " + fmt.Sprintf(format, args...)})
	}
	if o.ids[id]++; o.ids[id] > 1 {
		broken("came %d times with the id %s", o.ids[id], id)
	}
	var giver, n int
	if _, err := fmt.Sscanf(name, "%d-%d", &giver, &n); err != nil || giver < 0 || giver >= numGivers || n > o.given[giver] || device != orderedDevice((n-1)/together) {
		broken("is of another device, or nobody gave it")
		return
	}
	if o.came[name] {
		o.repeats++
		return
	}
	last := o.last[device]
	if n < last[giver] {
		broken("came behind %d, for the first time", last[giver])
	}
	last[giver] = max(last[giver], n)
	o.last[device], o.came[name] = last, true
}

func (o *orders) note(l *life.Life) {
	o.mu.Lock()
	defer o.mu.Unlock()
	l.Note("%d commands given by Redis, %d by mosquitto; %d confirmed, %d came, %d of them again with another id",
		o.given[byRedis], o.given[byMQTT], len(o.confirmed), len(o.came), o.repeats)
}
