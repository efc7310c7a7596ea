package uplog

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// TestUsage_Lasts: how long the log's room lasts follows from what came in the last hour,
// from the bound that is nearer, and from whether records leave by their age before.
func TestUsage_Lasts(t *testing.T) {
	const day = 24 * time.Hour
	const gib = 1 << 30
	for name, tc := range map[string]struct {
		cfg           jetstream.StreamConfig
		free, reserve int64
		room          int64
		stops         bool
		fullIn        time.Duration // at 1 MiB a second
		filling       bool
	}{
		"forgets":                    {cfg: jetstream.StreamConfig{MaxBytes: 2 * gib}, free: 1 << 40, room: gib, fullIn: 1024 * time.Second},
		"stops":                      {cfg: jetstream.StreamConfig{MaxBytes: 2 * gib, Discard: jetstream.DiscardNew}, free: 1 << 40, room: gib, stops: true, fullIn: 1024 * time.Second, filling: true},
		"the disk is nearer":         {cfg: jetstream.StreamConfig{MaxBytes: 64 * gib}, free: 3 * gib, reserve: gib, room: 2 * gib, stops: true, fullIn: 2048 * time.Second, filling: true},
		"the disk is full":           {cfg: jetstream.StreamConfig{MaxBytes: 64 * gib}, free: 1, reserve: gib, room: 0, stops: true, fullIn: 1, filling: true},
		"no bound":                   {free: -1, room: -1},
		"lasts for days":             {cfg: jetstream.StreamConfig{MaxBytes: 1 << 40, Discard: jetstream.DiscardNew}, free: -1, room: 1<<40 - gib, stops: true, fullIn: (1<<20 - 1<<10) * time.Second},
		"records leave by their age": {cfg: jetstream.StreamConfig{MaxBytes: 2 * gib, Discard: jetstream.DiscardNew, MaxAge: 30 * time.Minute}, free: -1, room: gib, stops: true},
		"their age is too high":      {cfg: jetstream.StreamConfig{MaxBytes: 2 * gib, Discard: jetstream.DiscardNew, MaxAge: 30 * day}, free: -1, room: gib, stops: true, fullIn: 1024 * time.Second, filling: true},
	} {
		m, now := usageMeter{}, time.Now()
		var u Usage
		for minute := range uint64(90) { // 1 MiB a second, of records of 1 KiB
			u = m.note(now.Add(time.Duration(minute)*time.Minute), &jetstream.StreamInfo{Config: tc.cfg, State: jetstream.StreamState{
				Msgs: 1 << 20, Bytes: gib, LastSeq: 1<<20 + minute*60<<10, FirstTime: now,
			}}, tc.free, tc.reserve)
		}
		if u.Room != tc.room || u.Stops != tc.stops || (u.FullIn-tc.fullIn).Abs() > tc.fullIn/1000 || u.Filling() != tc.filling || !u.Oldest.Equal(now) {
			t.Errorf("%s: %+v, filling %v", name, u, u.Filling())
		}
		if len(m.points) > usageSpan {
			t.Errorf("%d samples are kept", len(m.points))
		}
	}
}

// A log that is made anew, or of which nothing is known yet, has no rate.
func TestUsage_Anew(t *testing.T) {
	m, now := usageMeter{}, time.Now()
	at := func(d time.Duration, last uint64) Usage {
		return m.note(now.Add(d), &jetstream.StreamInfo{State: jetstream.StreamState{Msgs: last, Bytes: last, LastSeq: last}}, 1<<40, 0)
	}
	if u := at(0, 1000); u.Rate != 0 || u.FullIn != 0 {
		t.Errorf("at first: %+v", u)
	}
	if u := at(10*time.Second, 100_000); u.Rate != 0 {
		t.Errorf("after seconds: %+v", u)
	}
	if u := at(100*time.Second, 101_000); u.Rate != 1000 {
		t.Errorf("after a while: %+v", u)
	}
	if u := at(200*time.Second, 5); u.Rate != 0 {
		t.Errorf("made anew: %+v", u)
	}
}
