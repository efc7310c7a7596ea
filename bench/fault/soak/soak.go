package soak

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"edgeloop/bench/drift"
	"edgeloop/bench/fault/history"
	"edgeloop/bench/fault/life"
	"edgeloop/internal/pause"
)

// Options say how long a soak is and what it does.
type Options struct {
	life.Options               // Rounds and Load are the soak's own
	Duration     time.Duration // of the whole, without the last check
	Rate         float64       // messages a second over both nodes, about
	Every        time.Duration // about this time between two faults of the node that lives on
	Kill         time.Duration // about this time between two kills of the other
	Check        time.Duration // time between two checks of both logs
	Read         time.Duration // time between two readings of the node that lives on
	MaxDrift     float64       // growth in percent, between the second quarter and the last, that breaks the soak
	MaxDisk      int64         // bytes that the log of a node may take
	Commit       string        // that the node was built from; "": what the program says itself
	Command      string        // how the run was started, for the report
}

// killedDevices is how many devices the node that is killed has.
func (o *Options) killedDevices() int { return max(1, o.Devices/2) }

// Names of the two nodes of a soak.
const (
	livesOn  = "soak-on"
	isKilled = "soak-killed"
)

// overtime is how long a soak may go on after its time, to check what it did.
const overtime = 30 * time.Minute

// soak is two nodes side by side: one that lives through the whole of it in one
// process and is hurt in ways that a process must survive, and one that is killed.
type soak struct {
	// Immutable after construction.
	o     Options
	began time.Time
	end   time.Time

	// Guarded by mu.
	mu     sync.Mutex
	lives  []*life.Life
	tally  map[string]*Tally
	checks int
	series []*drift.Series // filled by the reader, read once it has ended
	now    map[string]float64

	// Atomic.
	over atomic.Bool // a promise is broken: whoever is left comes to the check
}

// Run runs a soak. The error says that it could not be carried out; what the nodes
// did wrong is in the result.
func Run(ctx context.Context, o Options) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, o.Duration+overtime)
	defer cancel()
	s := &soak{o: o, began: time.Now(), end: time.Now().Add(o.Duration), tally: map[string]*Tally{}, series: drift.Server()}
	s.o.Load = min(2*time.Second, o.Kill)
	s.o.Rounds = 1 // of the scenes that are taken from scenarios

	pace := time.Duration(float64(o.Devices+o.killedDevices()) / o.Rate * float64(time.Second))
	results, errs := [2]life.Result{}, [2]error{}
	first := make(chan struct{}) // the first node has its ports
	var wg sync.WaitGroup
	wg.Add(2)
	go func() {
		defer wg.Done()
		var once sync.Once
		started := func() { once.Do(func() { close(first) }) }
		defer started() // also when it could not be
		results[0], errs[0] = life.Run(ctx, s.o.Options, s.livesOn(pace, started))
		s.over.Store(s.over.Load() || errs[0] != nil || !results[0].OK())
	}()
	go func() {
		defer wg.Done()
		<-first
		so := s.o.Options
		so.Devices = o.killedDevices()
		results[1], errs[1] = life.Run(ctx, so, s.isKilled(pace))
		s.over.Store(s.over.Load() || errs[1] != nil || !results[1].OK())
	}()
	printer, stop := context.WithCancel(ctx)
	printed := make(chan struct{})
	go func() {
		defer close(printed)
		s.print(printer)
	}()
	wg.Wait()
	stop()
	<-printed
	return s.result(results), errors.Join(errs[:]...)
}

// livesOn is the life whose node is never ended.
func (s *soak) livesOn(pace time.Duration, started func()) life.Scenario {
	return life.Scenario{
		Name: livesOn, Pace: pace, Setup: roomForTwice,
		Flags: []string{"--handshake-timeout=2s", "--heartbeat=5s", "--idle-timeout=15s"},
		Act: func(ctx context.Context, l *life.Life) error {
			s.enter(l)
			started()
			ctx, cancel := context.WithCancel(ctx)
			var wg sync.WaitGroup
			wg.Add(1)
			go func() {
				defer wg.Done()
				s.read(ctx, l)
			}()
			defer wg.Wait()
			defer cancel()
			guests := s.guests(ctx, l)
			defer guests()
			if err := s.act(ctx, l, survivable(), s.o.Every); err != nil {
				return err
			}
			cancel()
			wg.Wait()
			s.judge(l)
			return nil
		},
	}
}

