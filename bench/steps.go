package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"edgeloop/bench/fleet"
)

// connect brings the first n devices in and measures it.
func (s *Session) connect(ctx context.Context, n int) (*Phase, error) {
	return s.phase(fmt.Sprintf("connect %d", n), func() error {
		err := s.crew.Do(fleet.Order{
			Verb: fleet.Connect, To: n, Rate: s.opt.ConnectRate, InFlight: s.opt.ConnectInFlight,
		})
		if err != nil {
			return err
		}
		return s.awaitReady(ctx, n)
	})
}

// awaitReady waits for n devices of the main crew and all of the control group.
func (s *Session) awaitReady(ctx context.Context, n int) error {
	n += s.controlled()
	err := s.await(ctx, fmt.Sprintf("%d devices ready", n), s.opt.ConnectTimeout, func(c fleet.Counts) bool {
		return c[fleet.Ready] >= int64(n)
	})
	if errors.Is(err, ErrTimeout) {
		return fmt.Errorf("%w: %w", ErrNotReady, err)
	}
	return err
}

// controlled is the number of devices in the control group.
func (s *Session) controlled() int {
	if s.control == nil {
		return 0
	}
	return s.control.count
}

// addControl makes a second crew of n devices, numbered after the others, and
// brings it in; of none it makes none. It has its own loop, so that the load of
// the others does not delay it here.
func (s *Session) addControl(n int) error {
	if n == 0 {
		return nil
	}
	cfg, err := s.opt.fleetConfig(s.opt.Connections, n)
	if err != nil {
		return err
	}
	cfg.Loops = 1
	if s.control, err = newCrew(cfg, 0); err != nil {
		return err
	}
	return s.control.Do(fleet.Order{Verb: fleet.Connect})
}

// finish stops all loads and waits for what is under way. When nothing more
// comes within the message timeout, the rest is counted as lost.
func (s *Session) finish(ctx context.Context) error {
	s.out.begin("finish")
	if err := s.tell(fleet.Order{Verb: fleet.Quiet}); err != nil {
		return err
	}
	progress, answered := time.Now(), int64(-1)
	err := s.await(ctx, "answers", s.opt.ConnectTimeout, func(c fleet.Counts) bool {
		if now := c[fleet.Received] + c[fleet.Acked]; now != answered {
			progress, answered = time.Now(), now
		}
		return c.Outstanding() <= 0 || time.Since(progress) > s.opt.MessageTimeout+time.Second
	})
	if err != nil && !errors.Is(err, ErrTimeout) {
		return err
	}
	return s.tell(fleet.Order{Verb: fleet.Settle})
}

// loadKind is what these devices can be loaded with so that answers come.
func (s *Session) loadKind() string {
	if s.opt.Dialect == "raw" {
		return fleet.EchoLoad
	}
	return fleet.TelemetryLoad
}

// cpuFigures sets "<what>_cpu_us" and its user and system parts from a phase
// in which n things happened.
func (s *Session) cpuFigures(what string, p *Phase, n int64) {
	if p.Server == nil || n == 0 {
		return
	}
	total, user, system := p.per(n)
	s.figure("cpu_us_per_"+what, total)
	s.figure("cpu_user_us_per_"+what, user)
	s.figure("cpu_system_us_per_"+what, system)
	s.figure("client_cpu_us_per_"+what, p.ClientCPUS*1e6/float64(n))
	if p.Server.CPUS() < 0.5 {
		s.warn("only %.2f s of server CPU time in phase %q: too little for a ratio", p.Server.CPUS(), p.Name)
	}
}

// latencyFigures sets "<prefix>_p50_ms" and so on from a histogram of a phase.
func (s *Session) latencyFigures(prefix string, p *Phase, l fleet.Latency) {
	one, ok := p.Latency[l.String()]
	if !ok {
		return
	}
	s.figure(prefix+"_p50_ms", one.P50)
	s.figure(prefix+"_p99_ms", one.P99)
	s.figure(prefix+"_p99_9_ms", one.P999)
	s.figure(prefix+"_max_ms", one.Max)
}

// params flattens options and scenario into one object of the result.
func params(opt Options, sc Scenario) map[string]any {
	m := make(map[string]any)
	for _, v := range []any{opt, sc} {
		if b, err := json.Marshal(v); err == nil {
			_ = json.Unmarshal(b, &m) // an object: it was made two lines above
		}
	}
	return m
}

// commandLine is how the server was started.
func commandLine(pid int) []string {
	if pid == 0 {
		return nil
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimRight(string(b), "\x00"), "\x00")
}
