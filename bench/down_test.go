package bench_test

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"edgeloop/bench"
	"edgeloop/bench/fleet"
	"edgeloop/bench/fleettest"
)

// down are options for devices of a node whose admin API is a.
func down(t *testing.T, a *fleettest.Admin, n int) bench.Options {
	t.Helper()
	a.Node = &fleettest.Node{}
	opt := options(fleettest.Serve(t, a.Node.Handle)+"v1/device", n)
	opt.Dialect, opt.NoToken, opt.AdminURL = "json", true, a.Start(t)
	return opt
}

// TestRun_Command: what a command costs is measured, and an API that does not
// bring the device's reply ends the run with its reason.
func TestRun_Command(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		admin *fleettest.Admin
		fail  string // of the error
		wrong bool   // the node's fault: ErrUndelivered
	}{
		{name: "sound", admin: &fleettest.Admin{}},
		{name: "lost", admin: &fleettest.Admin{Fault: fleettest.Lose}, fail: "had no reply", wrong: true},
		{name: "doubled", admin: &fleettest.Admin{Fault: fleettest.Duplicate}, fail: "the devices saw", wrong: true},
		{name: "left for later", admin: &fleettest.Admin{Status: http.StatusAccepted, Body: `{"id":"c1"}`}, fail: "status 202"},
		{name: "refused by the device", admin: &fleettest.Admin{Status: http.StatusOK, Body: `{"id":"c1","ok":false}`}, fail: "status 200"},
		{name: "no JSON", admin: &fleettest.Admin{Status: http.StatusOK, Body: `<html>`}, fail: "status 200"},
		{name: "not allowed", admin: &fleettest.Admin{Status: http.StatusUnauthorized}, fail: "401"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			opt := down(t, c.admin, 5)
			wait := 30 * time.Second // so that no reply is late on a busy machine
			if c.admin.Fault == fleettest.Lose {
				wait = 300 * time.Millisecond
			}
			var log bytes.Buffer
			r, err := bench.Run(t.Context(), opt, bench.Command{Size: 200, Concurrency: 2, Duration: time.Second, Wait: wait}, &log)
			if c.fail != "" {
				if err == nil || !strings.Contains(err.Error(), c.fail) || errors.Is(err, bench.ErrUndelivered) != c.wrong {
					t.Errorf("error %v, want one with %q, the node's fault: %v", err, c.fail, c.wrong)
				}
				return
			}
			if err != nil {
				t.Fatalf("%v\n%s", err, &log)
			}
			for _, name := range []string{"commands_per_s", "command_p50_ms", "command_p99_ms", "downlink_p50_ms"} {
				if r.Figures[name] <= 0 {
					t.Errorf("figure %s = %v", name, r.Figures[name])
				}
			}
			// Another request may have been under way when the time was over.
			if got := r.Phases[1].Latency["command"].Count; got == 0 || r.Counts[fleet.Commands] < got {
				t.Errorf("%d commands timed, the devices saw %d", got, r.Counts[fleet.Commands])
			}
		})
	}
}

// TestRun_CommandPaced: with a rate there are as many as the time has room for,
// and what has to wait for its turn is charged for the wait.
func TestRun_CommandPaced(t *testing.T) {
	t.Parallel()
	c := bench.Command{Rate: 100, Concurrency: 4, Duration: 300 * time.Millisecond, Wait: 30 * time.Second}
	r := run(t, down(t, &fleettest.Admin{}, 3), c)
	if got := r.Phases[1].Latency["command"].Count; got != 30 {
		t.Errorf("%d commands in 0.3 s of 100/s", got)
	}
	// One that fails after its command arrived is the run's failure, not the node's.
	var log bytes.Buffer
	broken := &fleettest.Admin{Break: 3}
	r, err := bench.Run(t.Context(), down(t, broken, 3), c, &log)
	if err == nil || errors.Is(err, bench.ErrUndelivered) || r.Figures["commands_doubled"] != 0 {
		t.Errorf("error %v, doubled %v: a failing API was taken for commands that came twice", err, r.Figures["commands_doubled"])
	}
	slow := &fleettest.Admin{Delay: 50 * time.Millisecond}
	c.Concurrency = 1
	r = run(t, down(t, slow, 3), c)
	// Due each 10 ms and done each 50 ms: the last is more than a second late.
	if got := r.Figures["command_p99_ms"]; got < 500 {
		t.Errorf("p99 %v ms: the wait for a turn was not charged", got)
	}
}

