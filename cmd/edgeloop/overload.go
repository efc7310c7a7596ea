package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"go.uber.org/zap"

	"edgeloop/admin"
	"edgeloop/admin/api"
	"edgeloop/backbone"
	"edgeloop/doctor"
	"edgeloop/eventloop"
	"edgeloop/gateway"
	"edgeloop/overload"
)

// A gauger measures what a node may be short of. Owned by the goroutine of watchLoad.
type gauger struct {
	// Immutable after construction.
	limit   int64 // of memory, bytes; 0: there is none
	samples []metrics.Sample

	last    time.Time
	commits backbone.LogCounts
	waited  time.Duration // since the log has taken a batch, while one waits
	closes  uint64        // of the gate
	cycles  uint64        // of the collector
	stale   int           // looks since the last one
}

// Places of gauger.samples.
const (
	sampleLive = iota
	sampleTotal
	sampleReleased
	sampleObjects
	sampleUnused
	sampleFree
	sampleCycles
)

func newGauger() *gauger {
	g := &gauger{limit: memoryLimit(debug.SetMemoryLimit(-1), doctor.MemoryLimit())}
	for _, name := range []string{
		sampleLive:     "/gc/heap/live:bytes",
		sampleTotal:    "/memory/classes/total:bytes",
		sampleReleased: "/memory/classes/heap/released:bytes",
		sampleObjects:  "/memory/classes/heap/objects:bytes",
		sampleUnused:   "/memory/classes/heap/unused:bytes",
		sampleFree:     "/memory/classes/heap/free:bytes",
		sampleCycles:   "/gc/cycles/total:gc-cycles",
	} {
		g.samples = append(g.samples, metrics.Sample{Name: name})
	}
	return g
}

// memoryLimit is the lower of GOMEMLIMIT, which is math.MaxInt64 for none, and that of the
// control group, 0 for none.
func memoryLimit(ofRuntime, ofGroup int64) int64 {
	limit := min(ofRuntime, cmp.Or(ofGroup, math.MaxInt64))
	if limit == math.MaxInt64 {
		return 0
	}
	return limit
}

// staleMost is how old, in looks, what the collector has seen may be in a node that may be
// short of memory. By itself the collector looks every two minutes where little is allocated:
// so long the node would refuse what it has room for, or not know that it has none.
const staleMost = 5

// collect says whether the collector is to look again, of which share may be in use.
func (g *gauger) collect(share float64, cycles uint64) bool {
	if g.stale++; cycles != g.cycles || share < overload.Memory.Leaves(overload.Busy) {
		g.stale = 0
	}
	g.cycles = cycles
	return g.stale >= staleMost
}

// memory is the share of the limit that the collector cannot give back, used: what was alive
// when it last looked, and all that is not heap; and the share with all that has become
// garbage or alive since, taken.
func (g *gauger) memory() (used, taken float64) {
	if g.limit == 0 {
		return 0, 0
	}
	of := func(i int) float64 { return float64(g.samples[i].Value.Uint64()) }
	taken = of(sampleTotal) - of(sampleReleased) - of(sampleUnused) - of(sampleFree)
	used = taken - of(sampleObjects) + of(sampleLive)
	return used / float64(g.limit), max(used, taken) / float64(g.limit)
}

// log is for how long, in seconds, the log takes to make a batch durable: on average of those
// since the last look, or for as long as it has taken none.
func (g *gauger) log(now backbone.LogCounts, state backbone.State, at time.Time, passed time.Duration) float64 {
	switch {
	case now.PendingRecords > 0 && now.Batches == g.commits.Batches:
		g.waited += passed
	default:
		g.waited = 0
	}
	took := g.waited.Seconds()
	if batches := now.Batches - g.commits.Batches; batches > 0 {
		took = (now.Commits.Sum - g.commits.Commits.Sum).Seconds() / float64(batches)
	}
	g.commits = now
	if errors.Is(state.Cause, backbone.ErrFull) { // as it was told to: nothing comes sooner for what is refused
		g.waited = 0
		return 0
	}
	if !state.OK() {
		took = max(took, at.Sub(state.Since).Seconds())
	}
	return took
}

// handshakes is the share of the places of those that wait to be let in; a gate that shut
// since the last look has none free.
func (g *gauger) handshakes(ev *eventloop.Stats, queued, places int) float64 {
	shut := ev.GateShut || ev.GateCloses != g.closes
	g.closes = ev.GateCloses
	return max(boolean(shut), float64(queued)/float64(places))
}

