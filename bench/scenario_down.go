package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"edgeloop/bench/fleet"
	"edgeloop/bench/probe"
)

var errNoAdmin = fmt.Errorf("%w: this scenario needs --admin-url", ErrOptions)

// Command measures the round trip of a command: from the request to the admin
// API, down to a device, its reply, and the answer of the API.
type Command struct {
	Rate        float64       `help:"Commands a second over all devices; 0 is a closed loop." default:"0"`
	Size        int           `help:"Data in bytes." default:"128"`
	Concurrency int           `help:"Requests under way at once." default:"16"`
	Duration    time.Duration `help:"Time measured." short:"d" default:"10s"`
	Wait        time.Duration `help:"How long the API waits for a device's reply." default:"5s"`
}

// Name implements Scenario.
func (Command) Name() string { return "command" }

func (Command) prepare(o *Options) { o.hearCommands() }

// Run implements Scenario.
func (c Command) Run(ctx context.Context, s *Session) error {
	admin, ok, err := s.opt.admin()
	if err != nil {
		return err
	}
	if !ok {
		return errNoAdmin
	}
	if _, err := s.connect(ctx, s.opt.Connections); err != nil {
		return err
	}
	a := asking{Command: c, trips: hdrhistogram.New(int64(time.Microsecond), int64(time.Hour), 3)}
	var failed error
	p, err := s.phase("measure", func() error {
		failed = a.run(ctx, s, admin)
		return nil
	})
	if err != nil {
		return errors.Join(err, failed)
	}
	h := fleet.NewHistograms()
	h[fleet.RoundTrip] = a.trips
	lat, err := latencies(h)
	if err != nil {
		return err
	}
	p.Latency["command"] = lat[fleet.RoundTrip.String()]
	n := a.trips.TotalCount()
	s.figure("commands_per_s", rate(n, p.TookS))
	s.cpuFigures("command", p, n)
	s.figure("command_p50_ms", p.Latency["command"].P50)
	s.figure("command_p99_ms", p.Latency["command"].P99)
	s.latencyFigures("downlink", p, fleet.Downlink)
	if failed != nil {
		return failed // and what the devices saw of it says nothing
	}
	return a.judge(s, p.Counts[fleet.Commands])
}

// asking is one Command under way.
type asking struct {
	Command

	// Guarded by mu.
	mu         sync.Mutex
	trips      *hdrhistogram.Histogram
	next       time.Time // when the next command is due, with a rate
	sent       int64
	unanswered int64
	failed     error // the first that was neither answered nor unanswered
}

// run sends commands from several goroutines until the time is over, and what was
// due in it for as long again as a reply may take.
func (a *asking) run(ctx context.Context, s *Session, admin probe.Endpoint) error {
	a.next = time.Now()
	end := a.next.Add(a.Duration)
	var wg sync.WaitGroup
	for range max(1, a.Concurrency) {
		wg.Go(func() {
			for {
				due, ok := a.take(end)
				if !ok {
					return
				}
				select {
				case <-ctx.Done():
					return
				case <-time.After(time.Until(due)):
				}
				a.settle(due, a.one(ctx, s, admin))
			}
		})
	}
	err := s.hold(ctx, a.Duration)
	wg.Wait()
	if left := end.Sub(a.next).Seconds() * a.Rate; left >= 1 {
		s.warn("%.0f commands were due and not sent: all requests that may be under way were", left)
	}
	return errors.Join(err, a.failed)
}

// take takes the next command off the schedule and says when it is due, which may
// be long ago where all requests that may be under way were; false when no more
// are to be sent.
func (a *asking) take(end time.Time) (due time.Time, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	if due = now; a.Rate > 0 {
		due = a.next
	}
	if a.failed != nil || !due.Before(end) || now.After(end.Add(a.Wait)) {
		return due, false
	}
	if a.Rate > 0 {
		a.next = a.next.Add(time.Duration(float64(time.Second) / a.Rate))
	}
	a.sent++
	return due, true
}

// settle notes what became of a command.
func (a *asking) settle(due time.Time, err error) {
	took := time.Since(due)
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case err == nil:
		_ = a.trips.RecordValue(min(int64(took), int64(time.Hour)))
	case errors.Is(err, ErrUndelivered):
		a.unanswered++
	case a.failed == nil:
		a.failed = err
	}
}

// judge compares what was asked with what the devices saw. Each was asked for once.
func (a *asking) judge(s *Session, seen int64) error {
	s.figure("commands_unanswered", float64(a.unanswered))
	s.figure("commands_doubled", float64(max(0, seen-a.sent)))
	if a.unanswered > 0 || seen > a.sent {
		return fmt.Errorf("%w: of %d commands %d had no reply, and the devices saw %d", ErrUndelivered, a.sent, a.unanswered, seen)
	}
	return nil
}

// one sends a command to some device and waits for its reply; ErrUndelivered
// when there was none.
func (a *asking) one(ctx context.Context, s *Session, admin probe.Endpoint) error {
	device := fmt.Sprintf("%s%07d", s.opt.Prefix, rand.IntN(s.opt.Connections))
	path := fmt.Sprintf("/v1/devices/%s/%s/commands?wait=%s", s.opt.Tenant, device, a.Wait)
	status, answer, err := admin.Do(ctx, http.MethodPost, path, `{"name":"bench","data":`+padded("", a.Size)+`}`)
	if status == http.StatusGatewayTimeout {
		return fmt.Errorf("%w: %w", ErrUndelivered, err)
	}
	if err != nil {
		return err
	}
	var r struct{ OK bool }
	if json.Unmarshal(answer, &r) != nil || status != http.StatusOK || !r.OK {
		return fmt.Errorf("bench: command to %s: status %d: %.200s", device, status, answer)
	}
	return nil
}

