package fleet_test

import (
	"slices"
	"testing"
	"time"

	"edgeloop/bench/fleet"
	"edgeloop/bench/fleettest"
	"edgeloop/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Leaks(m) }

const patience = time.Minute

// until polls the fleet until ok is content.
func until(t *testing.T, f *fleet.Fleet, what string, ok func(c fleet.Counts) bool) fleet.Counts {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for {
		s, err := f.Snapshot(false)
		if err != nil {
			t.Fatal(err)
		}
		if ok(s.Counts) {
			return s.Counts
		}
		select {
		case <-deadline:
			t.Fatalf("%s: not within %v; %+v", what, patience, s)
		case <-tick.C:
		}
	}
}

func start(t *testing.T, cfg fleet.Config) *fleet.Fleet {
	t.Helper()
	f, err := fleet.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func do(t *testing.T, f *fleet.Fleet, o fleet.Order) {
	t.Helper()
	if err := f.Do(o); err != nil {
		t.Fatal(err)
	}
}

func connect(t *testing.T, f *fleet.Fleet, n int64) {
	t.Helper()
	do(t, f, fleet.Order{Verb: fleet.Connect})
	until(t, f, "connect", func(c fleet.Counts) bool { return c[fleet.Ready] == n })
}

// A fleet over three loops against an honest server: what is sent comes back,
// once, in order, whole; also when the server answers in fragments.
func TestFleet_EchoAgainstASoundServer(t *testing.T) {
	for _, fault := range []fleettest.Fault{fleettest.Sound, fleettest.Fragment} {
		t.Run(string(fault), func(t *testing.T) {
			url := fleettest.Serve(t, fleettest.Echo(fault, 5))
			f := start(t, fleet.Config{URL: url, Count: 30, Loops: 3})
			connect(t, f, 30)
			do(t, f, fleet.Order{Verb: fleet.Load, Kind: fleet.EchoLoad, InFlight: 8, Size: 200})
			until(t, f, "traffic", func(c fleet.Counts) bool { return c[fleet.Received] > 3000 })
			do(t, f, fleet.Order{Verb: fleet.Quiet})
			c := until(t, f, "quiet", func(c fleet.Counts) bool { return c.Outstanding() == 0 })
			if c.Unsound() != 0 || c[fleet.Sent] != c[fleet.Received] {
				t.Errorf("an honest server looks unsound: %v", c)
			}
			s, err := f.Snapshot(true)
			if err != nil {
				t.Fatal(err)
			}
			if got := s.Histograms[fleet.RoundTrip].TotalCount(); got != c[fleet.Received] {
				t.Errorf("round trips recorded: %d, want %d", got, c[fleet.Received])
			}
		})
	}
}

// The fleet is only worth what it notices: each fault of a server must show up
// under its own name, and not as another.
func TestFleet_NoticesFaults(t *testing.T) {
	for fault, want := range map[fleettest.Fault][]fleet.Count{
		fleettest.Lose:      {fleet.Lost},
		fleettest.Duplicate: {fleet.Duplicated},
		fleettest.Swap:      {fleet.Reordered},
		fleettest.Flip:      {fleet.Corrupted, fleet.Lost},
		fleettest.Truncate:  {fleet.Corrupted, fleet.Lost},
		fleettest.Stale:     {fleet.Duplicated, fleet.Lost},
	} {
		t.Run(string(fault), func(t *testing.T) {
			t.Parallel()
			url := fleettest.Serve(t, fleettest.Echo(fault, 7))
			within := patience // so that nothing is lost that the server does not lose
			if slices.Contains(want, fleet.Lost) {
				within = 100 * time.Millisecond
			}
			f := start(t, fleet.Config{URL: url, Count: 4, MessageTimeout: within})
			connect(t, f, 4)
			do(t, f, fleet.Order{Verb: fleet.Load, Kind: fleet.EchoLoad, InFlight: 4})
			c := until(t, f, "faults", func(c fleet.Counts) bool {
				for _, w := range want {
					if c[w] < 8 {
						return false
					}
				}
				return true
			})
			for _, k := range []fleet.Count{fleet.Lost, fleet.Duplicated, fleet.Reordered, fleet.Corrupted} {
				expected := false
				for _, w := range want {
					expected = expected || w == k
				}
				if !expected && c[k] != 0 {
					t.Errorf("%s: %s = %d, want 0", fault, k, c[k])
				}
			}
		})
	}
}

// A paced load keeps its rate, and a server that stalls is charged for every
// message that the stall delayed.
func TestFleet_PacedLatencyRunsFromTheSchedule(t *testing.T) {
	release := make(chan struct{})
	url := fleettest.Serve(t, func(p *fleettest.Peer) {
		<-release
		fleettest.Echo(fleettest.Sound, 1)(p)
	})
	f := start(t, fleet.Config{URL: url, Count: 2})
	connect(t, f, 2)
	do(t, f, fleet.Order{Verb: fleet.Load, Kind: fleet.EchoLoad, Rate: 100})
	until(t, f, "schedule", func(c fleet.Counts) bool { return c[fleet.Sent] >= 20 })
	do(t, f, fleet.Order{Verb: fleet.Quiet})
	close(release)
	until(t, f, "echoes", func(c fleet.Counts) bool { return c.Outstanding() == 0 })
	s, err := f.Snapshot(true)
	if err != nil {
		t.Fatal(err)
	}
	// Twenty messages or more were due 10 ms apart before the release: the first
	// waited 190 ms at least, the tenth 100 ms.
	h := s.Histograms[fleet.RoundTrip]
	if top := time.Duration(h.Max()); top < 150*time.Millisecond {
		t.Errorf("slowest round trip %v: the stall was not charged", top)
	}
	if mid := time.Duration(h.ValueAtQuantile(40)); mid < 40*time.Millisecond {
		t.Errorf("40th percentile %v: only the first message was charged", mid)
	}
}

// More devices than one source address has ports use the next address.
func TestFleet_SpreadsOverSourceAddresses(t *testing.T) {
	sources := make(chan string, 9)
	url := fleettest.Serve(t, func(p *fleettest.Peer) {
		sources <- p.RemoteAddr().String()
		_, _, _ = p.Next()
	})
	f := start(t, fleet.Config{URL: url, Count: 9, Loops: 2, PerSource: 3})
	connect(t, f, 9)
	count := make(map[string]int)
	for range 9 {
		s := <-sources
		count[s[:len("127.0.0.1")]]++
	}
	for _, a := range []string{"127.0.0.1", "127.0.0.2", "127.0.0.3"} {
		if count[a] != 3 {
			t.Errorf("connections from %s: %d, want 3", a, count[a])
		}
	}
}

func TestNew_RefusesWhatCannotWork(t *testing.T) {
	for name, cfg := range map[string]fleet.Config{
		"no url":          {Count: 1},
		"no websocket":    {URL: "https://127.0.0.1:1/", Count: 1},
		"no devices":      {URL: "ws://127.0.0.1:1/"},
		"unknown dialect": {URL: "ws://127.0.0.1:1/", Count: 1, Dialect: "morse"},
	} {
		if f, err := fleet.New(cfg); err == nil {
			t.Errorf("%s: accepted", name)
			_ = f.Close()
		}
	}
}

func TestFleet_RefusesBadOrders(t *testing.T) {
	f := start(t, fleet.Config{URL: "ws://127.0.0.1:1/", Count: 1})
	for name, o := range map[string]fleet.Order{
		"no verb":            {},
		"no kind":            {Verb: fleet.Load},
		"too small":          {Verb: fleet.Load, Kind: fleet.EchoLoad, Size: 8},
		"too many in flight": {Verb: fleet.Load, Kind: fleet.EchoLoad, InFlight: 1000},
		"churn without rate": {Verb: fleet.Load, Kind: fleet.ChurnLoad},
		"unknown end":        {Verb: fleet.Drop, How: "politely"},
	} {
		if err := f.Do(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
