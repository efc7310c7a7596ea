package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"edgeloop/bench/fleet"
	"edgeloop/bench/probe"
)

// Slow has a share of the devices stop reading while messages for them keep
// coming, and measures what the healthy ones feel.
type Slow struct {
	Share    float64       `help:"Share of the devices that stop reading." default:"0.05"`
	Rate     float64       `help:"Messages a second of the healthy devices." default:"1000"`
	Size     int           `help:"Bytes of each message that piles up." default:"32768"`
	PileRate float64       `help:"Messages a second that pile up for each slow device." default:"20"`
	Via      string        `help:"What piles up: admin (commands) or device (echoes of what the slow ones send)." default:"admin" enum:"admin,device"`
	Duration time.Duration `help:"Time measured, before and with the slow devices. The kernel buffers a few megabytes for each device before the node has to." short:"d" default:"20s"`
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
		return fmt.Errorf("%w: --share %v of %d devices leaves no slow or no healthy one", ErrOptions, sl.Share, s.opt.Connections)
	}
	if sl.Rate <= 0 || sl.PileRate <= 0 {
		return fmt.Errorf("%w: --rate %v, --pile-rate %v: both must be above 0", ErrOptions, sl.Rate, sl.PileRate)
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
	s.resetPeak()
	p, err := s.phase("slow", func() error { return sl.pile(ctx, s, admin, slow) })
	if err != nil {
		return err
	}
	s.latencyFigures("healthy_slow", p, fleet.RoundTrip)
	s.figure("slow_devices", float64(slow))
	if p.Server != nil && calm.Server != nil {
		s.figure("rss_growth_bytes", float64(p.Server.PeakRSS-calm.Server.RSS))
	}
	// A device that reads nothing does not see its end either: it lies behind all
	// that it did not read.
	p, err = s.phase("resume", func() error {
		if err := s.crew.Do(fleet.Order{Verb: fleet.Resume, To: slow}); err != nil {
			return err
		}
		return s.hold(ctx, 2*time.Second)
	})
	if err != nil {
		return err
	}
	s.figure("slow_devices_ended", float64(p.Counts[fleet.Closed]))
	if err := s.crew.Do(fleet.Order{Verb: fleet.Drop, To: slow, How: fleet.RST}); err != nil {
		return err
	}
	return s.finish(ctx)
}

// pile keeps messages coming for devices that do not read.
func (sl Slow) pile(ctx context.Context, s *Session, admin probe.Endpoint, slow int) error {
	perSecond := sl.PileRate * float64(slow)
	if sl.Via == "device" {
		o := fleet.Order{Verb: fleet.Load, Kind: fleet.PushLoad, To: slow, Rate: perSecond, Size: sl.Size}
		if err := s.crew.Do(o); err != nil {
			return err
		}
		return s.hold(ctx, sl.Duration)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	turns := make(chan int)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failed error
	gone := make([]bool, slow)
	piled := 0
	for range 8 {
		wg.Go(func() {
			for i := range turns {
				mu.Lock()
				skip := gone[i]
				mu.Unlock()
				if skip {
					continue
				}
				left, err := sl.command(ctx, s, admin, i)
				mu.Lock()
				switch {
				case ctx.Err() != nil: // the time is over
				case err != nil:
					if failed == nil {
						failed = err
					}
				case left:
					gone[i] = true
				default:
					piled++
				}
				mu.Unlock()
			}
		})
	}
	wg.Go(func() { deal(ctx, turns, slow, perSecond) })
	err := s.hold(ctx, sl.Duration)
	cancel()
	wg.Wait()
	s.figure("piled_messages", float64(piled))
	if piled == 0 && failed == nil && err == nil {
		failed = errors.New("bench: no command was taken for a slow device: nothing piled up")
	}
	return errors.Join(err, failed)
}

// deal hands out the devices in turn at a rate, until ctx ends.
func deal(ctx context.Context, turns chan<- int, n int, perSecond float64) {
	defer close(turns)
	tick := time.NewTicker(max(time.Microsecond, time.Duration(float64(time.Second)/perSecond)))
	defer tick.Stop()
	for i := 0; ; i = (i + 1) % n {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		select {
		case <-ctx.Done():
			return
		case turns <- i:
		}
	}
}

// command sends one to a slow device; left when it is no longer there: the API
// keeps the command for it, or says that it reads too slowly, which ends it.
func (sl Slow) command(ctx context.Context, s *Session, admin probe.Endpoint, i int) (left bool, err error) {
	path := fmt.Sprintf("/v1/devices/%s/%s%07d/commands", s.opt.Tenant, s.opt.Prefix, i)
	status, answer, err := admin.Do(ctx, http.MethodPost, path, `{"name":"bench","data":`+padded("", sl.Size)+`}`)
	if status == http.StatusServiceUnavailable && bytes.Contains(answer, []byte("device-busy")) {
		return true, nil
	}
	return bytes.Contains(answer, []byte(`"left"`)), err
}
