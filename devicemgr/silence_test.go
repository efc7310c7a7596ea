package devicemgr_test

import (
	"testing"
	"time"

	"edgeloop/devicemgr"
)

func TestSilence_Verdict(t *testing.T) {
	const s = time.Second
	for _, tc := range []struct {
		p    devicemgr.Silence
		idle time.Duration
		want devicemgr.Verdict
		next time.Duration
	}{
		{devicemgr.Silence{Heartbeat: 30 * s, Limit: 60 * s}, 0, devicemgr.Wait, 30 * s},
		{devicemgr.Silence{Heartbeat: 30 * s, Limit: 60 * s}, -5 * s, devicemgr.Wait, 30 * s},
		{devicemgr.Silence{Heartbeat: 30 * s, Limit: 60 * s}, 29 * s, devicemgr.Wait, s},
		{devicemgr.Silence{Heartbeat: 30 * s, Limit: 60 * s}, 30 * s, devicemgr.Ping, 30 * s},
		{devicemgr.Silence{Heartbeat: 30 * s, Limit: 60 * s}, 59 * s, devicemgr.Ping, s},
		{devicemgr.Silence{Heartbeat: 30 * s, Limit: 60 * s}, 60 * s, devicemgr.Evict, 0},
		{devicemgr.Silence{Heartbeat: 30 * s, Limit: 300 * s}, 90 * s, devicemgr.Ping, 30 * s},
		{devicemgr.Silence{Heartbeat: 60 * s, Limit: 30 * s}, 10 * s, devicemgr.Wait, 20 * s},
		{devicemgr.Silence{Heartbeat: 60 * s, Limit: 30 * s}, 40 * s, devicemgr.Evict, 0},
		{devicemgr.Silence{Heartbeat: 30 * s}, time.Hour, devicemgr.Ping, 30 * s},
		{devicemgr.Silence{Limit: 60 * s}, 59 * s, devicemgr.Wait, s},
		{devicemgr.Silence{Limit: 60 * s}, 60 * s, devicemgr.Evict, 0},
		{devicemgr.Silence{}, time.Hour, devicemgr.Wait, 0},
	} {
		if v, next := tc.p.Verdict(tc.idle); v != tc.want || next != tc.next {
			t.Errorf("%+v, idle %v: %v and %v, want %v and %v", tc.p, tc.idle, v, next, tc.want, tc.next)
		}
	}
	if devicemgr.Evict.String() != "evict" || devicemgr.Verdict(9).String() != "unknown" ||
		devicemgr.CauseTookOver.String() != "took over" || devicemgr.Cause(9).String() != "unknown" {
		t.Error("names of the enums")
	}
}
