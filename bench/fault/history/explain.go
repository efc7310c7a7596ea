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

// Explain prints the shortest history that shows v: what the device did with the
// sequence concerned, and what happened to the connection and to the node from the
// first time it was sent until the first word that was broken.
func Explain(w io.Writer, v Violation, r Record, injected []Event) {
	fmt.Fprintln(w, v)
	for _, e := range Shortest(v, r, injected) {
		fmt.Fprintln(w, "   ", e)
	}
}

// Shortest picks the events that a violation of r's device rests on, in order of
// time.
func Shortest(v Violation, r Record, injected []Event) []Event {
	from, to := span(v, r)
	var all []Event
	for _, e := range r.Events {
		if e.At >= from && e.At <= to && matters(e, v.Seq) {
			all = append(all, e)
		}
	}
	var last *Event // the last ack below matters too: it is what the device stood on
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

// span is the time from the first sending of the sequence to the first answer that
// covers it after the last sending, and on to the welcome after that, which tells
// what the node still knew; everything, if no message is concerned.
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

// matters says whether e is part of the story of seq.
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
