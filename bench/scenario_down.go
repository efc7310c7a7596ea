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
	Concurrency int           `help:"Requests under way at once." default:"16"`
	Duration    time.Duration `help:"Time measured." short:"d" default:"10s"`
	Wait        time.Duration `help:"How long the API waits for a device's reply." default:"5s"`
}

// Name implements Scenario.
func (Command) Name() string { return "command" }

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
	trips := hdrhistogram.New(int64(time.Microsecond), int64(time.Minute), 3)
	var failed error
	p, err := s.phase("measure", func() error {
		failed = c.ask(ctx, s, admin, trips)
		return nil
	})
	if err != nil {
		return errors.Join(err, failed)
	}
	h := fleet.NewHistograms()
	h[fleet.RoundTrip].Merge(trips)
	lat, err := latencies(h)
	if err != nil {
		return err
	}
	p.Latency["command"] = lat[fleet.RoundTrip.String()]
	n := trips.TotalCount()
	s.figure("commands_per_s", rate(n, p.TookS))
	s.cpuFigures("command", p, n)
	s.figure("command_p50_ms", p.Latency["command"].P50)
	s.figure("command_p99_ms", p.Latency["command"].P99)
	s.latencyFigures("downlink", p, fleet.Downlink)
	if got := p.Counts[fleet.Commands]; got != n {
		s.warn("%d commands were answered, the devices saw %d", n, got)
	}
	return failed
}

// ask sends commands from several goroutines until the time is over.
func (c Command) ask(ctx context.Context, s *Session, admin probe.Endpoint, trips *hdrhistogram.Histogram) error {
	ctx, cancel := context.WithTimeout(ctx, c.Duration+c.Wait)
	defer cancel()
	end := time.Now().Add(c.Duration)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var first error
	for range max(1, c.Concurrency) {
		wg.Go(func() {
			for time.Now().Before(end) {
				took, err := c.one(ctx, s, admin)
				mu.Lock()
				if err != nil && first == nil {
					first = err
				}
				if err == nil {
					_ = trips.RecordValue(int64(took)) // below a minute: the API waits less
				}
				stop := first != nil
				mu.Unlock()
				if stop {
					return
				}
			}
		})
	}
	err := s.hold(ctx, c.Duration)
	wg.Wait()
	return errors.Join(err, first)
}

func (c Command) one(ctx context.Context, s *Session, admin probe.Endpoint) (time.Duration, error) {
	device := fmt.Sprintf("%s%07d", s.opt.Prefix, rand.IntN(s.opt.Connections))
	path := fmt.Sprintf("/v1/devices/%s/%s/commands?wait=%s", s.opt.Tenant, device, c.Wait)
	began := time.Now()
	body := fmt.Sprintf(`{"name":"bench","data":{"at":%d}}`, began.UnixNano())
	status, answer, err := admin.Do(ctx, http.MethodPost, path, body)
	took := time.Since(began)
	if err != nil {
		return took, err
	}
	var r struct{ OK bool }
	if json.Unmarshal(answer, &r) != nil || status != http.StatusOK || !r.OK {
		return took, fmt.Errorf("bench: command to %s: status %d: %.200s", device, status, answer)
	}
	return took, nil
}

// Broadcast sends messages to all devices and measures the time to the last.
type Broadcast struct {
	Count int           `help:"Number of broadcasts." default:"5"`
	Size  int           `help:"Data in bytes." default:"128"`
	Every time.Duration `help:"Time between the end of one and the next." default:"200ms"`
	Limit time.Duration `help:"Time for one to reach all." default:"60s"`
	Via   string        `help:"How to send it: admin (the node's API) or device (an echo server of bench/compare repeats a text message to all)." default:"admin" enum:"admin,device"`
}

// Name implements Scenario.
func (Broadcast) Name() string { return "broadcast" }

// Run implements Scenario.
func (b Broadcast) Run(ctx context.Context, s *Session) error {
	admin, ok, err := s.opt.admin()
	if err != nil {
		return err
	}
	if !ok && b.Via == "admin" {
		return errNoAdmin
	}
	if _, err := s.connect(ctx, s.opt.Connections); err != nil {
		return err
	}
	return b.measure(ctx, s, admin)
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
	pad := strings.Repeat("b", max(0, b.Size-len(`{"n":1,"at":1795234836000000000,"pad":""}`)))
	data := fmt.Sprintf(`{"n":%d,"at":%d,"pad":%q}`, n, time.Now().UnixNano(), pad)
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
