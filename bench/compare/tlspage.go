package main

import (
	"fmt"
	"slices"
	"strings"
)

// The goals of TLS: bytes of an idle connection above those of a plain one, and how much
// more an echo may cost.
const (
	idleMost    = 1024
	idleStretch = 400
	idleOldMost = 8 << 10
	echoMost    = 1.25
)

const (
	rssFigure  = "rss_bytes_per_connection"
	echoFigure = "cpu_us_per_echo"
	joinFigure = "cpu_us_per_connect"
)

// goal is one line of the verdict.
func goal(met bool, format string, args ...any) string {
	return "- " + map[bool]string{true: "Met", false: "**Missed**"}[met] + ": " + fmt.Sprintf(format, args...) + "\n"
}

// tlsGoals say what came of the goals that were measured.
func (r report) tlsGoals(b *strings.Builder) {
	plain, isPlain := r.of(tlsPlain, "idle", rssFigure)
	if own, ok := r.of(tlsOwn, "idle", rssFigure); ok && isPlain {
		more := own.median - plain.median
		b.WriteString(goal(more <= idleMost, "an idle connection of TLS 1.3 takes %s B of RSS above a plain one; at most %s wanted, %s hoped for.", thousands(more), thousands(idleMost), thousands(idleStretch)))
	}
	if old, ok := r.of(tlsOld, "idle", rssFigure); ok && isPlain {
		more := old.median - plain.median
		b.WriteString(goal(more <= idleOldMost, "one of TLS 1.2 takes %s B above a plain one; at most %s wanted.", thousands(more), thousands(idleOldMost)))
	}
	own, ok := r.of(tlsOwn, "echo-1", echoFigure)
	if !ok {
		return
	}
	if plain, ok := r.of(tlsPlain, "echo-1", echoFigure); ok {
		b.WriteString(goal(own.median <= echoMost*plain.median, "an echo of 128 B costs %.2f times a plain one; at most %.2f times wanted.", own.median/plain.median, echoMost))
	}
	for _, peer := range []string{"gws", "nginx", "haproxy"} {
		if theirs, ok := r.of(peer, "echo-1", echoFigure); ok {
			b.WriteString(goal(own.median < theirs.median, "%s needs %.2f times as much for it; more than once wanted.", peer, theirs.median/own.median))
		}
	}
}

// tlsCost is a table of one figure, with what it is above that of a plain connection or as a
// multiple of it.
func (r report) tlsCost(b *strings.Builder, rows []server, measure, figure, unit string, above bool) {
	c := column{digits: 2}
	beside := "to plain"
	if above {
		c.digits, beside = 0, "above plain"
	}
	head(b, "server", unit, "min–max", beside)
	plain, known := r.of(tlsPlain, measure, figure)
	for _, s := range rows {
		v, ok := r.of(s.name, measure, figure)
		if !ok {
			continue
		}
		text := ""
		switch {
		case !known || s.name == tlsPlain:
		case above:
			text = thousands(v.median - plain.median)
		case plain.median > 0:
			text = fmt.Sprintf("×%.2f", v.median/plain.median)
		}
		row(b, s.what, c.show(v.median), c.between(v), text)
	}
}

// handshakes is what a connect costs the server, TCP and the WebSocket handshake included,
// and how many of them one core makes in a second.
func (r report) handshakes(b *strings.Builder, rows []server) {
	head(b, "server", "handshake", "CPU µs", "min–max", "a second and core", "post-quantum", "resumed")
	for _, s := range rows {
		for _, m := range []struct{ name, what string }{
			{"full", "full"}, {"classic", "full, without X25519MLKEM768"}, {"resumed", "resumed"},
		} {
			v, ok := r.of(s.name, m.name, joinFigure)
			if !ok || v.median <= 0 {
				continue
			}
			hybrid, _ := r.of(s.name, m.name, "post_quantum")
			resumed, _ := r.of(s.name, m.name, "resumed")
			c := column{digits: 0}
			row(b, s.what, m.what, c.show(v.median), c.between(v), thousands(1e6/v.median), percent(hybrid), percent(resumed))
		}
	}
}

func percent(s spread) string { return fmt.Sprintf("%.0f %%", 100*s.median) }

// tlsMarkdown is the page of the TLS figures.
func (r report) tlsMarkdown(jsonName string) string {
	var b strings.Builder
	all, _ := r.rows()
	fmt.Fprintf(&b, "# TLS, %s\n\n", r.Started.Format("2 January 2006"))
	r.tlsGoals(&b)
	fmt.Fprintf(&b, "\nTLS 1.3 unless a row says otherwise; certificates of P-256, no client certificates unless a row says so. Client and server on loopback share the cores; "+
		"µs are the server's CPU time, user and system, of a proxy and the node behind it together. Medians of %d rounds, the servers in turn, %d s for each echo. "+
		"A proxy runs as Debian configures it, with a worker for each core.\n", r.rounds(), r.plan.seconds)
	fmt.Fprintf(&b, "\n## An idle connection\n\nRSS in bytes, marginal between %s and %s connections, after the garbage of a Go server was collected; "+
		"up to %s behind a proxy, which has two descriptors for each. One round.\n\n",
		thousands(float64(max(1, r.plan.connections/20))), thousands(float64(r.plan.connections)), thousands(mostBehindProxy))
	r.tlsCost(&b, all, "idle", rssFigure, "RSS B", true)
	b.WriteString("\n## An echo of 128 B\n\n1,000 connections, one message of each in flight.\n\n")
	r.tlsCost(&b, all, "echo-1", echoFigure, "CPU µs", false)
	b.WriteString("\n## Handshakes\n\nA connect from TCP to the answered WebSocket handshake, 64 under way at once; 1,000 connections, three times a round. " +
		"“Post-quantum” and “resumed” are the share of handshakes that used X25519MLKEM768, and a ticket.\n\n")
	r.handshakes(&b, slices.DeleteFunc(slices.Clone(all), func(s server) bool { return s.name == tlsStd }))
	if list := r.wrong(); len(list) > 0 {
		b.WriteString("\n## What went wrong\n\n- " + strings.Join(list, "\n- ") + "\n")
	}
	r.provenance(&b, jsonName)
	return b.String()
}
