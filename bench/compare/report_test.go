package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// of3 is one figure of one server in three rounds.
func of3(server, measure string, figures ...map[string]float64) []record {
	var out []record
	for i, f := range figures {
		out = append(out, record{Server: server, Measure: measure, Round: i + 1, Figures: f})
	}
	return out
}

func cpu(total, user float64) map[string]float64 {
	return map[string]float64{"cpu_us_per_echo": total, "cpu_user_us_per_echo": user}
}

func sample() report {
	r := report{plan: plan{rounds: 3, connections: 10000, seconds: 5, rate: 20000}}
	for _, runs := range [][]record{
		of3("raw-2", "echo-1", cpu(8, 1), cpu(7, 1), cpu(9, 1)),
		of3("edgeloop-echo", "echo-1", cpu(11, 1), cpu(10, 1), cpu(12, 1)),
		of3("gws", "echo-1", cpu(10.9, 3), cpu(10.5, 3), cpu(11.5, 3)), // inside edgeloop's own spread
		of3("gorilla", "echo-1", cpu(20, 5), cpu(19, 5), cpu(21, 5)),
		of3("raw-2", "echo-8", cpu(2, 0), cpu(2, 0), cpu(2, 0)),
		of3("edgeloop-echo", "echo-8", cpu(4, 1), cpu(4, 1), cpu(4.2, 1)),
		of3("gws", "echo-8", cpu(3, 2), cpu(3, 2), cpu(3.1, 2)), // less, and not by chance
		of3("edgeloop-mqtt", "idle", map[string]float64{"rss_bytes_per_connection": 1100}, map[string]float64{"rss_bytes_per_connection": 1120}),
		of3("edgeloop-mqtt", "telemetry", map[string]float64{"cpu_us_per_message": 10}),
		of3("mosquitto", "telemetry", map[string]float64{"cpu_us_per_message": 5}),
		of3("mosquitto", "idle", map[string]float64{"rss_bytes_per_connection": 500}, map[string]float64{"rss_bytes_per_connection": 510}),
	} {
		r.Runs = append(r.Runs, runs...)
	}
	return r
}

// TestReport_Of: the median, and how far the rounds lie apart; a failed round
// counts for nothing.
func TestReport_Of(t *testing.T) {
	r := sample()
	r.Runs = append(r.Runs, record{Server: "raw-2", Measure: "echo-1", Figures: cpu(99, 99), Error: "killed"})
	got, ok := r.of("raw-2", "echo-1", "cpu_us_per_echo")
	if want := (spread{median: 8, min: 7, max: 9, rounds: 3}); !ok || got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got, _ := r.of("mosquitto", "idle", "rss_bytes_per_connection"); got.median != 505 {
		t.Errorf("median of two is %v, want 505", got.median)
	}
	if _, ok := r.of("nobody", "echo-1", "cpu_us_per_echo"); ok {
		t.Error("a server that did not run has a figure")
	}
}

// TestReport_Page: every lead of a peer is at the top with its reason, and a
// difference that the rounds do not carry is called one, here and in the tables.
func TestReport_Page(t *testing.T) {
	r := sample()
	r.Runs = append(r.Runs, of3("edgeloop-serve", "telemetry", map[string]float64{"cpu_us_per_message": 11})...)
	page := r.markdown("x.json")
	top, rest, ok := strings.Cut(page, "10,000 connections")
	if !ok {
		t.Fatalf("no text under the list:\n%s", page)
	}
	for _, want := range []string{
		"to the PUBACK after the sync, by MQTT: 10 µs, by WebSocket 11 (×0.91): not above WebSocket.\n",
		"one echo of 128 B, one in flight: gws has 10.90 µs, edgeloop 11.00 (-1 %, within noise). The rounds lie further apart",
		"eight in flight: gws has 3.00 µs, edgeloop 4.00 (-25 %). User part: 2.00 against edgeloop's 1.00; kernel's part: 1.00 against 3.00. The lead is what the kernel does",
		"mosquitto has 505 B, edgeloop 1,110 (-55 %). It checks no token",
		"one message of QoS 1, eight in flight: mosquitto has 5.00 µs, edgeloop 10.00 (-50 %, one round). Its PUBACK says: taken into memory, nothing written.",
	} {
		if !strings.Contains(top, want) {
			t.Errorf("the list has no %q:\n%s", want, top)
		}
	}
	if strings.Count(top, "\n- ") != 5 {
		t.Errorf("not one goal and four leads:\n%s", top)
	}
	for _, want := range []string{
		"| lxzan/gws 1.8.9 |  |  | 10.90 ×1.36 | 3.00 ×1.50 |",
		"| lxzan/gws 1.8.9 | 10.90 | 10.50–11.50 | ×1.36 | 3.00 | -1 %, within noise |",
		"| lxzan/gws 1.8.9 | 3.00 | 3.00–3.10 | ×1.50 | 2.00 | -25 % |",
		"| gorilla/websocket 1.5.3 | 20.00 | 19.00–21.00 | ×2.50 | 5.00 | +82 % |",
		"and `edgeloop echo` keeps none.",
		"| `edgeloop serve`, by MQTT | synced to the disk | 1,110 (1,100–1,120) |  | 10.00 |",
		"| `edgeloop serve`: the whole node | synced to the disk |  |  | 11.00 ×1.10 |",
		"| mosquitto (C) | taken into memory, nothing written | 505 ×0.45 (500–510) |  | 5.00 ×0.50 |",
		"| `edgeloop echo`: loop and frames | 11.00 | 10.00–12.00 | ×1.38 | 1.00 |  |",
	} {
		if !strings.Contains(rest, want) {
			t.Errorf("no %q in:\n%s", want, rest)
		}
	}
}