// TestRun_Broadcast: the time to the last device is measured, and a broadcast
// that is missing at a device or comes twice fails the run.
func TestRun_Broadcast(t *testing.T) {
	t.Parallel()
	b := bench.Broadcast{Count: 3, Size: 100, Every: 200 * time.Millisecond, Limit: time.Minute, Via: "admin"}
	t.Run("sound", func(t *testing.T) {
		t.Parallel()
		r := run(t, down(t, &fleettest.Admin{}, 6), b)
		if !r.OK || r.Figures["deliveries"] != 18 || r.Counts[fleet.Broadcasts] != 18 {
			t.Errorf("ok %v, deliveries %v, want 18", r.OK, r.Figures["deliveries"])
		}
		if p50, top := r.Figures["last_p50_ms"], r.Figures["last_max_ms"]; p50 <= 0 || top < p50 || r.Figures["downlink_p50_ms"] <= 0 {
			t.Errorf("figures %v", r.Figures)
		}
	})
	t.Run("beside a control group", func(t *testing.T) {
		t.Parallel()
		beside := b
		beside.Control, beside.ControlRate, beside.Before = 2, 100, time.Second
		r := run(t, down(t, &fleettest.Admin{}, 6), beside)
		if !r.OK || r.Counts[fleet.Pushed] == 0 || r.Counts[fleet.Broadcasts] != 24 {
			t.Errorf("ok %v, %d pings sent, %d deliveries, want 24", r.OK, r.Counts[fleet.Pushed], r.Counts[fleet.Broadcasts])
		}
		if calm, during := r.Figures["control_calm_p99_ms"], r.Figures["control_broadcast_p99_ms"]; calm <= 0 || during <= 0 {
			t.Errorf("figures %v", r.Figures)
		}
	})
	t.Run("doubled", func(t *testing.T) {
		t.Parallel()
		r := run(t, down(t, &fleettest.Admin{Fault: fleettest.Duplicate}, 6), b)
		if r.OK || r.Counts[fleet.BroadcastsDoubled] != 2 || r.Figures["deliveries"] != 18 {
			t.Errorf("ok %v, doubled %d, want 2, deliveries %v, want 18", r.OK, r.Counts[fleet.BroadcastsDoubled], r.Figures["deliveries"])
		}
	})
	t.Run("missing", func(t *testing.T) {
		t.Parallel()
		var log bytes.Buffer
		short := b
		short.Limit = 5 * time.Second
		_, err := bench.Run(t.Context(), down(t, &fleettest.Admin{Fault: fleettest.Lose}, 6), short, &log)
		if !errors.Is(err, bench.ErrUndelivered) || !strings.Contains(err.Error(), "broadcast 2 at all") {
			t.Errorf("error %v", err)
		}
	})
}

// TestRun_SlowByCommands: what piles up is counted, an API that fails is not taken
// for devices that have gone, and a run in which nothing piles up is none.
func TestRun_SlowByCommands(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		admin *fleettest.Admin
		fail  string
	}{
		{name: "taken", admin: &fleettest.Admin{}},
		{name: "the API fails", admin: &fleettest.Admin{Status: http.StatusInternalServerError, Body: "broken"}, fail: "broken"},
		{name: "left for later", admin: &fleettest.Admin{Status: http.StatusAccepted, Body: `{"id":"c1","state":"left"}`}, fail: "nothing piled up"},
		{name: "cut off at once", admin: &fleettest.Admin{Status: http.StatusServiceUnavailable, Body: `{"type":"urn:edgeloop:problem:device-busy"}`}, fail: "nothing piled up"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			sl := bench.Slow{Share: 0.5, Rate: 50, Size: 100, PileRate: 50, Via: "admin", Duration: time.Second}
			var log bytes.Buffer
			r, err := bench.Run(t.Context(), down(t, c.admin, 4), sl, &log)
			switch {
			case c.fail != "" && (err == nil || !strings.Contains(err.Error(), c.fail)):
				t.Errorf("error %v, want one with %q", err, c.fail)
			case c.fail == "" && (err != nil || r.Figures["piled_messages"] < 1):
				t.Errorf("error %v, %v piled up", err, r.Figures["piled_messages"])
			}
		})
	}
}

// TestRun_DownNeedsAdmin: without the API nothing is started.
func TestRun_DownNeedsAdmin(t *testing.T) {
	t.Parallel()
	for _, sc := range []bench.Scenario{bench.Command{}, bench.Broadcast{Via: "admin"}} {
		var log bytes.Buffer
		r, err := bench.Run(t.Context(), options("ws://127.0.0.1:1/", 2), sc, &log)
		if !errors.Is(err, bench.ErrOptions) || !strings.Contains(err.Error(), "--admin-url") || r.Counts[fleet.Dialed] != 0 {
			t.Errorf("%s: %v, dialed %d", sc.Name(), err, r.Counts[fleet.Dialed])
		}
	}
}