// measure looks at a node.
func (g *gauger) measure(n *node, now time.Time) (m overload.Measurement) {
	passed := min(now.Sub(g.last), 2*overload.Every) // longer: the whole process stood still
	g.last = now
	metrics.Read(g.samples)
	ev, gw := n.server.Stats(), n.gateway.Stats()
	m[overload.Processor] = n.server.Lag().Seconds()
	used, taken := g.memory()
	m[overload.Memory] = used
	if g.collect(taken, g.samples[sampleCycles].Value.Uint64()) {
		runtime.GC()
	}
	m[overload.Log] = g.log(n.backbone.Counts(), n.backbone.State(), now, passed)
	m[overload.Messages] = float64(gw.InFlightBytes) / float64(n.gateway.Limits().InFlight)
	if n.state.Load() == stateRunning { // else the gate is shut for another reason
		m[overload.Handshakes] = g.handshakes(&ev, gw.Auth.Queued, gateway.MaxWaiting)
	}
	return m
}

func (n *node) startLoad(context.Context) (stopFunc, error) { return inBackground(n.watchLoad), nil }

// watchLoad has the ladder follow the node until ctx ends.
func (n *node) watchLoad(ctx context.Context) {
	g := newGauger()
	g.measure(n, time.Now()) // what comes before is the start's
	tick := time.NewTicker(overload.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			if before, after := n.ladder.Look(now, g.measure(n, now)); after.State != before.State {
				n.sayLoad(&before, &after)
			}
		}
	}
}

// sayLoad has each change of the state in the log, with what led there.
func (n *node) sayLoad(before, after *overload.Standing) {
	fields := []zap.Field{zap.Stringer("state", after.State), zap.Stringer("was", before.State)}
	if after.State != overload.Well {
		fields = append(fields, zap.Stringer("cause", after.Cause), zap.Float64("measured", math.Round(after.Measured*1000)/1000))
	}
	if after.State > before.State {
		n.log.Warn("the node has more to do than it can, and refuses some of it", fields...)
		return
	}
	n.log.Info("the node has less to do again", fields...)
}

// loadStatus is how the node stands with its load.
func (n *node) loadStatus() *api.NodeLoad {
	s := n.ladder.Now()
	out := &api.NodeLoad{State: s.State.String()}
	if !s.Since.IsZero() {
		out.Since = &s.Since
	}
	if s.State == overload.Well {
		return out
	}
	out.Cause, out.Detail = s.Cause.String(), causeText(&s)
	for l := range overload.NumLoads {
		if l := overload.Load(l); l.Rung() <= s.State { //nolint:gosec // small
			out.Refuses = append(out.Refuses, l.String())
		}
	}
	return out
}

// causeText says in words what a node is short of.
func causeText(s *overload.Standing) string {
	switch s.Cause {
	case overload.Processor:
		return fmt.Sprintf("an event loop has not turned for %.0f s", s.Measured)
	case overload.Memory:
		return fmt.Sprintf("%.0f %% of its memory limit are in use", 100*s.Measured)
	case overload.Log:
		return fmt.Sprintf("the log takes %.0f s to make records durable", s.Measured)
	case overload.Messages:
		return fmt.Sprintf("messages on their way take %.0f %% of --inflight-bytes", 100*s.Measured)
	case overload.Handshakes:
		return "more devices connect than it lets in"
	}
	return ""
}

// loadWarnings tell that load is refused.
func (n *node) loadWarnings() []api.Reason {
	s := n.loadStatus()
	if s.Cause == "" {
		return nil
	}
	return []api.Reason{{Code: "load_" + s.State, Detail: s.Detail + "; docs/overload.md says what is refused meanwhile"}}
}

func (n *node) loadMetrics(to func(admin.Sample)) {
	emit, now, st := emitTo(to), n.ladder.Now(), n.ladder.Stats()
	for s := range overload.NumStates {
		s := overload.State(s) //nolint:gosec // small
		emit("edgeloop_overload_state", boolean(s == now.State), s.String())
		emit("edgeloop_overload_changes_total", float64(st.Entered[s]), s.String())
	}
	for c := range overload.NumCauses {
		emit("edgeloop_overload_level", float64(now.Levels[c]), overload.Cause(c).String()) //nolint:gosec // small
	}
	for l := range overload.NumLoads {
		emit("edgeloop_overload_refused_total", float64(st.Refused[l]), overload.Load(l).String()) //nolint:gosec // small
	}
}
