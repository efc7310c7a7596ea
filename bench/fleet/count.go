package fleet

import (
	"encoding/json"
	"fmt"
)

// Count names one thing that a fleet counts.
type Count uint8

// The counters of a fleet. A message is lost, duplicated, reordered or
// corrupted only by the node: what the fleet itself cut off is counted apart.
const (
	Dialed            Count = iota // connect calls made
	Opened                         // answered with 101
	Registered                     // welcomed; dialects without a welcome: the same as Opened
	Refused                        // answered with another status than 101
	Failed                         // ended before an answer: reset, timeout, no descriptor
	Closed                         // ended after Opened, whatever the cause
	Dropped                        // of Closed: ended by an order to this fleet
	Sent                           // messages written, without resends
	Pushed                         // messages written for which no answer is due
	Resent                         // messages written again after a resume
	Received                       // echoes that came back sound and for the first time
	Acked                          // messages newly covered by an ack or a welcome
	Lost                           // unanswered for longer than the message timeout
	Late                           // of Lost: answered after all, too late
	Duplicated                     // echoes seen before, acks that repeat or go back
	Reordered                      // echoes overtaken by a later one
	Corrupted                      // answers whose bytes are wrong, or to something never sent
	RolledBack                     // acknowledged messages that a later welcome no longer knows
	Cut                            // unanswered when their connection ended
	Overrun                        // paced messages not sent: window and queue were full
	Skipped                        // paced messages not sent: the device was not connected
	Pings                          // pings answered
	Heartbeats                     // heartbeats sent
	Commands                       // commands received and answered
	Broadcasts                     // numbered broadcasts received in their turn
	BroadcastsMissed               // numbers that a connected device never saw
	BroadcastsDoubled              // numbers seen twice or out of turn
	Delivered                      // messages of topics received
	DeliveriesMissed               // numbers of a publisher that a subscriber never saw
	DeliveriesDoubled              // numbers seen twice or out of turn
	Faults                         // error envelopes received
	Resumed                        // TLS handshakes that a ticket made short
	PostQuantum                    // TLS handshakes by X25519MLKEM768
	BytesIn                        // bytes read from sockets
	BytesOut                       // bytes written to sockets
	Open                           // gauge: connections open now
	Ready                          // gauge: connections registered now
	Dialing                        // gauge: handshakes under way now
	numCounts
)

func countNames() [numCounts]string {
	return [numCounts]string{
		"dialed", "opened", "registered", "refused", "failed", "closed", "dropped",
		"sent", "pushed", "resent", "received", "acked", "lost", "late", "duplicated", "reordered",
		"corrupted", "rolled_back", "cut", "overrun", "skipped", "pings", "heartbeats",
		"commands", "broadcasts", "broadcasts_missed", "broadcasts_doubled",
		"delivered", "deliveries_missed", "deliveries_doubled", "faults",
		"resumed", "post_quantum", "bytes_in", "bytes_out", "open", "ready", "dialing",
	}
}

// String is the counter's name in results.
func (c Count) String() string { return countNames()[c] }

// Counts holds one value per Count.
type Counts [numCounts]int64

// Add adds o, counter by counter.
func (c *Counts) Add(o Counts) {
	for i, v := range o {
		c[i] += v
	}
}

// Sub returns what was counted since o; gauges keep their present value.
func (c Counts) Sub(o Counts) Counts {
	for i, v := range o {
		if Count(i) < Open {
			c[i] -= v
		}
	}
	return c
}

// Outstanding is the number of messages that still wait for an answer.
func (c Counts) Outstanding() int64 {
	return c[Sent] - c[Received] - c[Acked] - c[Lost] - c[Cut]
}

// Unsound is the number of messages that the node lost, doubled, reordered,
// corrupted or forgot.
func (c Counts) Unsound() int64 {
	return c[Lost] + c[Duplicated] + c[Reordered] + c[Corrupted] + c[RolledBack] +
		c[BroadcastsMissed] + c[BroadcastsDoubled] + c[DeliveriesMissed] + c[DeliveriesDoubled]
}

// MarshalJSON writes an object of names and values.
func (c Counts) MarshalJSON() ([]byte, error) {
	m := make(map[string]int64, len(c))
	for i, name := range countNames() {
		m[name] = c[i]
	}
	return json.Marshal(m)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (c *Counts) UnmarshalJSON(b []byte) error {
	var m map[string]int64
	if err := json.Unmarshal(b, &m); err != nil {
		return fmt.Errorf("counters: %w", err)
	}
	for i, name := range countNames() {
		c[i] = m[name]
	}
	return nil
}
