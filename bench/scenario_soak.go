package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"edgeloop/bench/drift"
	"edgeloop/bench/fleet"
	"edgeloop/bench/probe"
)

// Soak runs mixed traffic for a long time and fails when the server's memory,
// goroutines or descriptors drift.
type Soak struct {
	Duration   time.Duration `help:"Time of the whole soak." short:"d" default:"1h"`
	Rate       float64       `help:"Messages a second over all devices." default:"2000"`
	Size       int           `help:"Payload in bytes." default:"128"`
	ChurnRate  float64       `help:"Connections ended a second; each device returns at once." default:"10"`
	Broadcasts time.Duration `help:"Time between two broadcasts; 0 for none. Needs the admin API." default:"1m"`
	Every      time.Duration `help:"Time between two readings of the server." default:"10s"`
	MaxDrift   float64       `help:"Growth in percent, between the second quarter and the last, that fails the soak." default:"10"`
}

// Name implements Scenario.
func (Soak) Name() string { return "soak" }

// Run implements Scenario.
func (so Soak) Run(ctx context.Context, s *Session) error {
	if s.opt.PID == 0 {
		return fmt.Errorf("%w: soak needs --pid, or nobody would see the server grow", ErrOptions)
	}
	if so.Every <= 0 || so.Duration < drift.Readings*so.Every {
		return fmt.Errorf("%w: --duration %v has no room for %d readings, one --every %v: of fewer no drift can be told",
			ErrOptions, so.Duration, drift.Readings, so.Every)
	}
	admin, ok, err := s.opt.admin()
	if err != nil {
		return err
	}
	if !ok {
		s.warn("without --admin-url heap and goroutines are not watched")
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
	drifts := drift.Server()
	p, err := s.phase("soak", func() error { return so.watch(ctx, s, admin, ok, drifts) })
	if err != nil {
		return err
	}
	if err := s.finishPaced(ctx, p); err != nil {
		return err
	}
	s.trafficFigures("message", "rtt", p, p.Counts[fleet.Received]+p.Counts[fleet.Acked])
	return so.judge(s, drifts)
}

// watch reads the server every now and then until the time is over.
func (so Soak) watch(ctx context.Context, s *Session, admin probe.Endpoint, hasAdmin bool, drifts []*drift.Series) error {
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

func (so Soak) read(ctx context.Context, s *Session, admin probe.Endpoint, hasAdmin bool, drifts []*drift.Series) error {
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
	drift.Add(drifts, now)
	return nil
}

// ErrDrift says that the server grew during a soak.
var ErrDrift = errors.New("bench: the server drifted")

func (so Soak) judge(s *Session, drifts []*drift.Series) error {
	var failed error
	for _, d := range drifts {
		from, to, ok := d.Growth()
		if !ok && len(d.Values) == 0 {
			continue // there is no API to read it from
		} else if !ok {
			return fmt.Errorf("%w: %s was read %d times in %v: fewer than %d tell no drift; make it longer",
				ErrOptions, d.Name, len(d.Values), so.Duration, drift.Readings)
		}
		percent := 100 * ratio(to-from, from)
		s.figure("drift_"+d.Name, to-from)
		s.figure("drift_percent_"+d.Name, percent)
		if d.Drifted(from, to, so.MaxDrift) {
			failed = errors.Join(failed, fmt.Errorf("%w: %s from %.0f to %.0f", ErrDrift, d.Name, from, to))
		}
	}
	return failed
}
