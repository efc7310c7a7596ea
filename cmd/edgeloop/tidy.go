package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"edgeloop/eventloop"
)

// A storm of connects or of messages leaves garbage behind, and the runtime gives
// the memory back over many minutes. A node at the edge is not alone on its
// machine, so what a peak took is given back soon after it has passed. While
// nothing has passed the collector is left alone: a round costs a collection of
// everything.
const (
	tidyEvery = 2 * time.Second
	// A round is followed by a rest of so many times as long as it took, within bounds: half a
	// percent of a core at most while a round takes up to 100 ms, more where it takes longer; and a
	// small node need not keep for long what a second storm took.
	tidyShare = 200
	tidyLeast = 2 * tidyEvery
	tidyRest  = 20 * time.Second
	// calmFor is how many looks in a row a peak must be over.
	calmFor = 2
	// churnLeast is how many connections must have come or gone for a storm, and
	// peakLeast how many bytes must have been on their way for a peak.
	churnLeast = 200
	peakLeast  = 16 << 20
	// heldLeast is how much more than it needs a process may hold without a round.
	heldLeast = 16 << 20
)

// load is what a node carries and holds at a time.
type load struct {
	open     uint64 // connections
	moved    uint64 // connections that came or went since the start
	inFlight uint64 // bytes of messages
	held     uint64 // bytes of the heap that the system cannot give to others
	goal     uint64 // bytes of the heap at which the runtime collects
}

// tidier sees peaks pass. Owned by the goroutine of tidy.
type tidier struct {
	last    time.Time     // round
	rest    time.Duration // after it
	moved   uint64
	churn   float64 // connections that came or went lately, fading
	peak    float64 // bytes that were in flight lately, fading
	passing bool    // a storm or a peak was seen, and no round made since: it may fade before one is allowed
	calm    int     // looks in a row since the storm or the peak
	settled uint64  // bytes held after the last round
	fresh   bool    // the last round was just made
}

// due says whether a peak has passed whose memory is to be given back now.
func (t *tidier) due(now time.Time, l load) bool {
	if t.fresh {
		t.settled, t.fresh = l.held, false
	}
	moved := float64(l.moved - t.moved)
	t.moved = l.moved
	t.churn = t.churn*0.8 + moved
	t.peak = max(t.peak*0.95, float64(l.inFlight))
	peak := t.peak >= peakLeast
	t.passing = t.passing || peak || t.churn >= max(churnLeast, float64(l.open)/4)
	// What comes and goes evenly is no storm: each look then adds a fifth of churn.
	if moved <= t.churn/10 && (!peak || float64(l.inFlight) < t.peak/4) {
		t.calm++
	} else {
		t.calm = 0
	}
	// The runtime keeps a tenth more than its goal. A process that holds more
	// has collected since the peak; what is held for other reasons was there after the last round.
	held := l.held > max(l.goal, t.settled)*5/4+heldLeast
	passed := t.calm >= calmFor && t.passing
	if (!passed && !held) || now.Sub(t.last) < t.rest {
		return false
	}
	t.last, t.churn, t.peak, t.passing, t.calm, t.fresh = now, 0, 0, false, 0, true
	t.rest = tidyRest
	return true
}

// made is told how long the round took that was due.
func (t *tidier) made(took time.Duration) {
	t.rest = min(tidyRest, max(tidyLeast, tidyShare*took))
}

func (n *node) startTidy(context.Context) (stopFunc, error) {
	return inBackground(func(ctx context.Context) {
		tidy(ctx, n.server, func() int64 { return n.gateway.Stats().InFlightBytes })
	}), nil
}

// tidy gives memory back to the system until ctx ends. inFlight is the bytes of messages.
func tidy(ctx context.Context, srv *eventloop.Server, inFlight func() int64) {
	samples := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/gc/heap/goal:bytes"},
	}
	tick := time.NewTicker(tidyEvery)
	defer tick.Stop()
	var t tidier
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			metrics.Read(samples)
			ev := srv.Stats()
			if t.due(now, load{
				open:     uint64(max(0, ev.Open)),                                     //nolint:gosec // not negative
				moved:    2*ev.Accepted - min(2*ev.Accepted, uint64(max(0, ev.Open))), //nolint:gosec // the same
				inFlight: uint64(max(0, inFlight())),                                  //nolint:gosec // the same
				held:     samples[0].Value.Uint64() + samples[1].Value.Uint64() + samples[2].Value.Uint64(),
				goal:     samples[3].Value.Uint64(),
			}) {
				began := time.Now()
				debug.FreeOSMemory()
				t.made(time.Since(began))
			}
		}
	}
}