// isKilled is the life whose node is killed and started again.
func (s *soak) isKilled(pace time.Duration) life.Scenario {
	return life.Scenario{
		Name: isKilled, Pace: pace,
		Act: func(ctx context.Context, l *life.Life) error {
			s.enter(l)
			if err := s.act(ctx, l, deadly(), s.o.Kill); err != nil {
				return err
			}
			return l.Rebase()
		},
	}
}

func (s *soak) enter(l *life.Life) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lives = append(s.lives, l)
}

// act hurts a node, each kind once before any comes again, until the soak is over.
func (s *soak) act(ctx context.Context, l *life.Life, kinds []soakFault, every time.Duration) error {
	ch := startChurn(ctx, l)
	defer ch.stop()
	var deck []int
	for check := s.began.Add(s.o.Check); ; {
		wait := every/2 + l.UpTo(every)
		if err := pause.For(ctx, min(wait, time.Until(s.end))); err != nil {
			return err
		}
		if !l.Node.Alive() {
			l.Journal.Break(history.Violation{Promise: history.Died, Detail: fmt.Sprintf("ended by itself: %v: %s", l.Node.State(), l.Node.LogTail(500))})
		}
		if kept, _ := l.Journal.Violations(); len(kept) > 0 {
			s.over.Store(true)
		}
		if s.over.Load() || time.Now().After(s.end) {
			ch.stop()
			return s.gather(ctx, l)
		}
		if time.Now().After(check) {
			if err := s.check(ctx, l, ch); err != nil {
				return err
			}
			check = time.Now().Add(s.o.Check)
		}
		if len(deck) == 0 {
			deck = l.Rng.Perm(len(kinds))
		}
		if err := s.hurt(ctx, l, ch, kinds[deck[0]]); err != nil {
			return err
		}
		deck = deck[1:]
	}
}

// hurt does one thing to a node and takes the time until all devices are back.
func (s *soak) hurt(ctx context.Context, l *life.Life, ch *churn, k soakFault) error {
	l.Journal.Inject("%s", k.name)
	err := k.act(ctx, l)
	if err != nil {
		return err
	}
	ch.calm.Store(true) // or somebody is always missing
	defer ch.calm.Store(false)
	began := time.Now()
	if k.dead {
		if err := l.Boot(ctx); err != nil {
			return err
		}
	}
	if err := l.Recover(ctx); err != nil {
		return err
	}
	l.Result.Notes = nil // of the scenes; two hours of them are too many
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tally[k.name]
	if t == nil {
		t = &Tally{Node: l.Scenario.Name, Kind: k.name}
		s.tally[k.name] = t
	}
	t.Times++
	t.WorstRecovery = max(t.WorstRecovery, time.Since(began).Seconds())
	return nil
}

// churn lets devices come and go, faults or not.
type churn struct {
	// Immutable after construction.
	cancel context.CancelFunc
	wg     sync.WaitGroup

	// Atomic.
	calm atomic.Bool // nobody is cut for now
}

// startChurn cuts about a device in a hundred each second, and lets one in fifty
// connect a second time every ten.
func startChurn(ctx context.Context, l *life.Life) *churn {
	ctx, cancel := context.WithCancel(ctx)
	ch := &churn{cancel: cancel}
	rng := rand.New(rand.NewPCG(l.Options.Seed, 3)) //nolint:gosec // repeatable, not secret
	ch.wg.Add(1)
	go func() {
		defer ch.wg.Done()
		for n := 1; pause.For(ctx, time.Second) == nil; n++ {
			if ch.calm.Load() {
				continue
			}
			l.Crew.CutSome(0.01, rng)
			if n%10 == 0 {
				l.Crew.TakeOverSome(0.02, rng)
			}
		}
	}()
	return ch
}

func (ch *churn) stop() {
	ch.cancel()
	ch.wg.Wait()
}
