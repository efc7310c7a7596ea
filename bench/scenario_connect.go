package bench

import (
	"context"
	"time"

	"edgeloop/bench/fleet"
	"edgeloop/bench/probe"
)

// Connect ramps up to all devices and measures the handshakes.
type Connect struct {
	Rounds int `help:"Number of rounds in which all devices connect, for a more stable ratio; between rounds they are reset." default:"1"`
	Warmup int `help:"Rounds before those, which are not measured, as for devices that have to have a ticket first." default:"0"`
}

// Name implements Scenario.
func (Connect) Name() string { return "connect" }

// Run implements Scenario.
func (c Connect) Run(ctx context.Context, s *Session) error {
	var sum Phase
	for round := range c.Warmup + max(1, c.Rounds) {
		if round > 0 {
			if err := s.leave(ctx); err != nil {
				return err
			}
		}
		p, err := s.connect(ctx, s.opt.Connections)
		if err != nil {
			return err
		}
		if round < c.Warmup {
			continue
		}
		s.latencyFigures("handshake", p, fleet.Handshake) // the last round's stand
		sum.add(p)
	}
	n := sum.Counts[fleet.Registered]
	s.figure("connects_per_s", rate(n, sum.TookS))
	s.figure("resumed", ratio(float64(sum.Counts[fleet.Resumed]), float64(n)))
	s.figure("post_quantum", ratio(float64(sum.Counts[fleet.PostQuantum]), float64(n)))
	s.cpuFigures("connect", &sum, n)
	return nil
}

// add sums up what a ratio needs.
func (p *Phase) add(o *Phase) {
	p.Name = o.Name
	p.TookS += o.TookS
	p.Counts.Add(o.Counts)
	p.ClientCPUS += o.ClientCPUS
	if o.Server == nil {
		return
	}
	if p.Server == nil {
		p.Server = &probe.Process{}
	}
	p.Server.UserS += o.Server.UserS
	p.Server.SystemS += o.Server.SystemS
}

// leave resets all devices and waits until they are gone on this side.
func (s *Session) leave(ctx context.Context) error {
	s.out.begin("leave")
	if err := s.crew.Do(fleet.Order{Verb: fleet.Drop, How: fleet.RST}); err != nil {
		return err
	}
	return s.await(ctx, "all gone", s.opt.ConnectTimeout, func(c fleet.Counts) bool { return c[fleet.Open] == 0 })
}

// Idle holds connections that carry nothing but heartbeats, and measures what
// one of them costs. With several steps the cost is marginal, between the first
// and the last: what the server needs anyway is left out.
type Idle struct {
	Steps  []int         `help:"Numbers of connections to stop at before --connections; default: a twentieth of them." placeholder:"N,N"`
	Hold   time.Duration `help:"Time to hold all connections after the last step, for CPU per connection; 0 skips it." default:"30s"`
	Settle time.Duration `help:"Longest wait at each step for the server's memory to settle." default:"20s"`
	Calm   time.Duration `help:"Time before that in which nothing is said, for a server that gives memory back to those who are silent." default:"0"`
	After  time.Duration `help:"Time after that in which nothing is said, to read the memory again; 0 does not." default:"0"`
}

// Name implements Scenario.
func (Idle) Name() string { return "idle" }

// Run implements Scenario.
func (i Idle) Run(ctx context.Context, s *Session) error {
	_, err := i.run(ctx, s)
	return err
}

// run also returns the phase of the last step's connects.
func (i Idle) run(ctx context.Context, s *Session) (connects *Phase, err error) {
	var first, last *stepCost
	base := probe.ReadKernel()
	if len(i.Steps) == 0 {
		i.Steps = []int{max(1, s.opt.Connections/20)}
	}
	for _, n := range append(i.Steps, s.opt.Connections) {
		if n > s.opt.Connections || last != nil && n <= last.n {
			continue
		}
		if connects, err = s.connect(ctx, n); err != nil {
			return nil, err
		}
		if err := s.hold(ctx, i.Calm); err != nil {
			return nil, err
		}
		cost, err := s.settle(ctx, i.Settle, n, connects)
		if err != nil {
			return nil, err
		}
		if i.After > 0 {
			if err := s.hold(ctx, i.After); err != nil {
				return nil, err
			}
			if cost.after, err = s.memory(ctx, i.Settle); err != nil {
				return nil, err
			}
		}
		if last = cost; first == nil {
			first = cost
		}
	}
	s.idleFigures(first, last, base)
	if i.Hold == 0 {
		return connects, nil
	}
	p, err := s.phase("hold", func() error { return s.hold(ctx, i.Hold) })
	if err != nil {
		return nil, err
	}
	if p.Server != nil {
		s.figure("cpu_us_per_connection_s", p.Server.CPUS()*1e6/p.TookS/float64(last.n))
	}
	if lost := p.Counts[fleet.Closed]; lost > 0 {
		s.warn("%d connections ended while held", lost)
	}
	s.figure("ended_while_held", float64(p.Counts[fleet.Closed]))
	return connects, nil
}

