package life

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"edgeloop/bench/fault/attack"
	"edgeloop/bench/fault/crew"
	"edgeloop/bench/fault/history"
	"edgeloop/bench/fault/node"
	"edgeloop/bench/fault/tricks"
)

// Bounds of a trick.
const (
	trickPeers  = 8                      // where it does not say how many
	trickTime   = 800 * time.Millisecond // of an attack whose tries do not outlast the node's patience
	trickQuiet  = 500 * time.Millisecond // how long the control group is measured before
	trickFDs    = 160                    // the 128 connections of the admin API among them
	trickMedian = time.Second
	trickMemory = 96 << 20 // what may come on top of rest
)

// Suffered is a trick, what came of it, and what was felt of it.
type Suffered struct {
	Trick     string   `json:"trick"`
	About     string   `json:"about"`
	Peers     int      `json:"peers"`
	Tries     int      `json:"tries"`
	Spoils    string   `json:"spoils"`
	AckQuiet  float64  `json:"ack_quiet_p99_ms"`
	Ack       float64  `json:"ack_p99_ms"`
	PingQuiet float64  `json:"ping_quiet_p99_ms"`
	Ping      float64  `json:"ping_p99_ms"`
	Grew      int64    `json:"grew_bytes"`
	FDs       int      `json:"descriptors"`
	Broken    []string `json:"broken,omitempty"`
}

// Suffer has a trick tried by its peers beside the control group, and judges what they got and
// what the group felt. A group that is not slow each of three times was slow because of what
// else runs on the machine.
func (l *Life) Suffer(ctx context.Context, t tricks.Trick) error {
	s, vs, err := l.sufferOnce(ctx, t)
	slow := func(v history.Violation) bool { return v.Promise == history.Slowed }
	for again := 2; again > 0 && err == nil && slices.ContainsFunc(vs, slow); again-- {
		s, vs, err = l.sufferOnce(ctx, t)
	}
	for i := range vs {
		vs[i].Detail = t.String() + ": " + vs[i].Detail
		s.Broken = append(s.Broken, vs[i].Detail)
	}
	l.Result.Faults++
	l.Result.Tricks = append(l.Result.Tricks, s)
	l.Journal.Break(vs...)
	if !l.Node.Alive() {
		l.Journal.Break(history.Violation{Promise: history.Died, Detail: fmt.Sprintf("the node did not outlive %s: %v", t, l.Node.State())})
		return errors.Join(err, node.ErrEnded)
	}
	if err != nil {
		return err
	}
	return l.Progress(ctx, 30*time.Second, uint64(l.Options.Devices)) //nolint:gosec // a count
}

func (l *Life) sufferOnce(ctx context.Context, t tricks.Trick) (Suffered, []history.Violation, error) {
	u, err := node.ReadUsage(l.Node.PID())
	if err != nil {
		return Suffered{}, nil, err
	}
	peers := cmp.Or(t.Peers, trickPeers)
	// Of the median nothing is said: node, devices and attackers share the cores.
	b := Bounds{Ack50: trickMedian, Ping50: trickMedian, NoNewcomers: true, Memory: u.RSS + trickMemory, Descriptors: u.FDs + 4*peers + trickFDs}
	a := attack.Attack{Kind: "trick", Trick: t.String(), Doors: l.Doors, Count: peers, For: trickTime}
	if t.Slow {
		a.For = tricks.Patience / 2 // each tries once, for longer
	}
	var spoils attack.Spoils
	f, err := l.feel(ctx, b, trickQuiet, func(ctx context.Context) error {
		var err error
		spoils, err = l.attack(ctx, a)
		return err
	})
	vs := append(judged(t, spoils), f.broken(b)...)
	ms := func(w [crew.NumWaits]crew.Figure, of crew.Wait) float64 {
		return float64(w[of].P99) / float64(time.Millisecond)
	}
	s := Suffered{
		Trick: t.String(), About: t.About, Peers: peers, Spoils: spoils.String(), Grew: max(0, f.Peak.Most-f.Peak.Rest), FDs: f.Peak.FDs,
		AckQuiet: ms(f.Quiet, crew.WaitAck), Ack: ms(f.During, crew.WaitAck), PingQuiet: ms(f.Quiet, crew.WaitPing), Ping: ms(f.During, crew.WaitPing),
	}
	for _, n := range spoils {
		s.Tries += n
	}
	return s, vs, err
}

// judged is what attackers got and should not have.
func judged(t tricks.Trick, spoils attack.Spoils) (vs []history.Violation) {
	if len(spoils) == 0 {
		return []history.Violation{{Promise: history.LetIn, Detail: "no try came to an end"}}
	}
	for outcome, n := range spoils {
		if !t.Wanted(outcome) {
			vs = append(vs, history.Violation{Promise: history.LetIn, Detail: fmt.Sprintf("%d of the tries came to %q, want %q", n, outcome, t.Want)})
		}
	}
	return vs
}