// TestReport_NoLeads: that no peer needs less is said where edgeloop has a figure
// in every column that the peers are in, and there were peers at all.
func TestReport_NoLeads(t *testing.T) {
	const none = "No peer needs less than edgeloop in any row."
	full := func(names ...string) report {
		var r report
		for _, c := range r.columns() {
			for i, name := range names {
				r.Runs = append(r.Runs, record{Server: name, Measure: c.measure, Round: 1, Figures: map[string]float64{c.figure: float64(i + 1)}})
			}
		}
		return r
	}
	page := func(r report) string { return r.markdown("x.json") }
	whole := full("edgeloop-echo", "edgeloop-serve", "gws")
	if p := page(whole); !strings.Contains(p, none) || strings.Contains(p, "no figure") {
		t.Errorf("a whole page:\n%s", p)
	}
	if p := page(full("edgeloop-echo", "raw-2")); strings.Contains(p, none) {
		t.Errorf("a page without peers:\n%s", p)
	}
	for i, one := range whole.Runs {
		if one.Server == "edgeloop-echo" && one.Measure == "echo-8" || one.Server == "edgeloop-serve" {
			whole.Runs[i].Error = "killed"
		}
	}
	want := "Here edgeloop has no figure, so no peer is compared: 8 in flight µs of edgeloop-echo; broadcast µs of edgeloop-serve."
	if p := page(whole); strings.Contains(p, none) || !strings.Contains(p, want) {
		t.Errorf("a page with gaps:\n%s", p)
	}
}

// TestReport_OneRound: of one round nothing is known about noise, and the page
// says so.
func TestReport_OneRound(t *testing.T) {
	r := sample()
	var first []record
	for _, one := range r.Runs {
		if one.Round == 1 {
			first = append(first, one)
		}
	}
	r.Runs = first
	if page := r.markdown("x.json"); !strings.Contains(page, "(-25 %, one round)") || strings.Contains(page, "within noise)") {
		t.Errorf("no mark of one round:\n%s", page)
	}
}

// TestReport_Wrong: what failed or spoiled messages is on the page, and in the
// numbers beside it.
func TestReport_Wrong(t *testing.T) {
	r := sample()
	r.Problems = []string{"round 2, nbio: does not listen"}
	r.Runs = append(r.Runs, record{Server: "greatws", Measure: "echo-8", Round: 2, Unsound: 7},
		record{Server: "coder", Measure: "idle", Round: 1, Error: "exit status 2:\n  out of time"})
	page := r.markdown("x.json")
	for _, want := range []string{"- round 2, nbio: does not listen\n", "round 2, greatws echo-8: 7 messages lost or spoiled", "round 1, coder idle: exit status 2: out of time"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in the page", want)
		}
	}
	b, err := json.Marshal(r)
	if err != nil || !strings.Contains(string(b), `"machine":{}`) || !strings.Contains(string(b), "does not listen") {
		t.Errorf("the numbers: %v %.200s", err, b)
	}
}

// TestRun_Wrong: a server that does not start is on the page that the run leaves,
// and the run has failed.
func TestRun_Wrong(t *testing.T) {
	t.Chdir(t.TempDir()) // no bin/peers here
	err := run(t.Context(), plan{rounds: 1, connections: 1, only: []string{"gws"}, name: "wrong", out: "results"})
	if err == nil {
		t.Error("a run without its server ended well")
	}
	pages, _ := filepath.Glob("results/*-wrong.md")
	if len(pages) != 1 {
		t.Fatalf("pages: %v", pages)
	}
	if page, err := os.ReadFile(pages[0]); err != nil || !strings.Contains(string(page), "- round 1, gws: ") {
		t.Errorf("the page: %v\n%s", err, page)
	}
}

