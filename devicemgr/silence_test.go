package devicemgr_test

import (
	"testing"
	"time"

	"edgeloop/devicemgr"
)

func TestSilence_Verdict(t *testing.T) {
	const s = time.Second
	const never = -1
	usual := devicemgr.Silence{Heartbeat: 30 * s, Limit: 60 * s}
	for _, tc := range []struct {
		p           devicemgr.Silence
		idle, asked time.Duration
		want        devicemgr.Verdict
		next        time.Duration
	}{
		{usual, 0, never, devicemgr.Wait, 30 * s},
		{usual, -5 * s, never, devicemgr.Wait, 30 * s},
		{usual, 29 * s, never, devicemgr.Wait, s},
		{usual, 30 * s, never, devicemgr.Ping, 30 * s},
		{usual, 59 * s, 29 * s, devicemgr.Ping, s},
		{usual, 60 * s, 30 * s, devicemgr.Evict, 0},
		// A device that was not asked, or not long enough ago, stays: the limits were lowered,
		// or the loop was late.
		{usual, time.Hour, never, devicemgr.Ping, 30 * s},
		{usual, time.Hour, 0, devicemgr.Ping, 30 * s},
		{usual, time.Hour, 10 * s, devicemgr.Ping, 20 * s},
		{devicemgr.Silence{Heartbeat: s, Limit: 2 * s}, 25 * s, never, devicemgr.Ping, s},
		{devicemgr.Silence{Heartbeat: 30 * s, Limit: 300 * s}, 90 * s, 60 * s, devicemgr.Ping, 30 * s},
		{devicemgr.Silence{Heartbeat: 30 * s, Limit: 300 * s}, 300 * s, 270 * s, devicemgr.Evict, 0},
		{devicemgr.Silence{Heartbeat: 60 * s, Limit: 30 * s}, 40 * s, never, devicemgr.Wait, 20 * s},
		{devicemgr.Silence{Heartbeat: 60 * s, Limit: 30 * s}, 60 * s, never, devicemgr.Ping, 30 * s},
		{devicemgr.Silence{Heartbeat: 60 * s, Limit: 30 * s}, 90 * s, 30 * s, devicemgr.Evict, 0},
		{devicemgr.Silence{Heartbeat: 30 * s}, time.Hour, time.Hour, devicemgr.Ping, 30 * s},
		{devicemgr.Silence{Limit: 60 * s}, 59 * s, never, devicemgr.Ping, 30 * s},
		{devicemgr.Silence{Limit: 60 * s}, 60 * s, 30 * s, devicemgr.Evict, 0},
		{devicemgr.Silence{}, time.Hour, never, devicemgr.Wait, 0},
		// A device that cannot be asked has the limit alone.
		{devicemgr.Silence{Limit: 90 * s, Unasked: true}, 60 * s, never, devicemgr.Wait, 30 * s},
		{devicemgr.Silence{Limit: 90 * s, Unasked: true}, 89 * s, never, devicemgr.Wait, s},
		{devicemgr.Silence{Limit: 90 * s, Unasked: true}, 90 * s, never, devicemgr.Evict, 0},
		{devicemgr.Silence{Unasked: true}, time.Hour, never, devicemgr.Wait, 0},
	} {
		if v, next := tc.p.Verdict(tc.idle, tc.asked); v != tc.want || next != tc.next {
			t.Errorf("%+v, idle %v, asked %v ago: %v and %v, want %v and %v", tc.p, tc.idle, tc.asked, v, next, tc.want, tc.next)
		}
	}
	if devicemgr.Evict.String() != "evict" || devicemgr.Verdict(9).String() != "unknown" ||
		devicemgr.CauseTookOver.String() != "took over" || devicemgr.Cause(9).String() != "unknown" {
		t.Error("names of the enums")
	}
}
