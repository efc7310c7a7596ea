package bench

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"edgeloop/bench/fleet"
)

// What the makers of brokers measure under the names singlenode-fanout, singlenode-p2p and
// singlenode-sharesub: some publish with QoS 1, others subscribe with QoS 1, and it is counted what
// reaches whom.
// At a node publishers are devices, and subscribers are applications with the admin token,
// of which it takes sixteen.

// Spread is how the messages of these scenarios go.
type Spread struct {
	Rate     float64       `help:"Messages a second that all publish together." default:"500"`
	Size     int           `help:"Size of a PUBLISH in bytes." default:"128"`
	Duration time.Duration `help:"Time measured." short:"d" default:"10s"`
	Warmup   time.Duration `help:"Time before it, not measured." default:"1s"`
}

// FanOut has each message reach all subscribers.
type FanOut struct {
	Publishers  int `help:"Devices that publish, each to a topic of its own." default:"5"`
	Subscribers int `help:"Clients that subscribe to all topics; a node takes 16 with one token." default:"16"`
	Spread
}

// Name implements Scenario.
func (FanOut) Name() string { return "singlenode-fanout" }

func (f FanOut) prepare(o *Options) { o.publish(f.Publishers) }

// Run implements Scenario.
func (f FanOut) Run(ctx context.Context, s *Session) error {
	return f.run(ctx, s, f.Subscribers, spreadTopics+"+", f.Subscribers)
}

// P2P has each message reach the one subscriber of its publisher.
type P2P struct {
	Pairs int `help:"Devices that publish, each with a client that subscribes to its topic; a node takes 16 with one token." default:"16"`
	Spread
}

// Name implements Scenario.
func (P2P) Name() string { return "singlenode-p2p" }

func (p P2P) prepare(o *Options) { o.publish(p.Pairs) }

// Run implements Scenario.
func (p P2P) Run(ctx context.Context, s *Session) error {
	return p.run(ctx, s, p.Pairs, spreadTopics+"{n}", 1)
}

// ShareSub has each message reach one of those who share a subscription.
type ShareSub struct {
	Publishers  int `help:"Devices that publish, each to a topic of its own." default:"50"`
	Subscribers int `help:"Clients that share a subscription to all topics; a node takes 16 with one token." default:"16"`
	Spread
}

// Name implements Scenario.
func (ShareSub) Name() string { return "singlenode-sharesub" }

func (h ShareSub) prepare(o *Options) { o.publish(h.Publishers) }

// Run implements Scenario.
func (h ShareSub) Run(ctx context.Context, s *Session) error {
	return h.run(ctx, s, h.Subscribers, "$share/bench/"+spreadTopics+"+", 1)
}

// spreadTopics is above the topics of all; each ends with the number of its publisher.
const spreadTopics = "bench/spread/"

// publish has n devices publish by MQTT, each to a topic of its own.
func (o *Options) publish(n int) {
	o.speakMQTT()
	o.Connections, o.Subscribe, o.topic = n, "", spreadTopics+"{n}"
}

// run has subscribers subscribe to a filter; copies of them get each message.
func (sp Spread) run(ctx context.Context, s *Session, subscribers int, filter string, copies int) error {
	if sp.Rate <= 0 || subscribers < 1 {
		return fmt.Errorf("%w: --rate %v, %d subscribers: want more than 0", ErrOptions, sp.Rate, subscribers)
	}
	if err := s.addSubscribers(subscribers, filter); err != nil {
		return err
	}
	o := fleet.Order{Verb: fleet.Load, Kind: fleet.TelemetryLoad, Rate: sp.Rate, Size: sp.Size}
	p, err := s.traffic(ctx, o, sp.Warmup, sp.Duration)
	if err != nil {
		return err
	}
	if err := s.awaitDelivered(ctx, int64(copies), p); err != nil {
		return err
	}
	n := p.Counts[fleet.Delivered]
	s.trafficFigures("message", "ack", p, p.Counts[fleet.Acked])
	s.figure("deliveries_per_s", rate(n, p.TookS))
	s.figure("subscribers", float64(subscribers))
	s.cpuFigures("delivery", p, n)
	s.latencyFigures("delivery", p, fleet.Downlink)
	return nil
}

// addSubscribers makes a crew of clients that subscribe, and brings it in.
func (s *Session) addSubscribers(n int, filter string) error {
	cfg, err := s.opt.fleetConfig(0, n)
	if err != nil {
		return err
	}
	cfg.Prefix, cfg.Subscribe, cfg.Loops = s.opt.Prefix+"sub-", filter, 1
	if cfg.Secret != nil { // a node: who reads is no device
		admin, ok, err := s.opt.admin()
		if err != nil {
			return err
		}
		if !ok || admin.Token == "" {
			return fmt.Errorf("%w: subscribers at a node need --data-dir, or --admin-url with --admin-token-file", ErrOptions)
		}
		cfg.Secret, cfg.Password = nil, admin.Token
	}
	if s.control, err = newCrew(cfg, 0); err != nil {
		return err
	}
	return s.control.Do(fleet.Order{Verb: fleet.Connect})
}

// awaitDelivered waits until each message that was acknowledged has come as often as it has to.
// p's latencies are read again: the last may be the slowest.
func (s *Session) awaitDelivered(ctx context.Context, copies int64, p *Phase) error {
	s.out.begin("deliver")
	err := s.await(ctx, "all that was acknowledged delivered", s.opt.MessageTimeout, func(c fleet.Counts) bool {
		return c[fleet.Delivered] >= copies*c[fleet.Acked]
	})
	snap, failed := s.snapshot(true)
	if failed != nil {
		return errors.Join(err, failed)
	}
	c := snap.Counts
	if codes := refusedFilters(snap); codes != "" {
		return errors.Join(err, fmt.Errorf("%w: not subscribed: %s", ErrNotReady, codes))
	}
	switch got, want := c[fleet.Delivered], copies*c[fleet.Acked]; {
	case errors.Is(err, ErrTimeout):
		return fmt.Errorf("%w: %d of %d: %w", ErrUndelivered, got, want, err)
	case err != nil:
		return err
	case got > want:
		return fmt.Errorf("%w: %d deliveries of %d", ErrUndelivered, got, want)
	}
	p.Latency, err = latencies(snap.Histograms)
	return err
}

// refusedFilters lists the codes of SUBACK that refuse.
func refusedFilters(s fleet.Snapshot) string {
	var all []string
	for code, n := range s.FaultCodes {
		if strings.HasPrefix(code, "suback ") {
			all = append(all, fmt.Sprintf("%s %d times", code, n))
		}
	}
	return strings.Join(all, ", ")
}
