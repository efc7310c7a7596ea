package bench

import (
	"context"
	"time"

	"edgeloop/bench/fleet"
)

// Storm drops all devices at once and lets them come back, while a control
// group that stays connected tells what everybody else feels.
type Storm struct {
	How         string        `help:"How the connections end: rst (power cut), fin or close." default:"rst" enum:"close,fin,rst"`
	Spread      time.Duration `help:"The devices come back spread over this time; 0: all at once." default:"0"`
	InFlight    int           `help:"Handshakes under way at once." default:"4096"`
	Control     int           `help:"Devices in the control group." default:"100"`
	ControlRate float64       `help:"Messages a second of the control group." default:"200"`
	Before      time.Duration `help:"Time measured before the storm." default:"3s"`
	Limit       time.Duration `help:"Time for all to be back." default:"5m"`
}

// Name implements Scenario.
func (Storm) Name() string { return "storm" }

// Run implements Scenario.
func (st Storm) Run(ctx context.Context, s *Session) error {
	if err := s.addControl(st.Control); err != nil {
		return err
	}
	if _, err := s.connect(ctx, s.opt.Connections); err != nil {
		return err
	}
	return st.measure(ctx, s)
}

// measure strikes devices and control group that are there.
func (st Storm) measure(ctx context.Context, s *Session) error {
	if err := s.controlLoad(s.loadKind(), st.ControlRate); err != nil {
		return err
	}
	calm, err := s.phase("calm", func() error { return s.hold(ctx, st.Before) })
	if err != nil {
		return err
	}
	s.latencyFigures("control_calm", calm, fleet.RoundTrip)
	if s.opt.PID != 0 {
		s.figure("rss_before_bytes", float64(calm.Server.RSS))
	}
	s.resetPeak()
	var began time.Time
	p, err := s.phase("storm", func() error {
		began = time.Now()
		return st.strike(ctx, s)
	})
	if err != nil {
		return err
	}
	all, err := s.crew.Snapshot(false)
	if err != nil {
		return err
	}
	n := p.Counts[fleet.Registered]
	took := time.Unix(0, all.LastReady).Sub(began).Seconds()
	s.figure("all_back_s", took)
	s.figure("returns_per_s", rate(n, took))
	s.figure("attempts_per_return", ratio(float64(p.Counts[fleet.Dialed]), float64(n)))
	s.cpuFigures("return", p, n)
	s.latencyFigures("control_storm", p, fleet.RoundTrip)
	s.latencyFigures("back", p, fleet.Absence)
	s.latencyFigures("handshake", p, fleet.Handshake)
	if p.Server != nil {
		s.figure("peak_rss_bytes", float64(p.Server.PeakRSS))
	}
	return s.finish(ctx)
}

func (st Storm) strike(ctx context.Context, s *Session) error {
	before, err := s.snapshot(false)
	if err != nil {
		return err
	}
	// Each of them registers anew, also one that was away already; Ready alone would
	// be content before the first connection has ended.
	registered := before.Counts[fleet.Registered] + int64(s.opt.Connections)
	want := int64(s.opt.Connections + s.controlled())
	o := fleet.Order{Verb: fleet.Drop, How: st.How, Return: true, Spread: st.Spread, InFlight: st.InFlight}
	if err := s.crew.Do(o); err != nil {
		return err
	}
	return s.await(ctx, "all back", st.Limit, func(c fleet.Counts) bool {
		return c[fleet.Ready] >= want && c[fleet.Registered] >= registered
	})
}

// controlLoad starts the paced traffic of the control group.
func (s *Session) controlLoad(kind string, perSecond float64) error {
	if s.control == nil {
		return nil
	}
	return s.control.Do(fleet.Order{Verb: fleet.Load, Kind: kind, Rate: perSecond})
}
