package fleet

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gobwas/ws"
)

// Order tells a fleet, or a part of it, what to do next.
type Order struct {
	// Verb is one of the constants below.
	Verb string
	// From and To choose the devices [From, To) by number; To 0 means all after From.
	From, To int
	// Rate is messages, dials or ends a second, over all fleets together; 0 is no
	// limit for Connect and a closed loop for Load.
	Rate float64
	// Of is the number of devices that Rate is spread over, when this fleet is
	// only a part of them. Default: the devices chosen here.
	Of int
	// InFlight is messages outstanding at each device (Load, closed loop), or
	// handshakes under way at once in the fleet (Connect, Drop).
	InFlight int
	// Size is the payload in bytes.
	Size int
	// Kind of a Load.
	Kind string
	// How a connection ends: Drop and ChurnLoad.
	How string
	// Return dials again after a Drop, spread evenly over Spread.
	Return bool
	Spread time.Duration
	// Text is what Say sends.
	Text string
}

// The verbs.
const (
	Connect = "connect" // bring the devices up and keep them up
	Load    = "load"    // begin traffic
	Quiet   = "quiet"   // stop making messages
	Settle  = "settle"  // count everything unanswered as lost
	Drop    = "drop"    // end connections
	Rest    = "rest"    // do not dial again when a connection ends
	Stall   = "stall"   // stop reading
	Resume  = "resume"  // read again
	Say     = "say"     // send Text once from each device chosen
	Reset   = "reset"   // empty the histograms
)

func (o Order) withDefaults(cfg Config) (Order, error) {
	verbs := []string{Connect, Load, Quiet, Settle, Drop, Rest, Stall, Resume, Say, Reset}
	if !slices.Contains(verbs, o.Verb) {
		return o, fmt.Errorf("%w: verb %q: want one of %v", ErrOrder, o.Verb, verbs)
	}
	o.Size = orDefault(o.Size, 128)
	o.How = orDefault(o.How, CloseFrame)
	o.Of = orDefault(o.Of, cfg.Count)
	switch o.Verb {
	case Connect, Drop:
		o.InFlight = orDefault(o.InFlight, 256)
		if !slices.Contains([]string{CloseFrame, FIN, RST}, o.How) {
			return o, fmt.Errorf("%w: how %q: want close, fin or rst", ErrOrder, o.How)
		}
	case Load:
		return o, o.checkLoad(strings.HasPrefix(cfg.Dialect, "mqtt"))
	}
	return o, nil
}

func (o *Order) checkLoad(mqtt bool) error {
	kinds := []string{EchoLoad, TelemetryLoad, PushLoad, PingLoad, ChurnLoad}
	if !slices.Contains(kinds, o.Kind) {
		return fmt.Errorf("%w: kind %q: want one of %v", ErrOrder, o.Kind, kinds)
	}
	if mqtt && slices.Contains([]string{EchoLoad, PingLoad}, o.Kind) {
		return fmt.Errorf("%w: no %s over MQTT: nothing of it comes back", ErrOrder, o.Kind)
	}
	o.InFlight = orDefault(o.InFlight, 1)
	if o.Rate == 0 && slices.Contains([]string{PushLoad, PingLoad, ChurnLoad}, o.Kind) {
		return fmt.Errorf("%w: %s needs a rate", ErrOrder, o.Kind)
	}
	if o.InFlight < 1 || o.InFlight > maxInFlight {
		return fmt.Errorf("%w: %d in flight: want 1 to %d", ErrOrder, o.InFlight, maxInFlight)
	}
	if o.Size < minEchoSize || o.Size > maxIncoming {
		return fmt.Errorf("%w: size %d: want %d to %d", ErrOrder, o.Size, minEchoSize, maxIncoming)
	}
	return nil
}

// obey carries out o for the local devices [from, to). On the loop.
func (l *loop) obey(o Order, from, to int) {
	now := l.now()
	switch o.Verb {
	case Connect:
		l.limitDials(o, to-from, now)
		for i := from; i < to; i++ {
			if c := &l.conns[i]; !c.want {
				c.want, c.gone = true, 0
				l.queue(i, now, now)
			}
		}
	case Load:
		l.start(&load{
			kind: o.Kind, from: from, to: to, inFlight: o.InFlight, size: o.Size,
			how: o.How, interval: intervalOf(o.Rate, to-from, o.Of),
		}, now)
	case Quiet:
		l.quiet()
	case Settle:
		l.settle()
	case Drop:
		l.dropRange(o, from, to, now)
	case Rest:
		for i := from; i < to; i++ {
			l.conns[i].want = false
		}
	case Stall:
		for i := from; i < to; i++ {
			l.conns[i].stalled = true
		}
	case Resume:
		for i := from; i < to; i++ {
			if c := &l.conns[i]; c.stalled && c.fd >= 0 {
				c.stalled = false
				l.readAll(i, false)
			}
		}
	case Say:
		for i := from; i < to; i++ {
			if l.conns[i].state == open {
				l.framer.frame(ws.OpText, []byte(o.Text))
				l.write(i, now)
			}
		}
	case Reset:
		l.hists.reset()
	}
}

func (l *loop) limitDials(o Order, chosen int, now int64) {
	l.dials.most = max(1, (o.InFlight+l.cfg.Loops-1)/l.cfg.Loops)
	l.dials.interval = float64(intervalOf(o.Rate, chosen, o.Of))
	l.dials.next = float64(now)
}

func (l *loop) dropRange(o Order, from, to int, now int64) {
	l.limitDials(o, to-from, now)
	for i := from; i < to; i++ {
		c := &l.conns[i]
		c.want = false // again() must not dial before its time
		l.drop(i, o.How, now)
		if !o.Return {
			continue
		}
		c.want = true
		wait := int64(0)
		if o.Spread > 0 {
			wait = l.rng.Int64N(int64(o.Spread))
		}
		if c.state == idle {
			l.queue(i, now+wait, now)
		} else { // the end of the close handshake dials
			l.dials.delay(i, time.Duration(wait))
		}
	}
}
