package bench_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/pprof"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"edgeloop/bench"
	"edgeloop/bench/fleet"
	"edgeloop/bench/fleettest"
	"edgeloop/internal/testkit"
)

// A worker process is this binary with the argument "worker".
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == bench.WorkerCommand {
		if err := bench.Work(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	testkit.Leaks(m, goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}

func options(url string, n int) bench.Options {
	return bench.Options{
		URL: url, Connections: n, Dialect: "raw", Tenant: "default", Prefix: "bench-", ConnectInFlight: 64,
		Loops: 1, HandshakeTimeout: 30 * time.Second, MessageTimeout: 30 * time.Second, // so that nothing is lost on a busy machine
		ConnectTimeout: time.Minute, PID: os.Getpid(),
	}
}

func run(t *testing.T, opt bench.Options, sc bench.Scenario) *bench.Result {
	t.Helper()
	var log bytes.Buffer
	r, err := bench.Run(t.Context(), opt, sc, &log)
	if err != nil {
		t.Fatalf("%v\n%s", err, &log)
	}
	return r
}

func echo() bench.Echo {
	return bench.Echo{InFlight: 4, Size: 100, Duration: time.Second, Warmup: 20 * time.Millisecond}
}

// The whole way against an honest server: the result holds every figure that
// the scenario promises, survives JSON, and meets its thresholds.
func TestRun_Echo(t *testing.T) {
	t.Parallel()
	opt := options(fleettest.Serve(t, fleettest.Echo(fleettest.Sound, 1)), 20)
	opt.Require = []string{"figures.rtt_p99_ms<10000", "counts.ready==20", "phases.1.latency.round_trip.count>0"}
	r := run(t, opt, echo())
	if !r.OK || r.Unsound != 0 {
		t.Errorf("not ok: unsound %d, thresholds %+v", r.Unsound, r.Thresholds)
	}
	for _, name := range []string{"echos_per_s", "cpu_us_per_echo", "rtt_p50_ms", "rtt_p99_ms", "server_cores", "rss_bytes"} {
		if r.Figures[name] <= 0 {
			t.Errorf("figure %s = %v", name, r.Figures[name])
		}
	}
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var back bench.Result
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if back.Counts != r.Counts || len(back.Timeline) != len(r.Timeline) {
		t.Error("the result does not survive JSON")
	}
	h, err := back.Phases[1].Latency["round_trip"].Histogram()
	if err != nil || h.TotalCount() != r.Phases[1].Latency["round_trip"].Count {
		t.Errorf("the histogram does not survive JSON: %v", err)
	}
}

// Devices of MQTT connect and stay, and what one of them costs is in the result.
func TestRun_ConnTCP(t *testing.T) {
	t.Parallel()
	opt := options(fleettest.Broker(t, func(byte, []byte, int) []byte { return []byte{0x20, 2, 0, 0} }), 40)
	opt.Dialect = "json" // the default of the flag
	r := run(t, opt, bench.ConnTCP{Hold: 10 * time.Millisecond, Settle: time.Second})
	for _, name := range []string{"connects_per_s", "handshake_p99_ms", "connections"} {
		if r.Figures[name] <= 0 {
			t.Errorf("figure %s = %v", name, r.Figures[name])
		}
	}
	if _, ok := r.Figures["rss_bytes_per_connection"]; !ok || !r.OK || r.Figures["ended_while_held"] != 0 {
		t.Errorf("%+v", r.Figures)
	}
}

// What the fleet notices reaches the verdict.
func TestRun_FaultyServerIsNotOK(t *testing.T) {
	t.Parallel()
	for _, f := range []fleettest.Fault{fleettest.Lose, fleettest.Duplicate, fleettest.Swap, fleettest.Flip} {
		t.Run(string(f), func(t *testing.T) {
			t.Parallel()
			e := echo()
			opt := options(fleettest.Serve(t, fleettest.Echo(f, 3)), 4)
			opt.MessageTimeout = 500 * time.Millisecond
			r := run(t, opt, e)
			if r.OK || r.Unsound == 0 {
				t.Errorf("a server with fault %q passed: %v", f, r.Counts)
			}
		})
	}
}

func TestRun_ThresholdsMissed(t *testing.T) {
	t.Parallel()
	url := fleettest.Serve(t, fleettest.Echo(fleettest.Sound, 1))
	for _, expr := range []string{"figures.connects_per_s<0", "figures.no_such_thing>0", "counts.ready!=1"} {
		opt := options(url, 2)
		opt.Require = []string{expr}
		var log bytes.Buffer
		r, err := bench.Run(t.Context(), opt, bench.Connect{}, &log)
		if wrong := errors.Is(err, bench.ErrOptions); wrong != strings.Contains(expr, "!=") {
			t.Errorf("%s: error %v", expr, err)
		}
		if r.OK {
			t.Errorf("%s: met", expr)
		}
	}
}

// Three worker processes act as one fleet: numbers, rates and histograms add up.
func TestRun_WorkerProcesses(t *testing.T) {
	t.Parallel()
	opt := options(fleettest.Serve(t, fleettest.Echo(fleettest.Sound, 1)), 12)
	opt.Workers = 3
	e := echo()
	e.Rate, e.Duration = 600, 3*time.Second // so that what stood still in the warm-up is not much of it
	r := run(t, opt, e)
	if !r.OK || r.Counts[fleet.Opened] != 12 {
		t.Fatalf("ok %v, opened %d, want 12", r.OK, r.Counts[fleet.Opened])
	}
	// Three times the rate would say that each worker kept all of it.
	if got := r.Figures["sent_per_s"]; got == 0 || got > 1200 {
		t.Errorf("sent %.0f messages/s, want about 600", got)
	}
	if got := r.Phases[1].Latency["round_trip"].Count; got == 0 || got > r.Counts[fleet.Received] {
		t.Errorf("round trips recorded: %d", got)
	}
}

func TestRun_NobodyListens(t *testing.T) {
	t.Parallel()
	opt := options("ws://127.0.0.1:1/", 3)
	opt.ConnectTimeout = 3 * time.Second // in which one attempt is made at least
	var log bytes.Buffer
	r, err := bench.Run(t.Context(), opt, bench.Connect{}, &log)
	if !errors.Is(err, bench.ErrNotReady) || r.OK || !strings.Contains(err.Error(), "ECONNREFUSED") {
		t.Errorf("error %v", err)
	}
}

// Idle asks the server for a collection and takes the difference of two steps.
// Not parallel: the server is this process, and its heap is what is measured.
func TestRun_Idle(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	admin := httptest.NewServer(mux)
	t.Cleanup(admin.Close)
	opt := options(fleettest.Serve(t, fleettest.Echo(fleettest.Sound, 1)), 120)
	opt.AdminURL = admin.URL
	r := run(t, opt, bench.Idle{Steps: []int{20}, Settle: 3 * time.Second, Hold: 100 * time.Millisecond})
	// A goroutine for each connection of the test server: at least its stack.
	if got := r.Figures["stack_bytes_per_connection"]; got < 1000 {
		t.Errorf("stack bytes per connection %v", got)
	}
	if got := r.Figures["heap_bytes_per_connection"]; got < 100 {
		t.Errorf("heap bytes per connection %v", got)
	}
	if r.Figures["ended_while_held"] != 0 {
		t.Error("connections ended")
	}
}

// With After the memory is read at each step once more, and is a figure of its own; without it
// there is none, rather than a zero.
func TestRun_IdleAfter(t *testing.T) {
	url := fleettest.Serve(t, fleettest.Echo(fleettest.Sound, 1))
	for _, after := range []time.Duration{0, 200 * time.Millisecond} {
		opt := options(url, 120)
		opt.PID = os.Getpid()
		began := time.Now()
		r := run(t, opt, bench.Idle{Steps: []int{20}, Settle: 3 * time.Second, After: after})
		if _, is := r.Figures["rss_bytes_per_connection"]; !is {
			t.Error("no RSS was measured")
		}
		if _, is := r.Figures["rss_after_bytes_per_connection"]; is != (after > 0) {
			t.Errorf("after %v there is a second figure: %v", after, is)
		}
		if took := time.Since(began); took < 2*after {
			t.Errorf("two waits of %v took %v together", after, took)
		}
	}
}

func TestRun_StormChurnSlow(t *testing.T) {
	t.Parallel()
	url := fleettest.Serve(t, fleettest.Echo(fleettest.Sound, 1))
	t.Run("storm", func(t *testing.T) {
		t.Parallel()
		r := run(t, options(url, 50), bench.Storm{
			How: fleet.RST, InFlight: 100, Control: 5, ControlRate: 100, Before: 100 * time.Millisecond, Limit: time.Minute,
		})
		if !r.OK || r.Figures["all_back_s"] <= 0 || r.Counts[fleet.Registered] != 105 {
			t.Errorf("ok %v, back after %vs, registered %d", r.OK, r.Figures["all_back_s"], r.Counts[fleet.Registered])
		}
	})
	t.Run("storm without a control group, ended politely", func(t *testing.T) {
		t.Parallel()
		// While their close frames are not answered they still count as ready.
		deaf := fleettest.Serve(t, fleettest.Deaf(300*time.Millisecond))
		r := run(t, options(deaf, 20), bench.Storm{How: fleet.CloseFrame, InFlight: 100, Limit: time.Minute})
		storm := r.Phases[len(r.Phases)-1]
		if !r.OK || storm.Counts[fleet.Dropped] != 20 || storm.Counts[fleet.Registered] != 20 || r.Figures["back_max_ms"] <= 0 {
			t.Errorf("ok %v, dropped %d, registered %d, figures %v", r.OK, storm.Counts[fleet.Dropped], storm.Counts[fleet.Registered], r.Figures)
		}
	})
	t.Run("churn", func(t *testing.T) {
		t.Parallel()
		r := run(t, options(url, 20), bench.Churn{Rate: 200, How: fleet.CloseFrame, Duration: 2 * time.Second})
		if !r.OK || r.Counts[fleet.Dropped] < 10 || r.CloseCodes[1000] < 10 { // of 400 on a machine that has time
			t.Errorf("ok %v, dropped %d, closes %v", r.OK, r.Counts[fleet.Dropped], r.CloseCodes)
		}
	})
	t.Run("slow", func(t *testing.T) {
		t.Parallel()
		r := run(t, options(url, 20), bench.Slow{
			Share: 0.2, Rate: 200, Size: 4096, PileRate: 50, Via: "device", Duration: time.Second,
		})
		if !r.OK || r.Figures["slow_devices"] != 4 || r.Counts[fleet.Pushed] == 0 {
			t.Errorf("ok %v, figures %v", r.OK, r.Figures)
		}
	})
}

// Capacity without the drain, which would stop this process: every step leaves
// its figures, and the table shows them.
func TestRun_Capacity(t *testing.T) {
	t.Parallel()
	node := &fleettest.Node{}
	opt := options(fleettest.Serve(t, node.Handle)+"v1/device", 40)
	opt.Dialect = "json"
	r := run(t, opt, bench.Capacity{
		Base: 10, Settle: time.Second, Hold: 50 * time.Millisecond, Size: 100, Duration: time.Second,
		Control: 4, Calm: 100 * time.Millisecond, InFlight: 40, Limit: time.Minute,
	})
	if !r.OK || r.Figures["messages"] < 40 || r.Figures["connections"] != 40 {
		t.Errorf("ok %v, figures %v", r.OK, r.Figures)
	}
	table := bench.CapacityTable([]*bench.Result{r})
	for _, want := range []string{"| 40 devices |", "storm: all back", "| lost, doubled, reordered, corrupted | 0 |"} {
		if !strings.Contains(table, want) {
			t.Errorf("table without %q:\n%s", want, table)
		}
	}
}

// TestCapacityTable_CutShort: a run that ended early has its column, and the
// reason stands under the table.
func TestCapacityTable_CutShort(t *testing.T) {
	t.Parallel()
	run := func(n float64) *bench.Result {
		return &bench.Result{Params: map[string]any{"Connections": n}, Figures: map[string]float64{}}
	}
	small, large := run(10), run(200)
	large.Error, large.Warnings = "out of time", []string{"a warning"}
	table := bench.CapacityTable([]*bench.Result{large, small})
	for _, want := range []string{"| | 10 devices | 200 devices |", "\n200 devices: a warning\n\n200 devices: out of time\n"} {
		if !strings.Contains(table, want) {
			t.Errorf("table without %q:\n%s", want, table)
		}
	}
	if strings.Contains(table, "\n10 devices: ") {
		t.Errorf("a reason for a run without one:\n%s", table)
	}
}

// TestRun_OptionsThatMeasureNothing: what could only end in a division by zero, or
// in a verdict about nothing, is refused before anything is started.
func TestRun_OptionsThatMeasureNothing(t *testing.T) {
	t.Parallel()
	sound := func(o *bench.Options) {}
	for name, c := range map[string]struct {
		change func(o *bench.Options)
		sc     bench.Scenario
	}{
		"no devices":               {func(o *bench.Options) { o.Connections = 0 }, bench.Connect{}},
		"less than no workers":     {func(o *bench.Options) { o.Workers = -1 }, bench.Connect{}},
		"nothing piles up":         {sound, bench.Slow{Share: 0.5, Rate: 1, Via: "device"}},
		"too few readings":         {sound, bench.Soak{Duration: 70 * time.Second, Every: 10 * time.Second}},
		"a soak of nothing":        {func(o *bench.Options) { o.PID = 0 }, bench.Soak{Duration: time.Hour, Every: time.Second}},
		"a negative control group": {sound, bench.Storm{Control: -1}},
	} {
		opt := options("ws://127.0.0.1:1/", 2)
		c.change(&opt)
		var log bytes.Buffer
		if r, err := bench.Run(t.Context(), opt, c.sc, &log); !errors.Is(err, bench.ErrOptions) || r.Counts[fleet.Dialed] != 0 {
			t.Errorf("%s: %v, dialed %d", name, err, r.Counts[fleet.Dialed])
		}
	}
}

// A paced latency counts also when its answer comes after the time is over.
func TestRun_PacedCountsWhatComesLate(t *testing.T) {
	t.Parallel()
	opt := options(fleettest.Serve(t, fleettest.Stall(time.Second)), 2)
	opt.MessageTimeout = 30 * time.Second
	r := run(t, opt, bench.Echo{Rate: 100, Size: 100, Duration: 200 * time.Millisecond})
	if got := r.Figures["rtt_max_ms"]; got < 800 {
		t.Errorf("slowest %v ms: what was answered after the end is missing", got)
	}
}

// A soak over a server that does not grow passes. Not parallel: the server is this process, and
// what other tests open in it would pass for growth.
func TestRun_Soak(t *testing.T) {
	opt := options(fleettest.Serve(t, fleettest.Echo(fleettest.Sound, 1)), 10)
	r := run(t, opt, bench.Soak{Duration: 3 * time.Second, Rate: 200, Size: 100, ChurnRate: 20, Every: 20 * time.Millisecond, MaxDrift: 50})
	if !r.OK || r.Counts[fleet.Received] == 0 {
		t.Errorf("ok %v, counts %v", r.OK, r.Counts)
	}
}
