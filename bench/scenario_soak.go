package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"edgeloop/bench/fleet"
	"edgeloop/bench/probe"
)

// Soak runs mixed traffic for a long time and fails when the server's memory,
// goroutines or descriptors drift.
type Soak struct {
	Duration   time.Duration `help:"Time of the whole soak." short:"d" default:"1h"`
	Rate       float64       `help:"Messages a second over all devices." default:"2000"`
	Size       int           `help:"Payload in bytes." default:"128"`
	ChurnRate  float64       `help:"Connections ended a second; each comes straight back." default:"10"`
	Broadcasts time.Duration `help:"Time between two broadcasts; 0 for none. Needs the admin API." default:"1m"`
	Every      time.Duration `help:"Time between two readings of the server." default:"10s"`
	MaxDrift   float64       `help:"Growth in percent, between the second quarter and the last, that fails the soak." default:"10"`
}

// Name implements Scenario.
func (Soak) Name() string { return "soak" }

// drift is one series watched through a soak: a growth of less than floor is
// no drift, whatever its percentage.
type drift struct {
	name   string
	floor  float64
	values []float64
}

func newDrifts() []*drift {
	return []*drift{
		{name: "rss_bytes", floor: 8 << 20},
		{name: "fds", floor: 50},
		{name: "threads", floor: 10},
		{name: "heap_bytes", floor: 8 << 20},
		{name: "goroutines", floor: 50},
	}
}

// Run implements Scenario.
func (so Soak) Run(ctx context.Context, s *Session) error {
	admin, ok, err := s.opt.admin()
	if err != nil {
		return err
	}
	if _, err := s.connect(ctx, s.opt.Connections); err != nil {
		return err
	}
	err = s.crew.Do(fleet.Order{Verb: fleet.Load, Kind: s.loadKind(), Rate: so.Rate, Size: so.Size})
	if err == nil && so.ChurnRate > 0 {
		err = s.crew.Do(fleet.Order{Verb: fleet.Load, Kind: fleet.ChurnLoad, Rate: so.ChurnRate})
	}
	if err != nil {
		return err
	}
	drifts := newDrifts()
	p, err := s.phase("soak", func() error { return so.watch(ctx, s, admin, ok, drifts) })
	if err != nil {
		return err
	}
	s.trafficFigures("message", "rtt", p, p.Counts[fleet.Received]+p.Counts[fleet.Acked])
	if err := s.finish(ctx); err != nil {
		return err
	}
	return so.judge(s, drifts)
}

// watch reads the server every now and then until the time is over.
func (so Soak) watch(ctx context.Context, s *Session, admin probe.Endpoint, hasAdmin bool, drifts []*drift) error {
	end := time.Now().Add(so.Duration)
	nextBroadcast := time.Now().Add(so.Broadcasts)
	b := Broadcast{Size: so.Size}
	for n := 1; time.Now().Before(end); {
		if err := s.hold(ctx, min(so.Every, time.Until(end))); err != nil {
			return err
		}
		if err := so.read(ctx, s, admin, hasAdmin, drifts); err != nil {
			return err
		}
		if hasAdmin && so.Broadcasts > 0 && time.Now().After(nextBroadcast) {
			if err := b.send(ctx, s, admin, n); err != nil {
				return err
			}
			n++
			nextBroadcast = nextBroadcast.Add(so.Broadcasts)
		}
	}
	return nil
}

func (so Soak) read(ctx context.Context, s *Session, admin probe.Endpoint, hasAdmin bool, drifts []*drift) error {
	now := make(map[string]float64)
	if s.opt.PID != 0 {
		p, err := probe.ReadProcess(s.opt.PID)
		if err != nil {
			return fmt.Errorf("server: %w", err)
		}
		now["rss_bytes"], now["fds"], now["threads"] = float64(p.RSS), float64(p.FDs), float64(p.Threads)
	}
	if hasAdmin {
		m, err := probe.Metrics(ctx, admin)
		if err != nil {
			return err
		}
		now["heap_bytes"], now["goroutines"] = m["go_memstats_heap_inuse_bytes"], m["go_goroutines"]
	}
	for _, d := range drifts {
		if v, ok := now[d.name]; ok {
			d.values = append(d.values, v)
		}
	}
	return nil
}

// ErrDrift says that the server grew during a soak.
var ErrDrift = errors.New("bench: the server drifted")

func (so Soak) judge(s *Session, drifts []*drift) error {
	var failed error
	for _, d := range drifts {
		from, to, ok := d.growth()
		if !ok {
			continue
		}
		percent := 100 * ratio(to-from, from)
		s.figure("drift_"+d.name, to-from)
		s.figure("drift_percent_"+d.name, percent)
		if percent > so.MaxDrift && to-from > d.floor {
			failed = errors.Join(failed, fmt.Errorf("%w: %s from %.0f to %.0f", ErrDrift, d.name, from, to))
		}
	}
	return failed
}

// growth compares the medians of the second quarter and the last; the first is
// warm-up. Fewer than eight readings say nothing.
func (d *drift) growth() (from, to float64, ok bool) {
	n := len(d.values)
	if n < 8 {
		return 0, 0, false
	}
	return median(d.values[n/4 : n/2]), median(d.values[3*n/4:]), true
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}