// TestReport_Choose: what is not installed is left out and named on the page,
// unless it was asked for by name.
func TestReport_Choose(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	names := func(list []server) string {
		var out []string
		for _, s := range list {
			out = append(out, s.name)
		}
		return strings.Join(out, ",")
	}
	r := sample()
	if got := names(r.choose(plan{})); strings.Contains(got, "mosquitto") || !strings.Contains(got, "raw-2") || !strings.Contains(got, "nats-server") {
		t.Errorf("to be measured without mosquitto: %s", got)
	}
	if page := r.markdown("x.json"); !strings.Contains(page, "\nNot installed, so not measured: mosquitto.\n") {
		t.Errorf("the page does not say who is missing:\n%s", page)
	}
	r = sample()
	if got := names(r.choose(plan{only: []string{"mosquitto", "raw-2"}})); got != "raw-2,mosquitto" || len(r.Absent) > 0 {
		t.Errorf("asked for by name: %s, absent %v", got, r.Absent)
	}
}

// TestPlan_Check: what would end with an empty page is refused.
func TestPlan_Check(t *testing.T) {
	good := plan{rounds: 1, connections: 2, seconds: 1, rate: 1, only: []string{"gws", "edgeloop-serve"}}
	if err := good.check(); err != nil {
		t.Error(err)
	}
	misspelt, nothing := good, good
	misspelt.only, nothing.rounds = []string{"gsw"}, 0
	if err := misspelt.check(); err == nil || !strings.Contains(err.Error(), `"gsw"; there are raw-1`) {
		t.Errorf("misspelt: %v", err)
	}
	unknown, missing := good, good
	unknown.measures, missing.older = []string{"ide"}, "bin/no-such-edgeloop"
	if err := unknown.check(); err == nil || !strings.Contains(err.Error(), `"ide"; there are idle`) {
		t.Errorf("an unknown measure: %v", err)
	}
	if err := missing.check(); err == nil || !strings.Contains(err.Error(), "-older bin/no-such-edgeloop: want an edgeloop binary") {
		t.Errorf("an older binary that is not there: %v", err)
	}
	if nothing.check() == nil {
		t.Error("no rounds are accepted")
	}
}

// TestReport_MQTT: what reaches subscribers has a table, of what there is in a second more is no
// lead of a peer, a goal that is missed is called that, and so is a machine that was busy.
func TestReport_MQTT(t *testing.T) {
	r := report{Load: 17.5, plan: plan{rounds: 2, connections: 100, seconds: 1, rate: 10}}
	two := func(server, measure, figure string, a, b float64) {
		r.Runs = append(r.Runs, of3(server, measure, map[string]float64{figure: a}, map[string]float64{figure: b})...)
	}
	two("edgeloop-serve", "idle", "rss_bytes_per_connection", 1000, 1010)
	two("edgeloop-mqtt", "idle", "rss_bytes_per_connection", 1200, 1210)
	two("edgeloop-serve", "connect", "cpu_us_per_connect", 40, 50)
	two("edgeloop-mqtt", "connect", "cpu_us_per_connect", 45, 55)
	two("edgeloop-mqtt", "fanout", "cpu_us_per_delivery", 4, 4)
	two("edgeloop-mqtt", "fanout", "deliveries_per_s", 8000, 8000)
	two("mochi", "fanout", "cpu_us_per_delivery", 2, 2)
	two("mochi", "fanout", "deliveries_per_s", 7000, 7000)
	two("mochi", "sharesub", "delivery_p50_ms", 0.25, 0.25)
	r.Runs[0].machine = json.RawMessage(`{"cores":2}`)
	page := r.markdown("x.json")
	for _, want := range []string{
		"**The machine did other work meanwhile** (load average 17.5 before the run, 2 cores)",
		"- RSS of an idle device by MQTT: 1205 B, by WebSocket 1005 (×1.20): above WebSocket.\n",
		"- CPU for one connect by MQTT: 50 µs, by WebSocket 45 (×1.11): as by WebSocket: the rounds lie further apart.\n",
		"- CPU for one delivery, fan-out: mochi has 2.00 µs, edgeloop 4.00 (-50 %). It hands on what is in its memory",
		"| mochi-mqtt/server 2.7.9 (Go) | taken into memory, nothing written | 2.00 ×0.50 (2.00–2.00) |  |  |  |  |  |  | 0.25 (0.25–0.25) |  |",
		"| mochi-mqtt/server 2.7.9 (Go) | taken into memory, nothing written |  |  | 7,000 (7,000–7,000) |  |  |",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in:\n%s", want, page)
		}
	}
	if strings.Count(page, "mochi has") != 1 {
		t.Errorf("not one lead:\n%s", page)
	}
	r.Load = 0.5
	if strings.Contains(r.markdown("x.json"), "other work") {
		t.Error("a quiet machine is called busy")
	}
}

// TestReport_Fits: no round begins that would not end in the time given.
func TestReport_Fits(t *testing.T) {
	for _, c := range []struct {
		within time.Duration
		took   float64
		round  int
		want   bool
	}{
		{0, 1e6, 3, true},
		{time.Minute, 0, 1, true},
		{time.Minute, 30, 2, true},
		{time.Minute, 31, 2, false},
		{time.Minute, 40, 3, true},
		{time.Minute, 41, 3, false},
	} {
		r := report{TookS: c.took}
		if got := r.fits(plan{within: c.within}, c.round); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
