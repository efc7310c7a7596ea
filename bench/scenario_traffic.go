package bench

import (
	"context"
	"time"

	"edgeloop/bench/fleet"
)

// Echo measures an echo server: each device keeps a number of messages in
// flight (closed loop), or all together keep a rate (paced).
type Echo struct {
	InFlight int           `help:"Messages in flight at each device (closed loop)." default:"1"`
	Rate     float64       `help:"Messages a second over all devices; 0 is a closed loop." default:"0"`
	Size     int           `help:"Payload in bytes." default:"128"`
	Duration time.Duration `help:"Time measured." short:"d" default:"10s"`
	Warmup   time.Duration `help:"Time before it, not measured." default:"1s"`
}

// Name implements Scenario.
func (Echo) Name() string { return "echo" }

// Run implements Scenario.
func (e Echo) Run(ctx context.Context, s *Session) error {
	o := fleet.Order{Verb: fleet.Load, Kind: fleet.EchoLoad, InFlight: e.InFlight, Rate: e.Rate, Size: e.Size}
	p, err := s.traffic(ctx, o, e.Warmup, e.Duration)
	if err != nil {
		return err
	}
	s.trafficFigures("echo", "rtt", p, p.Counts[fleet.Received])
	return nil
}

// Telemetry measures the way of sequenced messages into the durable log: each
// device keeps its window full (saturated), or all together keep a rate.
type Telemetry struct {
	InFlight int           `help:"Unacknowledged messages at each device (saturated)." default:"8"`
	Rate     float64       `help:"Messages a second over all devices; 0 saturates." default:"0"`
	Size     int           `help:"Payload in bytes, envelope included." default:"128"`
	Duration time.Duration `help:"Time measured." short:"d" default:"10s"`
	Warmup   time.Duration `help:"Time before it, not measured." default:"2s"`
}

// Name implements Scenario.
func (Telemetry) Name() string { return "telemetry" }

// Run implements Scenario.
func (t Telemetry) Run(ctx context.Context, s *Session) error {
	o := fleet.Order{Verb: fleet.Load, Kind: fleet.TelemetryLoad, InFlight: t.InFlight, Rate: t.Rate, Size: t.Size}
	p, err := s.traffic(ctx, o, t.Warmup, t.Duration)
	if err != nil {
		return err
	}
	s.trafficFigures("message", "ack", p, p.Counts[fleet.Acked])
	return nil
}

// traffic connects all, lets the load warm up, and measures it for a time.
func (s *Session) traffic(ctx context.Context, o fleet.Order, warmup, d time.Duration) (*Phase, error) {
	if _, err := s.connect(ctx, s.opt.Connections); err != nil {
		return nil, err
	}
	s.out.begin("warm-up")
	if err := s.crew.Do(o); err != nil {
		return nil, err
	}
	if err := s.hold(ctx, warmup); err != nil {
		return nil, err
	}
	p, err := s.phase("measure", func() error { return s.hold(ctx, d) })
	if err != nil {
		return nil, err
	}
	if o.Rate == 0 {
		return p, s.finish(ctx)
	}
	return p, s.finishPaced(ctx, p)
}

// finishPaced is finish after p, whose latencies it reads again: what was due in
// time and answered after it may be the slowest of all.
func (s *Session) finishPaced(ctx context.Context, p *Phase) error {
	if err := s.finish(ctx); err != nil {
		return err
	}
	all, err := s.snapshot(true)
	if err == nil {
		p.Latency, err = latencies(all.Histograms)
	}
	return err
}

// trafficFigures sets rate, cost and latency of n answered messages.
func (s *Session) trafficFigures(what, latency string, p *Phase, n int64) {
	s.figure(what+"s_per_s", rate(n, p.TookS))
	s.figure("sent_per_s", rate(p.Counts[fleet.Sent], p.TookS))
	s.cpuFigures(what, p, n)
	s.latencyFigures(latency, p, fleet.RoundTrip)
	if p.Server != nil {
		s.figure("server_cores", p.Server.CPUS()/p.TookS)
		s.figure("rss_bytes", float64(p.Server.RSS))
	}
	if over := p.Counts[fleet.Overrun] + p.Counts[fleet.Skipped]; over > 0 {
		s.warn("%d paced messages were not sent: %d because the window was full, %d because the device was away",
			over, p.Counts[fleet.Overrun], p.Counts[fleet.Skipped])
	}
}

// Churn ends connections at a rate, each of which comes straight back, while
// the rest stay idle.
type Churn struct {
	Rate     float64       `help:"Connections ended a second." default:"500"`
	How      string        `help:"How they end: close, fin or rst." default:"close" enum:"close,fin,rst"`
	Duration time.Duration `help:"Time measured." short:"d" default:"10s"`
}

// Name implements Scenario.
func (Churn) Name() string { return "churn" }

// Run implements Scenario.
func (c Churn) Run(ctx context.Context, s *Session) error {
	o := fleet.Order{Verb: fleet.Load, Kind: fleet.ChurnLoad, Rate: c.Rate, How: c.How}
	p, err := s.traffic(ctx, o, time.Second, c.Duration)
	if err != nil {
		return err
	}
	n := p.Counts[fleet.Registered]
	s.figure("connects_per_s", rate(n, p.TookS))
	s.cpuFigures("connect", p, n)
	s.latencyFigures("handshake", p, fleet.Handshake)
	if failed := p.Counts[fleet.Failed] + p.Counts[fleet.Refused]; failed > 0 {
		s.warn("%d attempts failed or were refused", failed)
	}
	return s.awaitReady(ctx, s.opt.Connections)
}
