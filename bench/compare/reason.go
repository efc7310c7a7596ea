package main

import (
	"fmt"
	"strings"
)

// reason says what the figures of the run itself tell about a peer's lead, so
// that it is true of this machine and this commit.
func (r report) reason(l lead) string {
	if known := knownReason(l); known != "" {
		return known
	}
	if l.theirs.rounds > 1 && !l.theirs.apart(l.ours) {
		return fmt.Sprintf("The rounds lie further apart (%s and %s) than the two servers.", l.between(l.theirs), l.between(l.ours))
	}
	switch {
	case strings.HasPrefix(l.figure, "cpu_"):
		return r.splitReason(l)
	case l.measure == "echo-paced":
		return "Client and server share the cores: a percentile tells who was scheduled first as much as what the server did; the CPU rows tell the cost."
	}
	return ""
}

// knownReason is for rows where the peer does something else.
func knownReason(l lead) string {
	switch {
	case isSpread(l.column):
		return "It hands on what is in its memory, nothing written; the node what is synced, read from the log."
	case l.peer.mqtt && l.mqtt:
		return "Its PUBACK says: " + l.peer.promise + "."
	case l.peer.mqtt:
		return "It checks no token, and knows of no place in a log."
	}
	return ""
}

// splitReason says whether the difference is the server's own code or what it
// has the kernel do.
func (r report) splitReason(l lead) string {
	user := strings.Replace(l.figure, "cpu_", "cpu_user_", 1)
	theirs, ok1 := r.of(l.peer.name, l.measure, user)
	ours, ok2 := r.of(l.column.ours(l.peer), l.measure, user)
	if !ok1 || !ok2 {
		return ""
	}
	own := ours.median - theirs.median
	all := l.ours.median - l.theirs.median
	text := fmt.Sprintf("User part: %s against edgeloop's %s; kernel's part: %s against %s. ", l.show(theirs.median), l.show(ours.median),
		l.show(l.theirs.median-theirs.median), l.show(l.ours.median-ours.median))
	switch {
	case own <= 0.2*all:
		return text + "The lead is what the kernel does for either: system calls, wake-ups and the sockets' own work, not the handling of frames."
	case own >= 0.8*all:
		return text + "The lead is the server's own code."
	}
	return text + "The lead is both the server's own code and what the kernel does for it."
}
