package main

import (
	"slices"
	"strings"
	"testing"
)

func namesOf(list []server) string {
	var out []string
	for _, s := range list {
		out = append(out, s.name)
	}
	return strings.Join(out, ",")
}

// TestPlan_Older: an older binary has rows of its own beside today's, named by its
// commit, and runs the same commands.
func TestPlan_Older(t *testing.T) {
	p := plan{older: "bin/before/edgeloop-b6c0570"}
	if got := namesOf(p.servers()); !strings.HasPrefix(got, "raw-1,raw-2,gnet,older-echo,edgeloop-echo,older-serve,edgeloop-serve,greatws,") {
		t.Errorf("rows: %s", got)
	}
	for i, s := range p.servers() {
		if s.name != olderNode {
			continue
		}
		now := p.servers()[i+1]
		if s.args[0] != p.older || !slices.Equal(s.args[1:], now.args[1:]) || s.what != now.what+", b6c0570" || !s.node || !s.own {
			t.Errorf("older: %+v\nnow: %+v", s, now)
		}
	}
	if got := namesOf(plan{}.servers()); strings.Contains(got, "older") {
		t.Errorf("rows without an older binary: %s", got)
	}
}

// TestPlan_Sides: before and after run at the same time and take turns measure by
// measure; without an older binary each server has the machine to itself.
func TestPlan_Sides(t *testing.T) {
	list := servers()[:3] // the raw loops, and gnet alone
	if got := (plan{}).sides(list); len(got) != 3 || len(got[0]) != 1 {
		t.Errorf("without an older binary: %d sides", len(got))
	}
	if got := (plan{older: "x"}).sides(list); len(got) != 1 || len(got[0]) != 3 {
		t.Errorf("with an older binary: %d sides", len(got))
	}
	if a, b := turned(list, 1), turned(list, 2); namesOf(a) != "raw-1,raw-2,gnet" || namesOf(b) != "gnet,raw-2,raw-1" {
		t.Errorf("round 1 %s, round 2 %s", namesOf(a), namesOf(b))
	}
	if namesOf(list) != "raw-1,raw-2,gnet" {
		t.Errorf("the list itself was turned: %s", namesOf(list))
	}
}

// TestReport_BeforeAfter: a ratio is that of one round, so that a minute in which
// the machine was slow for both does not count. A round without one of them, or in
// which one failed, has none.
func TestReport_BeforeAfter(t *testing.T) {
	message := func(v float64) map[string]float64 { return map[string]float64{"cpu_us_per_message": v} }
	r := sample()
	r.plan.older = "bin/before/edgeloop-b6c0570"
	r.Commit = "c7e10eb2f89e"
	r.Runs = append(r.Runs, of3(olderLoop, "echo-1", cpu(22, 1), cpu(20, 1), cpu(24, 1))...)
	r.Runs = append(r.Runs, of3(olderNode, "telemetry", message(10), message(40), message(10))...)
	r.Runs = append(r.Runs, record{Server: wholeOne, Measure: "telemetry", Round: 1, Figures: message(99), Error: "killed"})
	r.Runs = append(r.Runs, of3(wholeOne, "telemetry", message(8), message(20), message(9))...)
	r.Runs = append(r.Runs, of3(olderNode, "telemetry-paced", message(30))...) // never measured after
	failed := record{Server: wholeOne, Measure: "telemetry-paced", Round: 1, Figures: message(1), Error: "killed"}
	r.Runs = append(r.Runs, failed)
	page := r.markdown("x.json")
	for _, want := range []string{
		"Before is b6c0570, after c7e10eb2f89e.",
		"| ingest, saturated: CPU µs a message | 10.00 | 9.00 | 0.80 | 0.50–0.90 |  |  |",
		"| echo of 128 B: CPU µs | 22.00 | 11.00 | 0.50 | 0.50–0.50 | ×2.75 | ×1.38 |",
		"| `edgeloop serve`: the whole node, b6c0570 |  | 10.00 (10.00–40.00) |",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in:\n%s", want, page)
		}
	}
	if strings.Contains(page, "| ingest at 20,000/s: CPU µs a message |") {
		t.Errorf("a ratio to a figure that was not measured:\n%s", page)
	}
	if page := sample().markdown("x.json"); strings.Contains(page, "Before and after") {
		t.Error("a page without an older binary has the table")
	}
}

// TestMeasure_Applies: the plan's choice of measures narrows what a server allows.
func TestMeasure_Applies(t *testing.T) {
	got := func(p plan, s server) string {
		var out []string
		for _, m := range measures(p) {
			if m.applies(p, s) {
				out = append(out, m.name)
			}
		}
		return strings.Join(out, ",")
	}
	if all := got(plan{}, server{node: true}); all != "idle,connect,telemetry,telemetry-paced,broadcast" {
		t.Errorf("a node: %s", all)
	}
	if some := got(plan{measures: []string{"connect", "echo-1"}}, server{node: true}); some != "connect" {
		t.Errorf("a node, narrowed: %s", some)
	}
	if broker := got(plan{}, server{mqtt: true}); broker != "idle,connect,telemetry,telemetry-paced,fanout,p2p,sharesub" {
		t.Errorf("a broker: %s", broker)
	}
	if idle := got(plan{}, server{idleOnly: true}); idle != "idle" {
		t.Errorf("a whole product: %s", idle)
	}
}
