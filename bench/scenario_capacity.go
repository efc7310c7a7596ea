package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"edgeloop/bench/fleet"
	"edgeloop/bench/probe"
)

// Capacity is everything a node must do with many devices, in one run: let them
// in, hold them, take telemetry from all, send a broadcast to all, survive that
// all drop and come back, and drain.
type Capacity struct {
	Base       int           `help:"Devices at the first memory reading; the cost of one is the difference to all." default:"500"`
	Settle     time.Duration `help:"Longest wait for the server's memory to settle." default:"30s"`
	Hold       time.Duration `help:"Time to hold all idle; longer than a heartbeat interval of the node." default:"40s"`
	Rate       float64       `help:"Telemetry messages a second; 0 is one for each device in --duration." default:"0"`
	Size       int           `help:"Payload of telemetry in bytes." default:"128"`
	Duration   time.Duration `help:"Time of telemetry." short:"d" default:"30s"`
	Broadcasts int           `help:"Number of broadcasts." default:"2"`
	Control    int           `help:"Devices that stay connected in the storm." default:"100"`
	Calm       time.Duration `help:"Time measured before the storm." default:"5s"`
	InFlight   int           `help:"Handshakes under way at once in the storm." default:"4096"`
	Drain      bool          `help:"At the end, send the server SIGTERM and check that every device is closed." default:"true" negatable:""`
	Limit      time.Duration `help:"Time for each of storm, broadcast and drain." default:"10m"`
}

// Name implements Scenario.
func (Capacity) Name() string { return "capacity" }

func (Capacity) prepare(o *Options) { o.hearCommands() }

// Run implements Scenario.
func (c Capacity) Run(ctx context.Context, s *Session) error {
	if s.opt.PID == 0 {
		return fmt.Errorf("%w: capacity needs --pid", ErrOptions)
	}
	for _, step := range []func(context.Context, *Session) error{
		c.fill, c.telemetry, c.broadcast, c.storm, c.drain,
	} {
		if err := step(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// fill connects all, measures what one costs, and holds them idle.
func (c Capacity) fill(ctx context.Context, s *Session) error {
	began := time.Now()
	i := Idle{Steps: []int{min(c.Base, s.opt.Connections)}, Hold: c.Hold, Settle: c.Settle}
	if err := i.Run(ctx, s); err != nil {
		return err
	}
	for k := range s.result.Phases {
		if p := &s.result.Phases[k]; p.Name == fmt.Sprintf("connect %d", s.opt.Connections) {
			s.figure("connects_per_s", rate(p.Counts[fleet.Registered], p.TookS))
			s.cpuFigures("connect", p, p.Counts[fleet.Registered])
		}
	}
	s.figure("fill_s", time.Since(began).Seconds()-c.Hold.Seconds())
	return nil
}

func (c Capacity) telemetry(ctx context.Context, s *Session) error {
	perSecond := c.Rate
	if perSecond == 0 {
		perSecond = float64(s.opt.Connections) / c.Duration.Seconds()
	}
	o := fleet.Order{Verb: fleet.Load, Kind: s.loadKind(), Rate: perSecond, Size: c.Size}
	p, err := s.phase("telemetry", func() error {
		if err := s.crew.Do(o); err != nil {
			return err
		}
		if err := s.hold(ctx, c.Duration); err != nil {
			return err
		}
		return s.finish(ctx)
	})
	if err != nil {
		return err
	}
	s.trafficFigures("message", "ack", p, p.Counts[fleet.Acked]+p.Counts[fleet.Received])
	s.figure("messages", float64(p.Counts[fleet.Acked]+p.Counts[fleet.Received]))
	return nil
}

func (c Capacity) broadcast(ctx context.Context, s *Session) error {
	admin, ok, err := s.opt.admin()
	if err != nil {
		return err
	}
	if !ok || c.Broadcasts == 0 {
		return nil
	}
	b := Broadcast{Count: c.Broadcasts, Size: c.Size, Every: time.Second, Limit: c.Limit, Via: "admin"}
	return b.measure(ctx, s, admin)
}

func (c Capacity) storm(ctx context.Context, s *Session) error {
	if err := s.addControl(c.Control); err != nil {
		return err
	}
	if err := s.awaitReady(ctx, s.opt.Connections); err != nil {
		return err
	}
	st := Storm{How: fleet.RST, InFlight: c.InFlight, ControlRate: float64(c.Control), Before: c.Calm, Limit: c.Limit}
	if err := st.measure(ctx, s); err != nil {
		return err
	}
	q, err := probe.Settled(ctx, s.opt.PID, c.Settle)
	s.figure("rss_after_storm_bytes", float64(q.RSS))
	return err
}

// drain stops the server and sees every device sent away.
func (c Capacity) drain(ctx context.Context, s *Session) error {
	if !c.Drain {
		return nil
	}
	if err := s.tell(fleet.Order{Verb: fleet.Rest}); err != nil {
		return err
	}
	began := time.Now()
	p, err := s.phaseWithoutServer("drain", func() error {
		if err := syscall.Kill(s.opt.PID, syscall.SIGTERM); err != nil {
			return fmt.Errorf("stop the server: %w", err)
		}
		return s.await(ctx, "all sent away", c.Limit, func(n fleet.Counts) bool { return n[fleet.Open] == 0 })
	})
	if err != nil {
		return err
	}
	s.figure("drain_s", time.Since(began).Seconds())
	all, err := s.snapshot(false)
	if err != nil {
		return err
	}
	if code := s.opt.goingAway(); code != 0 { // 1001 or 139: table.go
		got, want := all.CloseCodes[code], p.Counts[fleet.Closed]
		s.figure(fmt.Sprintf("drained_with_%d", code), float64(got))
		if got < want {
			s.warn("%d of %d devices were not told to go away (%d): %v %v", want-got, want, code, all.CloseCodes, all.Reasons)
		}
	}
	if err := s.awaitExit(ctx, c.Limit); err != nil {
		return err
	}
	s.figure("exit_s", time.Since(began).Seconds())
	return nil
}

// awaitExit waits until the server is gone, or a zombie that its own parent has
// not asked about yet.
func (s *Session) awaitExit(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.opt.PID))
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			return nil
		}
		if at := strings.LastIndex(string(b), ") "); at >= 0 && strings.HasPrefix(string(b[at:]), ") Z") {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: the server's exit: %w", ErrTimeout, ctx.Err())
		case <-tick.C:
		}
	}
}

// phaseWithoutServer measures a phase that the server does not survive.
func (s *Session) phaseWithoutServer(name string, do func() error) (*Phase, error) {
	pid := s.opt.PID
	s.opt.PID = 0
	defer func() { s.opt.PID = pid }()
	return s.phase(name, func() error {
		s.opt.PID = pid // do may need it, and the timeline
		defer func() { s.opt.PID = 0 }()
		return do()
	})
}