// padded is a JSON object of size bytes with the fields given and when it was made;
// of more, where they take more.
func padded(fields string, size int) string {
	data := fmt.Sprintf(`{%s"at":%d,"pad":"`, fields, time.Now().UnixNano())
	return data + strings.Repeat("b", max(0, size-len(data)-2)) + `"}`
}

// Broadcast sends messages to all devices and measures the time to the last. A
// control group that pings tells what everybody else feels; its devices get the
// broadcasts, too.
type Broadcast struct {
	Count int           `help:"Number of broadcasts." default:"5"`
	Size  int           `help:"Data in bytes." default:"128"`
	Every time.Duration `help:"Time between the end of one and the next." default:"200ms"`
	Limit time.Duration `help:"Time for one to reach all." default:"60s"`
	Via   string        `help:"How to send it: admin (the node's API) or device (an echo server of bench/compare repeats a text message to all)." default:"admin" enum:"admin,device"`

	Control     int           `help:"Devices in the control group." default:"0"`
	ControlRate float64       `help:"Pings a second of the control group." default:"1000"`
	Before      time.Duration `help:"Time measured before the first, with a control group." default:"3s"`
}

// Name implements Scenario.
func (Broadcast) Name() string { return "broadcast" }

func (Broadcast) prepare(o *Options) { o.hearCommands() }

// Run implements Scenario.
func (b Broadcast) Run(ctx context.Context, s *Session) error {
	admin, ok, err := s.opt.admin()
	if err != nil {
		return err
	}
	if !ok && b.Via == "admin" {
		return errNoAdmin
	}
	if err := s.addControl(b.Control); err != nil {
		return err
	}
	if _, err := s.connect(ctx, s.opt.Connections); err != nil {
		return err
	}
	if err := b.calm(ctx, s); err != nil {
		return err
	}
	return b.measure(ctx, s, admin)
}

// calm measures what the control group sees of a node that has nothing else to do.
func (b Broadcast) calm(ctx context.Context, s *Session) error {
	if s.control == nil {
		return nil
	}
	if err := s.controlLoad(fleet.PingLoad, b.ControlRate); err != nil {
		return err
	}
	p, err := s.phase("calm", func() error { return s.hold(ctx, b.Before) })
	if err != nil {
		return err
	}
	s.latencyFigures("control_calm", p, fleet.RoundTrip)
	return nil
}

// measure sends the broadcasts to devices that are there.
func (b Broadcast) measure(ctx context.Context, s *Session, admin probe.Endpoint) error {
	last := hdrhistogram.New(int64(time.Microsecond), int64(time.Hour), 3)
	p, err := s.phase("broadcast", func() error {
		for n := 1; n <= b.Count; n++ {
			took, err := b.one(ctx, s, admin, n)
			if err != nil {
				return err
			}
			_ = last.RecordValue(int64(took)) // below an hour: Limit ends it
			if err := s.hold(ctx, b.Every); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.figure("last_p50_ms", milliseconds(float64(last.ValueAtPercentile(50))))
	s.figure("last_max_ms", milliseconds(float64(last.Max())))
	if s.control != nil {
		s.latencyFigures("control_broadcast", p, fleet.RoundTrip)
	}
	s.latencyFigures("downlink", p, fleet.Downlink)
	s.cpuFigures("delivery", p, p.Counts[fleet.Broadcasts])
	s.figure("deliveries", float64(p.Counts[fleet.Broadcasts]))
	if p.Server != nil {
		s.figure("peak_rss_bytes", float64(p.Server.PeakRSS))
	}
	return nil
}

// send sends broadcast number n.
func (b Broadcast) send(ctx context.Context, s *Session, admin probe.Endpoint, n int) error {
	data := padded(fmt.Sprintf(`"n":%d,`, n), b.Size)
	if b.Via == "device" {
		return s.crew.Do(fleet.Order{Verb: fleet.Say, To: 1, Text: data})
	}
	_, _, err := admin.Do(ctx, http.MethodPost, "/v1/broadcast", `{"all":true,"name":"bench","data":`+data+`}`)
	return err
}

// one sends broadcast number n and waits until each ready device has it.
func (b Broadcast) one(ctx context.Context, s *Session, admin probe.Endpoint, n int) (time.Duration, error) {
	before, err := s.snapshot(false)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if err := b.send(ctx, s, admin, n); err != nil {
		return 0, err
	}
	want := before.Counts[fleet.Broadcasts] + before.Counts[fleet.Ready]
	err = s.await(ctx, fmt.Sprintf("broadcast %d at all", n), b.Limit, func(c fleet.Counts) bool {
		return c[fleet.Broadcasts] >= want
	})
	if errors.Is(err, ErrTimeout) {
		return 0, fmt.Errorf("%w: %w", ErrUndelivered, err)
	}
	if err != nil {
		return 0, err
	}
	after, err := s.snapshot(false)
	return time.Unix(0, after.LastDownlink).Sub(began), err
}