// ConnTCP is what the makers of brokers measure under the name singlenode-conn-tcp:
// devices of MQTT over TCP connect, at --connect-rate, and stay. It is Connect and Idle in
// one, for any broker.
type ConnTCP struct {
	Hold   time.Duration `help:"Time to hold all connections, for CPU per connection; 0 skips it." default:"30s"`
	Settle time.Duration `help:"Longest wait for the server's memory to settle." default:"20s"`
}

// Name implements Scenario.
func (ConnTCP) Name() string { return "singlenode-conn-tcp" }

func (ConnTCP) prepare(o *Options) { o.speakMQTT() }

// Run implements Scenario.
func (c ConnTCP) Run(ctx context.Context, s *Session) error {
	p, err := Idle{Hold: c.Hold, Settle: c.Settle}.run(ctx, s)
	if err != nil {
		return err
	}
	n := p.Counts[fleet.Registered]
	s.figure("connects_per_s", rate(n, p.TookS))
	s.cpuFigures("connect", p, n)
	s.latencyFigures("handshake", p, fleet.Handshake)
	return nil
}

// stepCost is the memory with n connections.
type stepCost struct {
	n      int
	rss    int64
	anon   int64
	after  probe.Process // some time later; zero: it was not asked for
	heap   *probe.Heap
	kernel probe.Kernel
}

// settle has the server collect its garbage, waits until its memory stands
// still, and reads it.
func (s *Session) settle(ctx context.Context, patience time.Duration, n int, p *Phase) (*stepCost, error) {
	s.out.begin("settle")
	c := &stepCost{n: n}
	admin, ok, err := s.opt.admin()
	if err != nil {
		return nil, err
	}
	if ok {
		h, err := probe.ReadHeap(ctx, admin)
		if err != nil {
			return nil, err
		}
		c.heap, p.Heap = &h, &h
	}
	if s.opt.PID != 0 {
		q, err := s.memory(ctx, patience)
		if err != nil {
			return nil, err
		}
		c.rss, c.anon = q.RSS, q.Anonymous
		p.Server.RSS, p.Server.Anonymous = q.RSS, q.Anonymous
	}
	c.kernel = probe.ReadKernel()
	return c, nil
}

// memory waits until the server's memory stands still, and reads it; zero without a server.
func (s *Session) memory(ctx context.Context, patience time.Duration) (probe.Process, error) {
	if s.opt.PID == 0 {
		return probe.Process{}, nil
	}
	return s.together(func(pid int) (probe.Process, error) { return probe.Settled(ctx, pid, patience) })
}

func (s *Session) idleFigures(first, last *stepCost, base probe.Kernel) {
	s.figure("connections", float64(last.n))
	// Both ends of each connection are on this machine.
	s.figure("kernel_bytes_per_socket", float64(last.kernel.Slab-base.Slab)/float64(2*last.n))
	if s.opt.PID == 0 {
		return
	}
	s.figure("rss_idle_bytes", float64(last.rss))
	if last.n == first.n {
		s.warn("one step only: the cost of a connection needs two, as --steps=500")
		return
	}
	n := float64(last.n - first.n)
	s.figure("rss_bytes_per_connection", float64(last.rss-first.rss)/n)
	s.figure("anonymous_bytes_per_connection", float64(last.anon-first.anon)/n)
	if last.after.RSS > 0 {
		s.figure("rss_after_bytes_per_connection", float64(last.after.RSS-first.after.RSS)/n)
	}
	if last.heap != nil && first.heap != nil {
		s.figure("heap_bytes_per_connection", float64(last.heap.Alloc-first.heap.Alloc)/n)
		s.figure("heap_objects_per_connection", float64(last.heap.Objects-first.heap.Objects)/n)
		s.figure("stack_bytes_per_connection", float64(last.heap.Stack-first.heap.Stack)/n)
	}
}
