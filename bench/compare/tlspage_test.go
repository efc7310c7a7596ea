package main

import (
	"crypto/tls"
	"strings"
	"testing"
)

// TestReport_TLS: the page says of each goal whether it was met, and how much a handshake
// costs; one that was not measured is not spoken of.
func TestReport_TLS(t *testing.T) {
	r := report{plan: plan{tls: true, rounds: 3, connections: 10000, seconds: 5}}
	rss := func(v float64) map[string]float64 { return map[string]float64{rssFigure: v} }
	join := map[string]float64{joinFigure: 500, "post_quantum": 1, "resumed": 0.5}
	for _, runs := range [][]record{
		of3(tlsPlain, "idle", rss(600)), of3(tlsOwn, "idle", rss(1700)), of3(tlsOld, "idle", rss(8000)),
		of3(tlsPlain, "echo-1", cpu(10, 1), cpu(10, 1)), of3(tlsOwn, "echo-1", cpu(12, 1), cpu(12, 1)),
		of3("gws", "echo-1", cpu(18, 1)), of3("nginx", "echo-1", cpu(11, 1)), of3(tlsOwn, "resumed", join),
	} {
		r.Runs = append(r.Runs, runs...)
	}
	page := r.markdown("x.json")
	for _, want := range []string{
		"**Missed**: an idle connection of TLS 1.3 takes 1,100 B of RSS above a plain one",
		"Met: one of TLS 1.2 takes 7,400 B above",
		"Met: an echo of 128 B costs 1.20 times a plain one",
		"Met: gws needs 1.50 times", "**Missed**: nginx needs 0.92 times",
		"| resumed | 500 |  | 2,000 | 100 % | 50 % |",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in %s", want, page)
		}
	}
	if strings.Contains(page, "haproxy") || strings.Contains(page, "What went wrong") {
		t.Errorf("it speaks of what was not measured: %s", page)
	}
}

// TestMakeCerts: what is made goes together, for both ends.
func TestMakeCerts(t *testing.T) {
	c, err := makeCerts(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for cert, key := range map[string]string{c.cert: c.key, c.both: c.both, c.deviceCert: c.deviceKey} {
		if _, err := tls.LoadX509KeyPair(cert, key); err != nil {
			t.Error(err)
		}
	}
}
