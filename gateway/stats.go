package gateway

import (
	"time"

	"edgeloop/internal/latency"
	"edgeloop/pool"
)

// Stats is a snapshot of the gateway's counters.
type Stats struct {
	// Received records handed to the log, Acks sent, Gaps in sequences seen.
	Received, Acks, Gaps uint64
	// Takeovers of a device by a newer connection; Evicted for silence.
	Takeovers, Evicted uint64
	Revoked            uint64 // connections closed because their token was revoked
	// Commands by what became of them, and Replies that met someone who waited or
	// nobody.
	CommandsSent, CommandsLeft, CommandsTaken, RepliesMet, RepliesLate, Broadcasts uint64
	// WillsWaiting for their delay, and of how many devices the store has yet to be told.
	WillsWaiting, WillsUnsaved int
	// Panics of workers, contained.
	Panics uint64
	// Drops by reason.
	Drops [NumDrops]uint64
	// Events that are durable, by type, and those that made no record, by reason.
	Events     [NumEvents]uint64
	EventDrops [NumEventDrops]uint64
	// InFlightBytes of memory that is held for messages between socket and log.
	InFlightBytes int64
	// Online and Remembered devices.
	Online, Remembered int
	// AckLatency is from when the loop handed a read on until the log had all of it and its
	// device could be told; HandshakeLatency from the whole request to its 101;
	// ReplyLatency from a command to its reply, of those that were waited for.
	AckLatency, HandshakeLatency, ReplyLatency latency.Counts
	// Pool and Lanes of the messages; Auth of the handshakes.
	Pool  pool.Stats
	Lanes pool.LaneStats
	Auth  pool.QueueStats
	// Draining says that the node is going away; Drain how far it got.
	Draining bool
	Drain    DrainProgress
}

// DrainProgress says how far a drain got.
type DrainProgress struct {
	Started time.Time
	Window  time.Duration
	// Total devices when it began, of which Closed were told to go.
	Total, Closed int
}

// Acked is how many reads were acknowledged so far and how long all of them took together, as
// Stats.AckLatency has it, and whether any are on their way; any goroutine.
func (g *Gateway) Acked() (n uint64, took time.Duration, waiting bool) {
	l := g.latencies.ack.Read()
	for _, c := range l.Counts {
		n += c
	}
	return n, l.Sum, g.memory.budget.Moving.Held() > 0
}

// Stats reads the counters; any goroutine.
func (g *Gateway) Stats() Stats {
	c := &g.counts
	st := Stats{
		Received: c.received.Load(), Acks: c.acks.Load(), Gaps: c.gaps.Load(),
		Takeovers: c.takeovers.Load(), Revoked: c.revoked.Load(), Evicted: c.evicted.Load(),
		CommandsSent: c.commandsSent.Load(), CommandsLeft: c.commandsLeft.Load(), CommandsTaken: c.commandsTaken.Load(),
		RepliesMet: c.replyHit.Load(), RepliesLate: c.replyMiss.Load(), Broadcasts: c.broadcasts.Load(),
		Panics:        c.panics.Load(),
		InFlightBytes: g.memory.budget.Used(),
		Pool:          g.workPool.Stats(),
		Lanes:         g.lanes.Stats(),
		Auth:          g.checks.Stats(),
		Draining:      g.draining.Load(),

		AckLatency: g.latencies.ack.Read(), HandshakeLatency: g.latencies.handshake.Read(), ReplyLatency: g.latencies.reply.Read(),
	}
	for i := range st.Drops {
		st.Drops[i] = g.drops[i].Load()
	}
	for i := range st.Events {
		st.Events[i] = g.events.kept[i].Load()
	}
	for i := range st.EventDrops {
		st.EventDrops[i] = g.events.drops[i].Load()
	}
	st.WillsWaiting, st.WillsUnsaved = g.wills.counts()
	st.Online, st.Remembered = g.devices.Len()
	g.drain.mu.Lock()
	defer g.drain.mu.Unlock()
	st.Drain = DrainProgress{g.drain.started, g.drain.window, g.drain.total, g.drain.closed}
	return st
}
