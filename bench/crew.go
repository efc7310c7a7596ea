package bench

import (
	"fmt"
	"sync"

	"golang.org/x/sys/unix"

	"edgeloop/bench/fleet"
)

// member is a fleet in this process or in a worker process.
type member interface {
	Do(o fleet.Order) error
	Snapshot(histograms bool) (fleet.Snapshot, error)
	Close() error
	PID() int
}

// descriptorReserve is what a process needs beside its sockets.
const descriptorReserve = 64

// crew is all fleets of one run: the same orders go to each.
type crew struct {
	members []member
	first   int
	count   int
}

// newCrew makes a fleet in this process when its descriptors suffice, else one
// in each of as many worker processes as it takes. workers > 0 sets the number.
func newCrew(cfg fleet.Config, workers int) (*crew, error) {
	if cfg.Count < 1 || workers < 0 {
		return nil, fmt.Errorf("%w: %d devices in %d worker processes", ErrOptions, cfg.Count, workers)
	}
	limit, err := raiseDescriptors()
	if err != nil {
		return nil, err
	}
	c := &crew{first: cfg.First, count: cfg.Count}
	if workers == 0 {
		perProcess := limit - descriptorReserve - 2*max(1, cfg.Loops)
		workers = (cfg.Count + perProcess - 1) / perProcess
		if workers == 1 {
			f, err := fleet.New(cfg)
			if err != nil {
				return nil, err
			}
			c.members = append(c.members, local{f})
			return c, nil
		}
	}
	workers = min(workers, cfg.Count)
	for k := range workers {
		part := cfg
		part.First = cfg.First + cfg.Count*k/workers
		part.Count = cfg.First + cfg.Count*(k+1)/workers - part.First
		m, err := startWorker(part)
		if err != nil {
			_ = c.Close()
			return nil, fmt.Errorf("worker %d of %d: %w", k+1, workers, err)
		}
		c.members = append(c.members, m)
	}
	return c, nil
}

// raiseDescriptors lifts the soft limit to the hard one and returns it.
func raiseDescriptors() (int, error) {
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return 0, fmt.Errorf("bench: descriptor limit: %w", err)
	}
	if lim.Cur < lim.Max {
		lim.Cur = lim.Max
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
			return 0, fmt.Errorf("bench: raise descriptor limit: %w", err)
		}
	}
	if lim.Cur <= descriptorReserve {
		return 0, fmt.Errorf("bench: descriptor limit %d is too low", lim.Cur)
	}
	return int(lim.Cur), nil
}

type local struct{ *fleet.Fleet }

func (local) PID() int { return 0 }

// Do gives one order to all; a rate is the rate of all together.
func (c *crew) Do(o fleet.Order) error {
	if o.Of == 0 {
		to := o.To
		if to == 0 {
			to = c.first + c.count
		}
		o.Of = to - max(o.From, c.first)
	}
	if o.Verb == fleet.Connect || o.Verb == fleet.Drop {
		o.InFlight = (o.InFlight + len(c.members) - 1) / len(c.members) // 0 stays what it is, the default
	}
	return c.all(func(m member) error { return m.Do(o) })
}

// Snapshot adds up all members.
func (c *crew) Snapshot(histograms bool) (fleet.Snapshot, error) {
	var sum fleet.Snapshot
	var mu sync.Mutex
	err := c.all(func(m member) error {
		s, err := m.Snapshot(histograms)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		sum.Merge(s)
		return nil
	})
	return sum, err
}

// Close ends all members; the first error is returned.
func (c *crew) Close() error { return c.all(member.Close) }

// pids are the worker processes.
func (c *crew) pids() []int {
	var pids []int
	for _, m := range c.members {
		if p := m.PID(); p != 0 {
			pids = append(pids, p)
		}
	}
	return pids
}

func (c *crew) all(do func(m member) error) error {
	errs := make([]error, len(c.members))
	var wg sync.WaitGroup
	for i, m := range c.members {
		wg.Go(func() { errs[i] = do(m) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
