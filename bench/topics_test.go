package bench_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"edgeloop/bench"
	"edgeloop/bench/fleet"
	"edgeloop/bench/fleettest"
	"edgeloop/internal/testkit"
)

// Every message reaches all who subscribe, the one that it is for, or one of those who share, and its cost and latency
// are measured: here of mosquitto.
func TestRun_Topics(t *testing.T) {
	t.Parallel()
	spread := bench.Spread{Rate: 400, Size: 128, Duration: 2 * time.Second, Warmup: 10 * time.Millisecond}
	for _, c := range []struct {
		sc                    bench.Scenario
		publishers, copies, n int64
	}{
		{bench.FanOut{Publishers: 2, Subscribers: 3, Spread: spread}, 2, 3, 3},
		{bench.P2P{Pairs: 4, Spread: spread}, 4, 1, 4},
		{bench.ShareSub{Publishers: 5, Subscribers: 3, Spread: spread}, 5, 1, 3},
	} {
		t.Run(c.sc.Name(), func(t *testing.T) {
			t.Parallel()
			opt := options(fleettest.Mosquitto(t), 1)
			opt.NoToken, opt.MessageTimeout = true, 30*time.Second
			r := run(t, opt, c.sc)
			acked, got := r.Counts[fleet.Acked], r.Counts[fleet.Delivered]
			if !r.OK || acked == 0 || got != c.copies*acked || r.Counts[fleet.Registered] != c.publishers+c.n {
				t.Errorf("ok %v, %d acknowledged, %d delivered, counts %v", r.OK, acked, got, r.Counts)
			}
			for _, name := range []string{"deliveries_per_s", "delivery_p50_ms", "delivery_p99_ms", "ack_p50_ms"} {
				if r.Figures[name] <= 0 {
					t.Errorf("figure %s = %v", name, r.Figures[name])
				}
			}
		})
	}
}

// A broker that loses what it has acknowledged, or lets nobody subscribe, fails the run.
func TestRun_TopicsNotDelivered(t *testing.T) {
	t.Parallel()
	for code, want := range map[byte]error{1: bench.ErrUndelivered, 0x80: bench.ErrNotReady} {
		url := fleettest.Broker(t, func(first byte, body []byte, _ int) []byte {
			switch first {
			case 0x10:
				return []byte{0x20, 2, 0, 0}
			case 0x82:
				return []byte{0x90, 3, body[0], body[1], code}
			case 0x32:
				at := 2 + int(body[1])
				return []byte{0x40, 2, body[at], body[at+1]}
			}
			return nil
		})
		opt := options(url, 1)
		opt.NoToken, opt.MessageTimeout = true, 100*time.Millisecond
		var log bytes.Buffer
		sc := bench.FanOut{Publishers: 1, Subscribers: 1, Spread: bench.Spread{Rate: 100, Size: 128, Duration: 50 * time.Millisecond}}
		testkit.Eventually(t, time.Minute, "a run in which the broker acknowledges something", func() bool {
			r, err := bench.Run(t.Context(), opt, sc, &log)
			if err == nil && r.Counts[fleet.Acked] == 0 {
				return false // the machine stood still for the little time that there is
			}
			if !errors.Is(err, want) {
				t.Errorf("SUBACK %#x: %v, want %v", code, err, want)
			}
			return true
		})
	}
}
