package history

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"time"
)

// maxHistory is the most lines that a printed history has.
const maxHistory = 40

// Explain prints the shortest history that shows v: what the device did with the sequence, and
// what happened to the connection and to the node, from the first sending to the first
// broken promise.
func Explain(w io.Writer, v Violation, r Record, injected []Event) {
	fmt.Fprintln(w, v)
	for _, e := range Shortest(v, r, injected) {
		fmt.Fprintln(w, "   ", e)
	}
}

// Shortest picks the events that show a violation by r's device, in order of time.
func Shortest(v Violation, r Record, injected []Event) []Event {
	from, to := span(v, r)
	var all []Event
	for _, e := range r.Events {
		if e.At >= from && e.At <= to && matters(e, v.Seq) {
			all = append(all, e)
		}
	}
	var last *Event // the last ack below matters too: the device relied on it
	for i, e := range r.Events {
		if e.Kind == Acked && e.At < from && (v.Seq == 0 || e.To < v.Seq) {
			last = &r.Events[i]
		}
	}
	if last != nil {
		all = append(all, *last)
	}
	for _, e := range injected {
		if e.At >= from && e.At <= to {
			all = append(all, e)
		}
	}
	slices.SortStableFunc(all, func(a, b Event) int { return cmp.Compare(a.At, b.At) })
	if len(all) > maxHistory {
		all = append(all[:maxHistory/2:maxHistory/2], all[len(all)-maxHistory/2:]...)
	}
	return all
}

// span is the time from the first sending of the sequence to the welcome after the first answer
// that covers it after the last sending: that welcome shows what the node still knew. It is
// everything if v concerns no message.
func span(v Violation, r Record) (from, to time.Duration) {
	from, to = 0, math.MaxInt64
	if v.Seq == 0 {
		return from, to
	}
	seen, answered := false, false
	for _, e := range r.Events {
		switch {
		case e.Kind == Sent && covers(e, v.Seq):
			if !seen {
				from = e.At
			}
			seen, answered, to = true, false, math.MaxInt64
		case e.Kind == Acked && seen && e.To >= v.Seq && to == math.MaxInt64:
			answered, to = true, e.At
		case e.Kind == Welcomed && answered:
			return from, e.At
		}
	}
	return from, to
}

// matters reports whether e belongs to the history of seq.
func matters(e Event, seq uint64) bool {
	switch e.Kind {
	case Sent:
		return seq == 0 || covers(e, seq)
	case Acked:
		return seq == 0 || e.To >= seq
	default:
		return true
	}
}

func covers(e Event, seq uint64) bool { return e.From <= seq && seq <= e.To }
