package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"edgeloop/bench/fleet"
	"edgeloop/bench/probe"
)

// Errors of a run that could not be carried out.
var (
	ErrNotReady = errors.New("bench: the devices did not get in")
	ErrTimeout  = errors.New("bench: the run did not reach its next step in time")
)

// ErrUndelivered says that the node did not bring a broadcast to every device
// that was there, or a command to its device once and its reply back.
var ErrUndelivered = errors.New("bench: not delivered")

// Scenario is one kind of run. Its exported fields are its flags.
type Scenario interface {
	// Name is the scenario's name in results.
	Name() string
	// Run drives the session; it ends by itself.
	Run(ctx context.Context, s *Session) error
}

// Session is one run under way.
type Session struct {
	opt     Options
	crew    *crew
	control *crew // a few devices apart from the others; nil unless asked for
	result  *Result
	out     *progress
	start   time.Time
	last    Sample
	before  Sample // the sample before last, for rates
}

const (
	pollEvery   = 20 * time.Millisecond
	sampleEvery = 500 * time.Millisecond
)

// preparer is a scenario that needs other options than the defaults.
type preparer interface {
	prepare(o *Options)
}

// Run carries out one scenario. Progress goes to out. The Result is never nil:
// with an error it says how far the run came.
func Run(ctx context.Context, opt Options, sc Scenario, out io.Writer) (*Result, error) {
	if p, ok := sc.(preparer); ok {
		p.prepare(&opt)
	}
	unknown := opt.locate()
	s := &Session{opt: opt, out: newProgress(out), start: time.Now(), result: &Result{
		Schema: Schema, Scenario: sc.Name(), Started: time.Now().UTC(), Command: os.Args,
		Machine: probe.ReadMachine(), Target: Target{URL: opt.URL, PID: opt.PID, Args: commandLine(opt.PID)},
		Params: params(opt, sc), Figures: make(map[string]float64),
	}}
	err := unknown
	if err == nil {
		err = s.run(ctx, sc)
	}
	s.out.end()
	r := s.result
	r.TookS = time.Since(s.start).Seconds()
	if err != nil {
		r.Error = err.Error()
	}
	return r, errors.Join(err, r.judge(opt.Require))
}

func (s *Session) run(ctx context.Context, sc Scenario) (err error) {
	for _, e := range s.opt.Require { // not only after an hour
		if _, _, _, err := split(e); err != nil {
			return err
		}
	}
	cfg, err := s.opt.fleetConfig(0, s.opt.Connections)
	if err != nil {
		return err
	}
	if s.crew, err = newCrew(cfg, s.opt.Workers); err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, s.closeCrews())
	}()
	err = sc.Run(ctx, s)
	return errors.Join(err, s.total())
}

func (s *Session) closeCrews() error {
	err := s.crew.Close()
	if s.control != nil {
		err = errors.Join(err, s.control.Close())
	}
	return err
}

// total writes the whole run's counts into the result.
func (s *Session) total() error {
	sum, err := s.snapshot(false)
	if err != nil {
		return err
	}
	r := s.result
	r.Counts, r.Unsound = sum.Counts, sum.Counts.Unsound()
	r.CloseCodes, r.Statuses, r.Reasons, r.FaultCodes = sum.CloseCodes, sum.Statuses, sum.Reasons, sum.FaultCodes
	return nil
}

// snapshot adds the control group to the others.
func (s *Session) snapshot(histograms bool) (fleet.Snapshot, error) {
	sum, err := s.crew.Snapshot(histograms)
	if err == nil && s.control != nil {
		var c fleet.Snapshot
		c, err = s.control.Snapshot(histograms)
		sum.Merge(c)
	}
	return sum, err
}

// reading is everything measured at one moment.
type reading struct {
	at     time.Time
	counts fleet.Counts
	hists  fleet.Histograms
	server *probe.Process
	client float64
	kernel probe.Kernel
}

func (s *Session) read(histograms bool) (reading, error) {
	r := reading{at: time.Now(), kernel: probe.ReadKernel(), client: s.clientCPU()}
	snap, err := s.snapshot(histograms)
	if err != nil {
		return r, err
	}
	r.counts, r.hists = snap.Counts, snap.Histograms
	if s.opt.PID != 0 {
		p, err := s.together(probe.ReadProcess)
		if err != nil {
			return r, fmt.Errorf("server: %w", err)
		}
		r.server = &p
	}
	return r, nil
}

// together reads the server and what stands in front of it, and adds them up.
func (s *Session) together(read func(pid int) (probe.Process, error)) (sum probe.Process, err error) {
	sum, err = read(s.opt.PID)
	for _, pid := range s.opt.AlsoPID {
		if err != nil {
			break
		}
		var p probe.Process
		p, err = read(pid)
		sum.Add(p)
	}
	return sum, err
}

