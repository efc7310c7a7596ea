package bench

import (
	"context"
	"errors"
	"time"

	"edgeloop/bench/fleet"
	"edgeloop/bench/probe"
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
	if err := s.controlLoad(st.ControlRate); err != nil {
		return err
	}
	calm, err := s.phase("calm", func() error { return s.hold(ctx, st.Before) })
	if err != nil {
		return err
	}
	s.latencyFigures("control_calm", calm, fleet.RoundTrip)
	if s.opt.PID != 0 {
		s.figure("rss_before_bytes", float64(calm.Server.RSS))
		if err := probe.ResetPeak(s.opt.PID); err != nil {
			s.warn("peak memory is that of the server's whole life: %v", err)
		}
	}
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
	s.latencyFigures("return", p, fleet.Handshake)
	if p.Server != nil {
		s.figure("peak_rss_bytes", float64(p.Server.PeakRSS))
	}
	return s.finish(ctx)
}

func (st Storm) strike(ctx context.Context, s *Session) error {
	o := fleet.Order{Verb: fleet.Drop, How: st.How, Return: true, Spread: st.Spread, InFlight: st.InFlight}
	if err := s.crew.Do(o); err != nil {
		return err
	}
	want := int64(s.opt.Connections + s.control.count)
	return s.await(ctx, "all back", st.Limit, func(c fleet.Counts) bool {
		return c[fleet.Ready] >= want && c[fleet.Dropped] >= int64(s.opt.Connections)
	})
}

// controlLoad starts the paced traffic of the control group.
func (s *Session) controlLoad(perSecond float64) error {
	return s.control.Do(fleet.Order{Verb: fleet.Load, Kind: s.loadKind(), Rate: perSecond})
}

// Slow has a share of the devices stop reading while messages for them keep
// coming, and measures what the healthy ones feel.
type Slow struct {
	Share    float64       `help:"Part of the devices that stops reading." default:"0.1"`
	Rate     float64       `help:"Messages a second of the healthy devices." default:"1000"`
	Size     int           `help:"Payload in bytes of what piles up." default:"4096"`
	PileRate float64       `help:"Messages a second that pile up: broadcasts (admin) or echoes of what the slow ones send (device)." default:"20"`
	Via      string        `help:"What piles up: admin (broadcasts) or device (echoes)." default:"admin" enum:"admin,device"`
	Duration time.Duration `help:"Time measured, before and with the slow devices." short:"d" default:"10s"`
}

// Name implements Scenario.
func (Slow) Name() string { return "slow" }

// prepare keeps the devices' own kernels from swallowing what piles up.
func (Slow) prepare(o *Options) {
	if o.ReceiveBuffer == 0 {
		o.ReceiveBuffer = 8 << 10
	}
}

// Run implements Scenario.
func (sl Slow) Run(ctx context.Context, s *Session) error {
	admin, ok, err := s.opt.admin()
	if err != nil {
		return err
	}
	if !ok && sl.Via == "admin" {
		return errNoAdmin
	}
	// The healthy devices are [slow, all): all orders go by number.
	slow := int(sl.Share * float64(s.opt.Connections))
	if slow < 1 || slow >= s.opt.Connections {
		return errors.Join(ErrOptions, errors.New("bench: --share leaves no slow or no healthy device"))
	}
	if _, err := s.connect(ctx, s.opt.Connections); err != nil {
		return err
	}
	if err := s.crew.Do(fleet.Order{Verb: fleet.Load, Kind: s.loadKind(), From: slow, Rate: sl.Rate}); err != nil {
		return err
	}
	calm, err := s.phase("calm", func() error { return s.hold(ctx, sl.Duration) })
	if err != nil {
		return err
	}
	s.latencyFigures("healthy_calm", calm, fleet.RoundTrip)
	for _, verb := range []string{fleet.Rest, fleet.Stall} {
		if err := s.crew.Do(fleet.Order{Verb: verb, To: slow}); err != nil {
			return err
		}
	}
	p, err := s.phase("slow", func() error { return sl.pile(ctx, s, admin, slow) })
	if err != nil {
		return err
	}
	s.latencyFigures("healthy_slow", p, fleet.RoundTrip)
	s.figure("slow_devices", float64(slow))
	s.figure("slow_devices_ended", float64(p.Counts[fleet.Closed]))
	if p.Server != nil && calm.Server != nil {
		s.figure("rss_growth_bytes", float64(p.Server.PeakRSS-calm.Server.RSS))
	}
	if err := s.crew.Do(fleet.Order{Verb: fleet.Drop, To: slow, How: fleet.RST}); err != nil {
		return err
	}
	return s.finish(ctx)
}

// pile keeps messages coming for devices that do not read.
func (sl Slow) pile(ctx context.Context, s *Session, admin probe.Endpoint, slow int) error {
	if sl.Via == "device" {
		o := fleet.Order{Verb: fleet.Load, Kind: fleet.PushLoad, To: slow, Rate: sl.PileRate * float64(slow), Size: sl.Size}
		if err := s.crew.Do(o); err != nil {
			return err
		}
		return s.hold(ctx, sl.Duration)
	}
	end := time.Now().Add(sl.Duration)
	every := time.Duration(float64(time.Second) / sl.PileRate)
	b := Broadcast{Size: sl.Size}
	for n := 1; time.Now().Before(end); n++ {
		if err := b.send(ctx, s, admin, n); err != nil {
			return err
		}
		if err := s.hold(ctx, every); err != nil {
			return err
		}
	}
	return nil
}