func (s *Session) clientCPU() float64 {
	pids := append([]int{os.Getpid()}, s.crew.pids()...)
	if s.control != nil {
		pids = append(pids, s.control.pids()...)
	}
	sum := 0.0
	for _, pid := range pids {
		if p, err := probe.CPU(pid); err == nil {
			sum += p.CPUS()
		}
	}
	return sum
}

// phase measures what do does: counts, latencies, the server's and the fleet's
// cost. The pointer is valid until the next phase begins.
func (s *Session) phase(name string, do func() error) (*Phase, error) {
	s.out.begin(name)
	if err := s.tell(fleet.Order{Verb: fleet.Reset}); err != nil {
		return nil, err
	}
	before, err := s.read(false)
	if err != nil {
		return nil, err
	}
	failed := do()
	after, err := s.read(true)
	if err != nil {
		return nil, errors.Join(failed, err)
	}
	lat, err := latencies(after.hists)
	if err != nil {
		return nil, errors.Join(failed, err)
	}
	p := Phase{
		Name: name, TookS: after.at.Sub(before.at).Seconds(), Counts: after.counts.Sub(before.counts),
		Latency: lat, Kernel: after.kernel, ClientCPUS: after.client - before.client,
	}
	if after.server != nil && before.server != nil {
		d := probe.Delta(*before.server, *after.server)
		p.Server = &d
	}
	s.result.Phases = append(s.result.Phases, p)
	return &s.result.Phases[len(s.result.Phases)-1], failed
}

// resetPeak has the server's peak memory begin anew.
func (s *Session) resetPeak() {
	if s.opt.PID == 0 {
		return
	}
	if err := probe.ResetPeak(s.opt.PID); err != nil {
		s.warn("peak memory is that of the server's whole life: %v", err)
	}
}

// tell gives an order to everybody, the control group included.
func (s *Session) tell(o fleet.Order) error {
	err := s.crew.Do(o)
	if s.control != nil {
		err = errors.Join(err, s.control.Do(o))
	}
	return err
}

// await polls until done is content; ErrTimeout after limit.
func (s *Session) await(ctx context.Context, what string, limit time.Duration, done func(c fleet.Counts) bool) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	deadline := time.Now().Add(limit)
	for {
		snap, err := s.snapshot(false)
		if err != nil {
			return err
		}
		s.sample(snap.Counts, "at most "+left(deadline))
		if done(snap.Counts) {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%w: %s within %v; %v", ErrTimeout, what, limit, summary(snap))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// hold waits for d and keeps the timeline.
func (s *Session) hold(ctx context.Context, d time.Duration) error {
	tick := time.NewTicker(sampleEvery / 2)
	defer tick.Stop()
	end := time.Now().Add(d)
	over := time.NewTimer(d)
	defer over.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-over.C:
			return nil
		case <-tick.C:
		}
		snap, err := s.snapshot(false)
		if err != nil {
			return err
		}
		s.sample(snap.Counts, left(end))
	}
}

// sample adds a point to the timeline when it is time for one; left is for people.
func (s *Session) sample(c fleet.Counts, left string) {
	t := time.Since(s.start).Seconds()
	if len(s.result.Timeline) > 0 && t-s.last.T < sampleEvery.Seconds() {
		return
	}
	p := Sample{
		T: t, Open: c[fleet.Open], Ready: c[fleet.Ready], Sent: c[fleet.Sent] + c[fleet.Pushed],
		Back: c[fleet.Received] + c[fleet.Acked] + c[fleet.Broadcasts], Kernel: probe.ReadKernel().Slab,
	}
	if s.opt.PID != 0 {
		if q, err := probe.CPU(s.opt.PID); err == nil {
			p.CPUS, p.RSS = q.CPUS(), probe.QuickRSS(s.opt.PID)
		}
	}
	s.before, s.last = s.last, p
	s.result.Timeline = append(s.result.Timeline, p)
	s.out.tick(p, s.before, left)
}

// figure sets a headline number.
func (s *Session) figure(name string, v float64) { s.result.Figures[name] = v }

// warn notes something that makes the numbers worth less.
func (s *Session) warn(format string, args ...any) {
	w := fmt.Sprintf(format, args...)
	s.result.Warnings = append(s.result.Warnings, w)
	s.out.say("warning: %s", w)
}

// summary is what a person wants to know when the devices do not get in.
func summary(s fleet.Snapshot) string {
	var b strings.Builder
	fmt.Fprintf(&b, "ready %d, dialing %d, refused %d %v, failed %d %v, closed %d %v", s.Counts[fleet.Ready],
		s.Counts[fleet.Dialing], s.Counts[fleet.Refused], s.Statuses, s.Counts[fleet.Failed], s.Reasons,
		s.Counts[fleet.Closed], s.CloseCodes)
	if s.Counts[fleet.Faults] > 0 {
		fmt.Fprintf(&b, ", errors %v", s.FaultCodes)
	}
	return b.String()
}
